"""``tickloom watch``: looks at a list of tickers and writes down what a retraining policy needs to know."""

import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from pydantic import ValidationError

from tickloom.cli.forecasting import Data, MaxGap, Mlflow, history, installed, market_of, orderly, registry
from tickloom.cli.options import AsJson, Home, Market
from tickloom.errors import TickloomError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tickloom.experiment.records import Forecast, Score
    from tickloom.forecast.history import History
    from tickloom.stream.facts import Facts

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(epilog="Example: tickloom watch ATW IAM --facts facts.json")
@installed("monitor", "looking for drift")
@orderly()
def watch(
    tickers: Annotated[list[str], typer.Argument(help="Tickers of one market, such as ATW IAM.")],
    data: Data = None,
    market: Market = None,
    experiment: Annotated[
        str | None, typer.Option(help="Experiment of the ledger; default whichever the ticker is in.")
    ] = None,
    rule: Annotated[
        str, typer.Option(help="both, any, drift or loss: findings are told at the level of this rule.")
    ] = "both",
    features: Annotated[bool, typer.Option("--features/--no-features", help="Look at features, too.")] = True,
    reference: Annotated[int, typer.Option(min=250, help="Sessions of what is usual.")] = 500,
    recent: Annotated[int, typer.Option(min=20, help="Newest sessions that are looked at.")] = 60,
    facts: Annotated[Path | None, typer.Option(help="File of the look before, which is read and written anew.")] = None,
    max_gap: MaxGap = 10,
    mlflow: Mlflow = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Look at each ticker's prices, matured losses and champion, and write the facts that start retrainings.

    A ticker that cannot be looked at is told with its reason, and the others go on. Exits with 0 whatever is found, and
    with 1 where no ticker could be looked at.
    """
    from tickloom.local.addresses import store_session
    from tickloom.monitor.decision import Policy
    from tickloom.monitor.looking import Installed, Question, look

    asked = Policy.usual(cast(Any, rule)).rule
    question = Question(asked, features, reference, recent)
    before = None if facts is None or not facts.exists() else _read(facts)
    if data is not None and not data.is_dir() and len(tickers) > 1:
        raise TickloomError(
            f"--data {data}: one file is of one ticker, and {', '.join(tickers)} are {len(tickers)}; name a folder "
            "with a file TICKER.csv for each"
        )
    place = market_of(tickers[0], market)
    if data is not None:
        found = look(_Files(data, place, home, max_gap), tickers, question, before)
    else:
        with store_session(home) as session:
            sources = Installed(session, registry(mlflow, home), place, experiment)
            found = look(sources, tickers, question, before)
    _tell(found, facts, as_json)
    if all(it.problem for it in found.tickers.values()):
        raise TickloomError(f"no ticker could be looked at: {next(iter(found.tickers.values())).problem}")


class _Files:
    """A file of one ticker's prices, a folder of such files, or a lake; there is no ledger, and nobody's champion."""

    def __init__(self, data: Path, market: str, home: Path | None, max_gap: int) -> None:
        self._data, self._rest = data, {"market": market, "home": home, "max_gap": max_gap}

    def history(self, ticker: str) -> "History":
        """Return the prices of the file."""
        rest = cast(Any, self._rest)
        return history(ticker, self._data, column=None, dates="auto", allow_jumps=False, options=("--max-gap",), **rest)

    def ledger(self, ticker: str) -> "tuple[Sequence[Forecast], Sequence[Score]]":
        """Return nothing."""
        return [], []

    def trained(self, ticker: str) -> date | None:
        """Return nothing."""
        return None


def _read(path: Path) -> "Facts":
    from tickloom.stream.facts import Facts

    try:
        return Facts.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(it) for it in first["loc"]) or "the document"
        raise TickloomError(f"--facts {path}: {where}: {first['msg']}; mend it, or name a new file") from None


def _tell(found: "Facts", path: Path | None, as_json: bool) -> None:
    from tickloom.files import write_whole

    text = found.model_dump_json(exclude_none=True, indent=None if as_json else 2)
    if path is not None:
        write_whole(path, found.model_dump_json(exclude_none=True, indent=2) + "\n")
    if as_json:
        sys.stdout.write(text + "\n")
        return
    _print(found)
    if path is not None:
        typer.echo(f"written: {path}")


def _print(found: "Facts") -> None:
    from tickloom.cli.tables import console, table

    drawn = table(
        "ticker",
        "after",
        "trained",
        "drift",
        "losses",
        "ratio",
        "detectors",
        left=("ticker", "drift", "losses", "detectors"),
    )
    for ticker, it in found.tickers.items():
        drawn.add_row(
            ticker,
            str(it.looked or "–"),
            "–" if it.trained is None else f"{it.trained}, {it.sessions} sessions ago",
            *(f"since {one.id}" if one.found else "–" if it.problem else "no" for one in (it.drift, it.loss)),
            "–" if it.loss.ratio is None else f"{it.loss.ratio:.2f} of {it.loss.sessions}",
            ", ".join(f"{name} {day}" for name, day in it.alarms.items()) or "–",
        )
    shown = console()
    shown.print(drawn)
    for ticker, it in found.tickers.items():
        for what in (it.drift.what, it.loss.what, it.problem and f"not looked at: {it.problem}"):
            if what:
                shown.print(f"{ticker}: {what}")
