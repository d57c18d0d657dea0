"""``tickloom ingest``: put prices into Kafka."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from tickloom.cli.options import Bootstrap, Dates, FileInterval, FileTicker, Home, Market
from tickloom.errors import TickloomError

if TYPE_CHECKING:
    from tickloom.cli.ingesting import Delivery

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Put prices into Kafka: replay a file, make synthetic ones, or ask Yahoo.",
    epilog="Example: tickloom ingest replay AAPL_1min.csv --speed 60",
)

Topic = Annotated[str | None, typer.Option(help="Topic; default `prices`.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the records as JSON lines and send nothing.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print what was sent as one JSON object.")]
Rate = Annotated[float | None, typer.Option(min=0, help="Records per second of all tickers; 0: as fast as possible.")]


@app.command(
    epilog="Examples: tickloom ingest replay AAPL_1min.csv MSFT_1min.csv --speed 60 | "
    "tickloom ingest replay ATW.csv --market XCAS --dry-run"
)
def replay(
    files: Annotated[list[Path], typer.Argument(help="CSV files of bars or ticks; merged in the order of time.")],
    market: Market = None,
    ticker: FileTicker = None,
    interval: FileInterval = None,
    label: Annotated[str, typer.Option(help="Whether a stamp is the bar's start or end: auto, start, end.")] = "auto",
    dates: Dates = "auto",
    speed: Annotated[
        float | None, typer.Option(help="Seconds of market time per second; default as fast as possible.")
    ] = None,
    max_gap: Annotated[float, typer.Option(min=0, help="Longest wait in seconds, for example over a night.")] = 1.0,
    bootstrap: Bootstrap = None,
    topic: Topic = None,
    home: Home = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Send the records of CSV files, oldest first."""
    from tickloom.cli.ingesting import Delivery
    from tickloom.sources.pace import at_speed
    from tickloom.sources.replay import Replay

    _one_of("--label", label, ("auto", "start", "end"))
    _one_of("--dates", dates, ("auto", "day-first", "month-first"))
    source = Replay(files, market, ticker, interval, cast(Literal["auto", "start", "end"], label), cast(Any, dates))
    blocks = source.blocks()
    delivery = Delivery(blocks if speed is None else at_speed(blocks, speed, max_gap), "replay", dry_run=dry_run)
    _run(delivery, bootstrap, topic, home, as_json)


