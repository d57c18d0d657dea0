"""Bars and ticks from a CSV file of any common vendor, checked line by line."""

import difflib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import structlog

from tickloom.errors import TickloomError
from tickloom.market.instruments import instruments
from tickloom.market.intervals import Interval, interval_us, parse_interval
from tickloom.market.records import TICKER
from tickloom.market.sessions import session_table
from tickloom.sources.csvspans import (
    Label,
    doubt_zone,
    find_label,
    is_daily,
    modal_interval,
    place_intraday,
    place_sessions,
    refuse_weekly,
    to_utc,
)
from tickloom.sources.csvtext import Table, numbers, read_table
from tickloom.sources.csvtimes import DateOrder, Times, is_dates_only, parse_times

PRICES = ("open", "high", "low", "close")
_log = structlog.get_logger()
_NAMES: dict[str, tuple[str, ...]] = {
    "time": ("datetime", "date_time", "timestamp", "date", "time", "day"),
    "open": ("open", "price_open", "opening"),
    "high": ("high", "price_high", "max"),
    "low": ("low", "price_low", "min"),
    "close": ("close", "price_close", "price", "last", "close_last", "closing"),
    "volume": ("volume", "vol", "price_volume", "quantity", "size"),
    "source": ("source",),
    "sequence": ("sequence", "seq"),
}


@dataclass(frozen=True)
class BarFrame:
    """The bars of one instrument.

    Attributes
    ----------
    frame : DataFrame
        Oldest first: ``time_us`` int64, the bar's start in UTC microseconds; ``end_us`` int64, its end, when it is
        known; ``day`` int32, the exchange's local date in days since 1970; ``open, high, low, close, volume`` float64,
        NaN where the file does not know them.
    label : str
        Whether the vendor's stamp was the bar's ``start`` or its ``end``; ``start`` for daily bars.
    notes : tuple of str
        What was noticed or left out, one sentence each; also logged as warnings.
    """

    ticker: str
    market: str
    interval: Interval
    frame: pd.DataFrame
    label: Label = "start"
    notes: tuple[str, ...] = field(default=())


def read_bars(
    path: str | Path,
    *,
    market: str | None = None,
    ticker: str | None = None,
    interval: str | None = None,
    label: Literal["auto", "start", "end"] = "auto",
    dates: DateOrder = "auto",
    column: str | None = None,
) -> BarFrame:
    """Read a CSV file of bars.

    Parameters
    ----------
    path : str or Path
        Header synonyms, number and date styles of the common vendors are understood; ``Adj Close`` is never the close.
    market : str or None
        MIC whose calendar and time zone hold; None takes the known instrument's, else XNYS.
    ticker : str or None
        None takes the file name up to its first ``_`` or ``.``.
    interval : str or None
        None takes the most frequent spacing of the rows.
    label : str
        Whether an intraday stamp is the bar's start or end; ``auto`` says end when stamps fall on the close of sessions
        and never on their open.
    dates : str
        ``month-first`` or ``day-first`` for a file whose every day is below 13.
    column : str or None
        In a wide file with one column of closes per listing, the listing's column; open, high and low stay NaN, and
        rows without a value are left out.

    Raises
    ------
    TickloomError
        With the line number and the value, when the file is not what it should be.
    """
    path = Path(path)
    code, mic = _identity(path, ticker, market, column)
    table = read_table(path)
    cells, rows, values, notes = _columns(table, column)
    times = parse_times(table, cells, dates)
    rows, values = _drop_empty(table, rows, values, column is not None, notes)
    times = Times(times.us[rows], times.absolute, times.dates_only)
    if times.dates_only and interval not in (None, "1d"):
        raise table.fail(0, f"time {cells[0]!r} has no time of day, so interval cannot be {interval!r}; say 1d")
    sessions = session_table(mic)
    daily = interval == "1d" or (interval is None and is_daily(times, sessions))
    if daily:
        start, end, day = place_sessions(times, sessions, notes)
        length: Interval = "1d"
        if interval is None:
            refuse_weekly(path, day)
    else:
        stamp = to_utc(table, cells, rows, times, sessions)
        length = parse_interval(interval) if interval is not None else modal_interval(path, stamp)
        label = find_label(stamp, sessions) if label == "auto" else label
        start, end = place_intraday(stamp, interval_us(length), label == "end", sessions)
        day = sessions.local_day(start)
        notes += doubt_zone(table, cells, rows, start, sessions)
    keep = _order(table, rows, start, values, notes)
    frame = pd.DataFrame({"time_us": start[keep], "end_us": end[keep], "day": day[keep]})
    for name in (*PRICES, "volume"):
        frame[name] = values[name][keep]
    for note in notes:
        _log.warning(note, file=str(path), ticker=code)
    return BarFrame(code, mic, length, frame, "end" if label == "end" and not daily else "start", tuple(notes))


