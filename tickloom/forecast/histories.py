"""Histories from a file, from Cassandra or from the lake."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tickloom.errors import TickloomError
from tickloom.forecast.history import MOST_GAP, History
from tickloom.market.instruments import instruments
from tickloom.market.sessions import days_of
from tickloom.sources.csvfile import BarFrame, read_bars
from tickloom.sources.csvtimes import DateOrder

if TYPE_CHECKING:
    from cassandra.cluster import Session

PRICES = ("open", "high", "low", "close")


def from_file(
    path: Path,
    *,
    market: str | None = None,
    ticker: str | None = None,
    column: str | None = None,
    dates: DateOrder = "auto",
    most_gap: int = MOST_GAP,
    allow_jumps: bool = False,
) -> History:
    """Read a CSV of daily bars; ``column`` names the one that holds the closes where the file has many.

    Raises
    ------
    TickloomError
        The file cannot be read, or its prices cannot be learned from.
    """
    bars = read_bars(path, market=market, ticker=ticker, column=column, dates=dates)
    return History.of_bars(bars, path.name, most_gap=most_gap, allow_jumps=allow_jumps)


def from_store(
    session: "Session",
    ticker: str,
    market: str | None = None,
    *,
    most_gap: int = MOST_GAP,
    allow_jumps: bool = False,
) -> History:
    """Read the final daily bars of a ticker from the table ``bars``.

    Raises
    ------
    TickloomError
        There are none, or they cannot be learned from.
    """
    from tickloom.store.queries import bars

    found = bars(session, ticker, "1d", final_only=True)
    if not found.num_rows:
        raise TickloomError(
            f"{ticker} has no final daily bars in keyspace {session.keyspace}: `tickloom load FILE` puts them there, a "
            "StreamJob with the interval 1d makes them, and --data FILE does without"
        )
    frame = pd.DataFrame({name: found[name].to_numpy(zero_copy_only=False).astype(float) for name in PRICES})
    frame["volume"] = np.asarray(found["volume"].to_pylist(), dtype=float)
    frame["day"] = np.asarray([days_of(day) for day in found["day"].to_pylist()], dtype=np.int32)
    return _of(frame, ticker, f"keyspace {session.keyspace}", most_gap, allow_jumps, market)


def from_lake(root: Path, ticker: str, market: str, *, most_gap: int = MOST_GAP, allow_jumps: bool = False) -> History:
    """Make daily bars of the ticks of a lake, which a StreamJob writes.

    Raises
    ------
    TickloomError
        The folder holds no lake of this market or no ticks of this ticker, or they cannot be learned from.
    """
    from tickloom.store import lake

    rows = lake.read(root, market, ticker, ["day", "price", "open", "high", "low", "volume"])
    if rows.empty:
        raise TickloomError(f"{ticker} has no ticks in {root}/market={market}; name another ticker, or --data FILE")
    for name in ("open", "high", "low"):
        rows[name] = rows[name].fillna(rows["price"])  # known where a tick sums up a bar of its source
    grouped = rows.groupby("day", sort=True)
    frame = grouped.agg(open=("open", "first"), high=("high", "max"), low=("low", "min"), close=("price", "last"))
    frame["volume"] = grouped["volume"].sum().astype(float).mask(grouped["volume"].count() < grouped.size())
    frame["day"] = np.asarray([days_of(pd.Timestamp(str(day)).date()) for day in frame.index], dtype=np.int32)
    return _of(frame, ticker, f"lake {root.name}", most_gap, allow_jumps, market)


def _of(
    frame: pd.DataFrame, ticker: str, origin: str, most_gap: int, allow_jumps: bool, market: str | None = None
) -> History:
    known = instruments().get(ticker)
    bars = BarFrame(ticker, market or (known.exchange if known else "XNYS"), "1d", frame.reset_index(drop=True))
    return History.of_bars(bars, origin, most_gap=most_gap, allow_jumps=allow_jumps)
