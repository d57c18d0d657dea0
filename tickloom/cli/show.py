"""``tickloom show``: what the store and the topic of dead letters hold, as a table."""

import json
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tickloom.cli.options import Home
from tickloom.cli.showing import Query, ask, layout
from tickloom.errors import TickloomError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tickloom.bus.deadletters import DeadLetter

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Print prices, bars, anomalies or dead letters as a table, oldest first.",
    epilog="Example: tickloom show prices ATW --last 20",
)

Ticker = Annotated[str, typer.Argument(help="Ticker, for example AAPL.")]
Last = Annotated[int, typer.Option(min=1, help="Only the last so many.")]
From = Annotated[
    str | None, typer.Option("--from", help="A date of the exchange, or a time in UTC as 2019-02-15T14:30:00Z.")
]
To = Annotated[str | None, typer.Option("--to", help="A date, itself included, or a time, itself excluded.")]
Utc = Annotated[bool, typer.Option("--utc", help="Times in UTC; default the exchange's local time.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object a row, times in UTC.")]
LETTERS_READ = 2000
"""Messages of each partition that are read for the last dead letters of all tickers."""
SHOWN_BYTES = 60


@app.command(epilog="Example: tickloom show prices AAPL --from 2019-02-15 --last 5")
def prices(
    ticker: Ticker, last: Last = 20, start: From = None, end: To = None, home: Home = None, utc: Utc = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Print the prices of a ticker with their rolling statistics."""
    _print(Query("prices", ticker, last, start, end), home, utc, as_json)


@app.command(epilog="Example: tickloom show bars AAPL --interval 5m --last 5 --json")
def bars(
    ticker: Ticker,
    interval: Annotated[
        str | None, typer.Option(help="1m, 5m, 15m, 1h or 1d; default the shortest that the ticker has.")
    ] = None,
    final: Annotated[bool, typer.Option("--final", help="Only bars that no later record can change.")] = False,
    last: Last = 20, start: From = None, end: To = None, home: Home = None, utc: Utc = False, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Print the bars of a ticker; with --json also their indicators."""
    _print(Query("bars", ticker, last, start, end, interval, final), home, utc, as_json)


@app.command(epilog="Example: tickloom show anomalies AAPL")
def anomalies(
    ticker: Ticker, last: Last = 20, start: From = None, end: To = None, home: Home = None, utc: Utc = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Print the prices of a ticker that lay far from their rolling mean."""
    _print(Query("anomalies", ticker, last, start, end), home, utc, as_json)


@app.command(
    "dead-letters", epilog="Example: tickloom show dead-letters --last 5    or: tickloom show dead-letters AAPL"
)
def dead_letters(
    ticker: Annotated[str | None, typer.Argument(help="Only records with this key; default all.")] = None,
    job: Annotated[str | None, typer.Option(help="Only what this StreamJob refused; default all.")] = None,
    last: Last = 20,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Print the records that were refused, and why; each once."""
    from rich.console import Console
    from rich.table import Table

    found = _letters(ticker, job, last, home)
    if as_json:
        for letter in found:
            sys.stdout.write(json.dumps(_letter(letter)) + "\n")
        return
    if not found:
        typer.echo(f"no record{'' if ticker is None else f' with the key {ticker}'} was refused", err=True)
        return
    table = Table("written", "record", "key", "reason", "detail", "job", "value", title="dead letters, times in UTC")
    for letter in found:
        about = _letter(letter)
        stamp = (about["written"] or "–")[:19].replace("T", " ")
        value = "–" if letter.value is None else ascii(letter.value[:SHOWN_BYTES])[2:-1]
        table.add_row(stamp, letter.id, about["key"] or "–", letter.reason, letter.detail, letter.job, value)
    Console(markup=False).print(table)


def _letters(ticker: str | None, job: str | None, last: int, home: Path | None) -> "list[DeadLetter]":
    from tickloom.bus.deadletters import read
    from tickloom.bus.topics import topic_name
    from tickloom.local.addresses import kafka_address

    # The letters of one ticker or job may lie anywhere before the last ones of all.
    most = max(LETTERS_READ, last) if ticker is None and job is None else None
    found = read(kafka_address(home), topic_name("dead-letters"), job=job, last=most)
    mine = (letter for letter in found if ticker is None or letter.key == ticker.encode())
    return sorted(mine, key=lambda letter: (letter.written_ms or 0, letter.id))[-last:]


def _letter(letter: "DeadLetter") -> dict[str, Any]:
    written = letter.written_ms
    return {
        "id": letter.id,
        "reason": letter.reason,
        "detail": letter.detail,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "job": letter.job,
        "key": None if letter.key is None else letter.key.decode("utf-8", "replace"),
        "value": None if letter.value is None else letter.value.decode("utf-8", "replace"),
        "written": None if written is None else _plain(datetime.fromtimestamp(written / 1000, UTC)),
    }


def render(query: Query, home: Path | None = None, utc: bool = False) -> "RenderableType":
    """Return the prices, bars or anomalies of a ticker as a table, or a sentence where there are none."""
    answer = ask(query, home)
    return layout(query, answer.rows, utc) if answer.rows else answer.why


def _print(query: Query, home: Path | None, utc: bool, as_json: bool) -> None:
    answer = ask(query, home)
    if not answer.rows:
        if not answer.known:
            raise TickloomError(answer.why)
        typer.echo(answer.why, err=True)
    elif as_json:
        for row in answer.rows:
            sys.stdout.write(json.dumps({name: _plain(value) for name, value in row.items()}) + "\n")
    else:
        from rich.console import Console

        Console(markup=False).print(layout(query, answer.rows, utc))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value.isoformat() if isinstance(value, date) else value
