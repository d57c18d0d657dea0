"""``tickloom load``: history straight into the store."""

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from tickloom.cli.options import AsJson, Dates, FileInterval, FileTicker, Home, Market
from tickloom.errors import TickloomError

if TYPE_CHECKING:
    import pyarrow as pa

    from tickloom.sources.csvfile import BarFrame

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(epilog="Example: tickloom load us_daily/AAPL.csv us_daily/MSFT.csv    or: tickloom load ATW.csv --json")
def load(
    files: Annotated[list[Path], typer.Argument(help="CSV files of bars, one instrument each.")],
    market: Market = None,
    ticker: FileTicker = None,
    interval: FileInterval = None,
    dates: Dates = "auto",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Write the bars of CSV files into the table bars, with every indicator.

    All files are read and checked before the first bar is written. Loading again writes the same rows again.
    """
    if ticker is not None and len(files) > 1:
        raise TickloomError(
            f"--ticker {ticker} names one instrument, but {len(files)} files are given; load one at a time"
        )

    from tickloom.local.addresses import cassandra_address
    from tickloom.settings import settings
    from tickloom.sources.csvfile import read_bars
    from tickloom.store.connect import connect
    from tickloom.store.migrate import migrate
    from tickloom.store.writer import Writer

    address = cassandra_address(home)
    order = cast(Any, dates)
    frames = [read_bars(file, market=market, ticker=ticker, interval=interval, dates=order) for file in files]
    for file, frame in zip(files, frames, strict=True):
        typer.echo(identity(file, frame, named=ticker is not None, placed=market is not None), err=True)
    begin = time.monotonic()
    migrate(address)
    session = connect(address, settings().keyspace)
    try:
        writer = Writer(session)
        for frame in frames:
            writer.write("bars", as_rows(frame))
        writer.flush()
    finally:
        session.cluster.shutdown()
    done = [_about(file, frame) for file, frame in zip(files, frames, strict=True)]
    total = sum(frame["bars"] for frame in done)
    seconds = round(time.monotonic() - begin, 3)
    if as_json:
        sys.stdout.write(json.dumps({"bars": total, "seconds": seconds, "files": done}) + "\n")
        return
    typer.echo(f"{total:,} bars with their indicators loaded in {seconds:.1f} s")
    for one in done:
        typer.echo(f"{one['ticker']}: {one['bars']:,} bars of {one['interval']} from {one['first']} to {one['last']}")
    typer.echo(f"Look at them with: tickloom show bars {done[0]['ticker']} --interval {done[0]['interval']}")


def identity(file: Path, bars: "BarFrame", *, named: bool, placed: bool) -> str:
    """Return in a sentence under which ticker and market the bars of a file are stored, and what says so.

    Parameters
    ----------
    named, placed
        Whether the command line says the ticker, and the market.
    """
    from tickloom.market.instruments import instruments

    origin = "--ticker" if named else "the file's name"
    text = f"{file}: ticker {bars.ticker}, from {origin}; market {bars.market}"
    if bars.ticker in instruments():
        return text
    guessed = "" if placed else ", by default"
    remedy = "" if named else "; say --ticker if it has another name"
    return f"{text}{guessed}\nwarning: {bars.ticker} is in no instrument list{remedy}"


def as_rows(bars: "BarFrame") -> "pa.Table":
    """Return bars with every indicator of the registry as rows of the table ``bars``."""
    import numpy as np
    import pyarrow as pa

    from tickloom.indicators.batch import compute
    from tickloom.store.maps import indicator_maps

    frame = bars.frame
    rows = len(frame)
    values = compute(frame)
    day = frame["day"].to_numpy(np.int32)
    volume = frame["volume"].to_numpy(np.float64)
    unknown = np.isnan(volume)
    return pa.table(
        {
            "ticker": pa.array([bars.ticker] * rows, pa.string()),
            "interval": pa.array([bars.interval] * rows, pa.string()),
            "year": pa.array(day.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int32) + 1970, pa.int32()),
            "time_us": pa.array(frame["time_us"].to_numpy(np.int64)),
            "day": pa.array(day).cast(pa.date32()),
            **{name: pa.array(frame[name].to_numpy(np.float64)) for name in ("open", "high", "low", "close")},
            "volume": pa.array(np.where(unknown, 0, volume).round().astype(np.int64), mask=unknown),
            "final": pa.array(np.ones(rows, bool)),
            "source": pa.array(["load"] * rows, pa.string()),
            "indicators": indicator_maps(values.to_numpy(np.float64), list(values.columns)),
        }
    )


def _about(file: Path, bars: "BarFrame") -> dict[str, Any]:
    from tickloom.market.sessions import day_of

    days = bars.frame["day"]
    span = [day_of(int(days.iloc[i])).isoformat() if len(days) else None for i in (0, -1)]
    return {
        "file": str(file),
        "ticker": bars.ticker,
        "market": bars.market,
        "interval": bars.interval,
        "bars": len(days),
        "first": span[0],
        "last": span[1],
    }
