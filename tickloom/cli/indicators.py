"""``tickloom indicators``: every indicator of a CSV file of bars."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from tickloom.cli.options import Dates, FileInterval, FileTicker, Market

if TYPE_CHECKING:
    import pandas as pd

TABLE_ROWS = 20
app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(
    epilog="Example: tickloom indicators AAPL.csv --only rsi_14,macd --last 5    or: tickloom indicators ATW.csv --json"
)
def indicators(
    file: Annotated[Path, typer.Argument(help="CSV file of bars, daily or intraday.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a bar, oldest first.")] = False,
    only: Annotated[str | None, typer.Option(help="Names, with commas; also with other parameters: sma_30.")] = None,
    last: Annotated[
        int | None, typer.Option(min=1, help=f"Print only the last bars; the table prints {TABLE_ROWS} by default.")
    ] = None,
    market: Market = None,
    ticker: FileTicker = None,
    interval: FileInterval = None,
    dates: Dates = "auto",
) -> None:
    """Compute every indicator for a CSV file of bars.

    With --json each line has time (UTC, the bar's start), day (the exchange's date) and every indicator by its name,
    null where it has no value.
    """
    from tickloom.indicators.registry import REGISTRY, resolve

    wanted = tuple(dict.fromkeys(name.strip() for name in only.split(","))) if only is not None else tuple(REGISTRY)
    resolve(wanted)

    import pandas as pd

    from tickloom.indicators.batch import compute
    from tickloom.sources.csvfile import read_bars

    bars = read_bars(file, market=market, ticker=ticker, interval=interval, dates=cast(Any, dates))
    values = compute(bars.frame, wanted)
    time = pd.to_datetime(bars.frame["time_us"], unit="us").dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    day = pd.to_datetime(bars.frame["day"].astype("int64"), unit="D").dt.strftime("%Y-%m-%d")
    values.insert(0, "day", day)
    values.insert(0, "time", time)
    count = last or (len(values) if as_json else TABLE_ROWS)
    if as_json:
        _print_json(values.tail(count))
    else:
        _print_tables(values.tail(count), bars.interval == "1d", f"{bars.ticker} {bars.interval}")


def _print_json(rows: "pd.DataFrame") -> None:
    names = list(rows.columns)
    for row in rows.itertuples(index=False, name=None):
        typer.echo(json.dumps({name: _plain(value) for name, value in zip(names, row, strict=True)}))


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) or math.isfinite(value) else None


def _print_tables(rows: "pd.DataFrame", daily: bool, title: str) -> None:
    """Print as many columns side by side as the terminal holds, then the next ones below."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    stamps = rows["day"].tolist() if daily else [f"{text[:10]} {text[11:19]}Z" for text in rows["time"]]
    columns = {name: [_short(value) for value in rows[name]] for name in rows.columns[2:]}
    room = console.width - len(max([*stamps, "time"], key=len)) - 4
    while columns:
        table = Table("day" if daily else "time", title=title, title_justify="left")
        chosen: list[str] = []
        used = 0
        for name, cells in columns.items():
            width = max(len(name), *(len(cell) for cell in cells), 0) + 3
            if chosen and used + width > room:
                break
            chosen.append(name)
            used += width
            table.add_column(name, justify="right", no_wrap=True)
        for i, stamp in enumerate(stamps):
            table.add_row(stamp, *(columns[name][i] for name in chosen))
        console.print(table)
        for name in chosen:
            del columns[name]


def _short(value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1e6 or value == int(value) else f"{value:,.4f}"