def read_ticks(
    path: str | Path, *, market: str | None = None, ticker: str | None = None, dates: DateOrder = "auto"
) -> pd.DataFrame:
    """Read a CSV file of single trades or quotes of one instrument, oldest first.

    Returns
    -------
    DataFrame
        ``time_us`` int64 UTC, ``price`` float64, ``volume`` float64 (NaN when unknown), and ``source`` (str) and
        ``sequence`` (int64) when the file has them. Ticks of the same time keep their order in the file.
    """
    path = Path(path)
    code, mic = _identity(path, ticker, market, None)
    table, sessions = read_table(path), session_table(mic)
    found = _find_columns(table, ("time", "close"))
    cells = _time_cells(table, found)
    times = parse_times(table, cells, dates)
    if times.dates_only:
        raise table.fail(0, f"time {cells[0]!r} has no time of day; bars need read_bars")
    rows = np.arange(len(table))
    us = to_utc(table, cells, rows, times, sessions)
    for note in doubt_zone(table, cells, rows, us, sessions):
        _log.warning(note, file=str(path), ticker=code)
    price = numbers(table, found["close"])
    _refuse(table, rows, ~(price > 0), found["close"], "must be above 0")
    frame = pd.DataFrame({"time_us": us, "price": price})
    frame["volume"] = numbers(table, found["volume"], scaled=True) if "volume" in found else np.nan
    if "volume" in found:
        _refuse(table, rows, frame["volume"].to_numpy() < 0, found["volume"], "must not be negative")
    if "source" in found:
        frame["source"] = table.columns[found["source"]]
    if "sequence" in found:
        sequence = numbers(table, found["sequence"])
        wrong = ~((sequence >= 0) & (sequence == np.floor(sequence)))
        _refuse(table, rows, wrong, found["sequence"], "must be a whole number, 0 or more")
        frame["sequence"] = sequence.astype(np.int64)
    return frame.sort_values("time_us", kind="stable", ignore_index=True)


def is_tick_file(path: str | Path) -> bool:
    """Return whether a file holds single prices and not bars: no column for high or low, and a time of day."""
    table = read_table(Path(path))
    found = _find_columns(table, ("time",))
    return "high" not in found and "low" not in found and not is_dates_only(_time_cells(table, found)[0])


def ticker_of(path: str | Path) -> str:
    """Return the ticker that a file's name says: its part before the first ``_`` or ``.``, in capitals."""
    return re.split(r"[_.]", Path(path).name, maxsplit=1)[0].upper()


def _identity(path: Path, ticker: str | None, market: str | None, column: str | None) -> tuple[str, str]:
    if ticker is None and column is not None:
        raise TickloomError(f"{path}: column {column!r} needs ticker=, for the file holds many listings")
    code = ticker if ticker is not None else ticker_of(path)
    if not TICKER.fullmatch(code):
        raise TickloomError(
            f"{path}: ticker {code!r} is none: 1 to 16 capital letters, digits, '.' and '-'; say --ticker"
        )
    if market is None:
        known = instruments().get(code)
        market = known.exchange if known is not None else "XNYS"
    session_table(market)
    return code, market


