"""When the bars of a file begin and end: their interval, what their stamps mean, and the sessions they lie in."""

from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from tickloom.errors import TickloomError
from tickloom.market.intervals import INTERVALS, SECONDS, Interval
from tickloom.market.sessions import DAY_US, SessionTable, day_of
from tickloom.sources.csvtext import Table
from tickloom.sources.csvtimes import Times

Label = Literal["start", "end"]
USUAL = "placed at the usual hours"
"""Ends the note on dates without a session."""


def is_daily(times: Times, sessions: SessionTable) -> bool:
    """Return whether no row has a time of day: no clock at all, or midnight on every row, local or UTC."""
    if times.dates_only or not np.any(times.us % DAY_US):
        return True
    return times.absolute and not np.any((times.us + sessions.offset_us(times.us)) % DAY_US)


def place_sessions(
    times: Times, sessions: SessionTable, notes: list[str]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Return open, close and date of the sessions; usual hours for a date on which the calendar has none."""
    midnight_utc = times.absolute and np.any(times.us % DAY_US)
    day = sessions.local_day(times.us) if midnight_utc else (times.us // DAY_US).astype(np.int32)
    index = sessions.index_of_day(day)
    start, end = sessions.open_us[index].copy(), sessions.close_us[index].copy()
    absent = index < 0
    if absent.any():
        start[absent], end[absent] = sessions.regular_hours(day[absent])
        some = ", ".join(str(day_of(int(d))) for d in day[absent][:3])
        notes.append(
            f"{int(absent.sum())} dates are no session of {sessions.mic} ({some}{' …' if absent.sum() > 3 else ''}): "
            f"{USUAL}"
        )
    return start, end, day


def refuse_weekly(path: Path, day: npt.NDArray[np.int32]) -> None:
    """Raise when dates are mostly more than a weekend apart."""
    spacing = np.diff(np.unique(day))
    if len(spacing) >= 3 and np.median(spacing) > 4:
        days = int(np.median(spacing))
        raise TickloomError(
            f"{path}: rows are {days} days apart, longer than a session; give daily bars, or keep these with "
            "--interval 1d, where a verb has it"
        )


def to_utc(
    table: Table, cells: list[str], rows: npt.NDArray[np.int64], times: Times, sessions: SessionTable
) -> npt.NDArray[np.int64]:
    """Return times in UTC; a local time that the exchange's clocks skip is refused with its line."""
    if times.absolute:
        return times.us
    stamp = sessions.to_utc(times.us)
    skipped = stamp + sessions.offset_us(stamp) != times.us
    if skipped.any():
        row = int(rows[np.argmax(skipped)])
        raise table.fail(
            row,
            f"time {cells[row]!r} does not exist on the clocks of {sessions.mic}, which skip it; "
            "if it is UTC, write 2024-03-10T02:30:00Z",
        )
    return stamp


def doubt_zone(
    table: Table, cells: list[str], rows: npt.NDArray[np.int64], start: npt.NDArray[np.int64], sessions: SessionTable
) -> list[str]:
    """Return a sentence when more than half of the rows begin outside of the sessions, else nothing."""
    outside = sessions.locate(start) < 0
    count = int(outside.sum())
    if 2 * count <= len(start):
        return []
    row = int(rows[np.argmax(outside)])
    return [
        f"{count:,} of {len(start):,} rows lie outside the sessions of {sessions.mic}, the first in line "
        f"{table.lines[row]} at {cells[row]}: are the time zone and the market right?"
    ]


def modal_interval(path: Path, stamp: npt.NDArray[np.int64]) -> Interval:
    """Return the interval that is the most frequent spacing."""
    spacing, counts = np.unique(np.diff(np.unique(stamp)), return_counts=True)
    if not len(spacing):
        raise TickloomError(f"{path}: one row does not tell its interval; say --interval ({', '.join(INTERVALS)})")
    seconds = int(spacing[np.argmax(counts)]) / 1e6
    for name in INTERVALS[:-1]:
        if SECONDS[name] == seconds:
            return name
    raise TickloomError(
        f"{path}: rows are mostly {seconds:g} s apart, which is no known interval ({', '.join(INTERVALS)}); "
        "say --interval; single trades are no bars"
    )


def find_label(stamp: npt.NDArray[np.int64], sessions: SessionTable) -> Label:
    """Return ``end`` when stamps fall on the close of sessions and never on their open, else ``start``."""
    index = sessions.locate(stamp)
    inside, index = stamp[index >= 0], index[index >= 0]
    on_close = np.any(inside == sessions.close_us[index])
    return "end" if on_close and not np.any(inside == sessions.open_us[index]) else "start"


def place_intraday(
    stamp: npt.NDArray[np.int64], length: int, end_stamps: bool, sessions: SessionTable
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return start and end of intraday bars; the last bar of a session ends with it, even when shorter."""
    index = sessions.locate(stamp)
    opens, closes = sessions.open_us[index], sessions.close_us[index]
    if end_stamps:
        last = (index >= 0) & (stamp == closes)
        return np.where(last, opens + (stamp - 1 - opens) // length * length, stamp - length), stamp
    across = (index >= 0) & (stamp < closes) & (stamp + length > closes)
    return stamp, np.where(across, closes, stamp + length)