@app.command(
    epilog="Examples: tickloom ingest gbm --tickers AAPL,MSFT | "
    "tickloom ingest gbm --tickers ATW --market XCAS --seed 7 --count 1000 --dry-run"
)
def gbm(
    tickers: Annotated[str, typer.Option(help="Tickers, with commas between.")],
    market: Annotated[str | None, typer.Option(help="XNYS or XCAS; default that of the tickers.")] = None,
    start: Annotated[list[str] | None, typer.Option(help="Starting price, as AAPL=170.5; may be repeated.")] = None,
    start_from: Annotated[
        list[Path] | None, typer.Option(help="CSV file whose last close is its ticker's start; may be repeated.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same prices; their source names it.")] = 0,
    step: Annotated[float, typer.Option(help="Seconds of market time between two prices of a ticker.")] = 5.0,
    begin: Annotated[
        str | None, typer.Option(help="Time of the first price, ISO 8601; default so that --count ends in the past.")
    ] = None,
    drift: Annotated[float, typer.Option(help="Per year, as a fraction.")] = 0.05,
    volatility: Annotated[float, typer.Option(help="Per year, as a fraction.")] = 0.25,
    count: Annotated[int | None, typer.Option(min=1, help="Number of records; default until stopped.")] = None,
    duration: Annotated[float | None, typer.Option(help="Seconds of market time after which to stop.")] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Records per second of all tickers; 0: as fast as possible, which is the default with --count or "
            "--duration; without these it is 2 per ticker, and no record comes before its own time.",
        ),
    ] = None,
    bootstrap: Bootstrap = None,
    topic: Topic = None,
    home: Home = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Send synthetic prices that move from a real one by geometric Brownian motion."""
    from tickloom.cli.ingesting import Delivery
    from tickloom.market.instruments import instruments
    from tickloom.sources.gbm import Gbm
    from tickloom.sources.pace import at_clock, at_rate
    from tickloom.sources.start import starting_prices

    codes = _tickers(tickers)
    exchanges = {known.exchange for ticker in codes if (known := instruments().get(ticker)) is not None}
    if market is None and len(exchanges) > 1:
        raise TickloomError(
            f"--tickers {tickers!r} trade on {', '.join(sorted(exchanges))}; say --market, or run it twice"
        )
    starts = starting_prices(codes, _prices(start or []), start_from or [])
    source = Gbm(
        tuple(codes),
        {ticker: found.price for ticker, found in starts.items()},
        market or (exchanges or {"XNYS"}).pop(),
        seed,
        step,
        None if begin is None else _time(begin),
        drift,
        volatility,
        count,
        duration,
    )
    endless = count is None and duration is None
    if rate is None:
        rate = 2.0 * len(codes) if endless else 0.0
    origins = {ticker: f"synthetic, from {found.price:g} ({found.origin})" for ticker, found in starts.items()}
    blocks = source.blocks() if not rate else at_rate(source.blocks(), rate)
    _run(
        Delivery(at_clock(blocks) if endless else blocks, "synthetic", origins, count, dry_run),
        bootstrap,
        topic,
        home,
        as_json,
    )


@app.command(epilog="Example: tickloom ingest yahoo --tickers AAPL,MSFT --start 2024-01-02 --end 2024-03-08")
def yahoo(
    tickers: Annotated[str, typer.Option(help="Tickers, with commas between.")],
    market: Market = None,
    start: Annotated[str | None, typer.Option(help="First date, YYYY-MM-DD; default a year before the end.")] = None,
    end: Annotated[str | None, typer.Option(help="Date after the last; default after the last session.")] = None,
    interval: Annotated[str, typer.Option(help="1m, 5m, 15m, 1h or 1d.")] = "1d",
    rate: Rate = None,
    bootstrap: Bootstrap = None,
    topic: Topic = None,
    home: Home = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Send bars of Yahoo Finance: cached, else downloaded, else synthetic, and say which."""
    from tickloom.cli.ingesting import Delivery
    from tickloom.sources.pace import at_rate
    from tickloom.sources.yahoo import Yahoo

    source = Yahoo(_tickers(tickers), market, _date(start), _date(end), interval)
    origins = {
        ticker: f"{found.origin} as of {found.as_of:%Y-%m-%dT%H:%M:%SZ}: {'; '.join((found.reason, *found.bars.notes))}"
        for ticker, found in source.fetched.items()
    }
    for ticker, words in origins.items():
        typer.echo(f"{ticker}: {words}", err=True)
    kinds = sorted({found.origin for found in source.fetched.values()})
    blocks = source.blocks()
    _run(
        Delivery(at_rate(blocks, rate) if rate else blocks, "+".join(kinds), origins, dry_run=dry_run),
        bootstrap,
        topic,
        home,
        as_json,
    )


def _run(delivery: "Delivery", bootstrap: str | None, topic: str | None, home: Path | None, as_json: bool) -> None:
    from tickloom.local.addresses import kafka_address

    where = "" if delivery.dry_run else bootstrap or kafka_address(home)
    if not delivery.run(where, topic, as_json):
        raise typer.Exit(130)


def _one_of(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise TickloomError(f"{option} {value!r} is unknown; known: {', '.join(known)}")


def _tickers(text: str) -> list[str]:
    return [part.strip().upper() for part in text.split(",") if part.strip()]


def _prices(pairs: list[str]) -> dict[str, float]:
    found = {}
    for pair in pairs:
        ticker, _, price = pair.partition("=")
        try:
            found[ticker.strip().upper()] = float(price)
        except ValueError:
            raise TickloomError(f"--start {pair!r} is not of the form AAPL=170.5") from None
    return found


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise TickloomError(f"--begin {text!r} is not ISO 8601; write for example 2024-03-08T14:30:00Z") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _date(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise TickloomError(f"date {text!r} is not of the form YYYY-MM-DD") from None