def _find_columns(table: Table, needed: tuple[str, ...]) -> dict[str, int]:
    """Return the position of each role's column; the first name of a role's list that the header has wins."""
    keys = [re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") for name in table.header]
    found = {
        role: keys.index(next(name for name in names if name in keys))
        for role, names in _NAMES.items()
        if any(name in keys for name in names)
    }
    for role in needed:
        if role not in found:
            raise TickloomError(
                f"{table.path}, line 1: no column for {role} ({', '.join(_NAMES[role])}); "
                f"columns found: {', '.join(table.header)}"
            )
    return found


def _time_cells(table: Table, found: dict[str, int]) -> list[str]:
    """Return the cells of the time; a column ``date`` beside a column ``time`` is joined with it."""
    keys = [name.strip().lower() for name in table.header]
    if "date" in keys and "time" in keys and found["time"] == keys.index("date"):
        pairs = zip(table.columns[keys.index("date")], table.columns[keys.index("time")], strict=True)
        return [f"{day} {clock}".strip() for day, clock in pairs]
    return table.columns[found["time"]]


def _columns(
    table: Table, column: str | None
) -> tuple[list[str], npt.NDArray[np.int64], dict[str, npt.NDArray[np.float64]], list[str]]:
    """Return the time cells, the row numbers, and the five columns as numbers."""
    found = _find_columns(table, ("time",) if column is not None else ("time", "close"))
    if column is not None:
        if column not in table.header:
            close = difflib.get_close_matches(column, table.header, n=3, cutoff=0.4) or table.header[:5]
            raise TickloomError(f"{table.path}, line 1: no column {column!r}; close ones: {', '.join(close)}")
        found = {"time": found["time"], "close": table.header.index(column)}
    rows = np.arange(len(table))
    values = {
        name: numbers(table, found[name], scaled=name == "volume") if name in found else np.full(len(table), np.nan)
        for name in (*PRICES, "volume")
    }
    for name in PRICES:
        if name in found:
            _refuse(table, rows, values[name] <= 0, found[name], "must be above 0")
    if "volume" in found:
        _refuse(table, rows, values["volume"] < 0, found["volume"], "must not be negative")
    low, high = values["low"], values["high"]
    for name in ("open", "close"):
        if name in found:
            wrong = (values[name] < low) | (values[name] > high)
            _refuse(table, rows, wrong, found[name], "is outside of low and high")
    missing = [name for name in PRICES[:3] if name not in found]
    notes = [f"the file has no {', '.join(missing)}: left unknown"] if missing else []
    return _time_cells(table, found), rows, values, notes


def _refuse(table: Table, rows: npt.NDArray[np.int64], wrong: npt.NDArray[np.bool_], column: int, rule: str) -> None:
    if wrong.any():
        row = int(rows[np.argmax(wrong)])
        raise table.fail(
            row, f"{table.header[column]} {table.columns[column][row]!r} {rule}; correct it or remove the line"
        )


def _drop_empty(
    table: Table,
    rows: npt.NDArray[np.int64],
    values: dict[str, npt.NDArray[np.float64]],
    wide: bool,
    notes: list[str],
) -> tuple[npt.NDArray[np.int64], dict[str, npt.NDArray[np.float64]]]:
    """Leave out rows without any price; a row that has others but no close is refused."""
    unknown = np.isnan(values["close"])
    if not unknown.any():
        return rows, values
    some = unknown & ~np.all([np.isnan(values[name]) for name in PRICES], axis=0)
    if some.any():
        raise table.fail(
            int(np.argmax(some)), "the close is missing though other prices are there; add it, or remove the line"
        )
    if unknown.all():
        raise TickloomError(f"{table.path}: no row has a close; give a file or a column with prices")
    notes.append(f"{int(unknown.sum())} rows without a price left out" + (" (no trade that day)" if wide else ""))
    return rows[~unknown], {name: column[~unknown] for name, column in values.items()}


def _order(
    table: Table,
    rows: npt.NDArray[np.int64],
    start: npt.NDArray[np.int64],
    values: dict[str, npt.NDArray[np.float64]],
    notes: list[str],
) -> npt.NDArray[np.int64]:
    """Return positions oldest first; a repeated time is dropped when its numbers are the same, else refused."""
    order = np.argsort(start, kind="stable")
    again = np.flatnonzero(np.diff(start[order]) == 0) + 1
    if not len(again):
        return order
    for name in (*PRICES, "volume"):
        now, before = values[name][order[again]], values[name][order[again - 1]]
        differs = ~((now == before) | (np.isnan(now) & np.isnan(before)))
        if differs.any():
            place = int(again[np.argmax(differs)])
            first, second = sorted(int(rows[order[i]]) for i in (place - 1, place))
            raise table.fail(
                second,
                f"the time of line {table.lines[first]} stands here again with another {name}; remove one of them",
            )
    notes.append(f"{len(again)} repeated rows left out")
    return np.delete(order, again)
