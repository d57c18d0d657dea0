"""The times in a CSV column: which of the known ways of writing a file uses, and what they mean."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from tickloom.errors import TickloomError
from tickloom.sources.csvtext import Table

DateOrder = Literal["auto", "month-first", "day-first"]
_CLOCK = (
    r"(?:[T ]+(?P<h>\d{1,2}):(?P<mi>\d{2})(?::(?P<s>\d{2})(?P<f>\.\d{1,9})?)?)?"
    r"(?P<z> ?(?:Z|UTC|[+-]\d{2}:?\d{2}))?"
)
_ISO = re.compile(r"(?P<y>\d{4})[-/](?P<m>\d{1,2})[-/](?P<d>\d{1,2})" + _CLOCK)
_COMPACT = re.compile(r"(?P<y>(?:19|20)\d{2})(?P<m>\d{2})(?P<d>\d{2})" + _CLOCK)
_SLASH = re.compile(r"(?P<a>\d{1,2})[/.-](?P<b>\d{1,2})[/.-](?P<y>\d{4})" + _CLOCK)
_EPOCH = re.compile(r"\d{9,19}(\.\d+)?")
_EPOCH_DAYS = date(1970, 1, 1).toordinal()
_FORMS = ((_ISO, "year first"), (_COMPACT, "YYYYMMDD"), (_SLASH, "year last"))


@dataclass(frozen=True)
class Times:
    """Parsed times.

    Attributes
    ----------
    us : int64[n]
        Microseconds since 1970, of UTC when ``absolute``, else of the exchange's local clock.
    absolute : bool
        Whether the text said the offset from UTC (or counted seconds since 1970).
    dates_only : bool
        Whether no row has a time of day.
    """

    us: npt.NDArray[np.int64]
    absolute: bool
    dates_only: bool


def parse_times(table: Table, cells: list[str], order: DateOrder = "auto") -> Times:
    """Parse the times of a file, which must all be written in one way.

    ISO dates and times, ``YYYYMMDD``, seconds to nanoseconds since 1970, and dates with the year last. Of these, the
    order of day and month is found over the whole file: a number above 12 decides.

    Raises
    ------
    TickloomError
        When a line is no time, two lines are written in different ways, or the order cannot be known
        without ``order``.
    """
    if order not in get_args(DateOrder):
        raise TickloomError(f"--dates {order!r} is unknown; known: {', '.join(get_args(DateOrder))}")
    if _EPOCH.fullmatch(cells[0]) and not _COMPACT.fullmatch(cells[0]):
        return _epoch(table, cells)
    form, matches = _match_all(table, cells)
    if form is _SLASH:
        first, second = ("a", "b") if _month_first(table, cells, matches, order) else ("b", "a")
    else:
        first, second = "m", "d"
    us = np.empty(len(cells), dtype=np.int64)
    for row, match in enumerate(matches):
        try:
            day = date(int(match["y"]), int(match[first]), int(match[second])).toordinal() - _EPOCH_DAYS
            us[row] = day * 86_400_000_000 + _clock_us(match)
        except ValueError as error:
            raise table.fail(row, f"time {cells[row]!r}: {error}") from None
    return Times(us, absolute=matches[0]["z"] is not None, dates_only=matches[0]["h"] is None)


def is_dates_only(cell: str) -> bool:
    """Return whether the text is a date without a time of day."""
    matches = (form.fullmatch(cell) for form, _ in _FORMS)
    return any(match is not None and match["h"] is None for match in matches)


def _match_all(table: Table, cells: list[str]) -> tuple[re.Pattern[str], list[re.Match[str]]]:
    """Return the one form that every cell has; its clock and zone must be there in all rows or in none."""
    for form, _ in _FORMS:
        if form.fullmatch(cells[0]):
            break
    else:
        raise table.fail(0, f"time {cells[0]!r} is not understood; write for example 2024-03-08 or 2024-03-08 15:59:00")
    matches: list[re.Match[str]] = []
    for row, cell in enumerate(cells):
        match = form.fullmatch(cell)
        if match is None or any((match[g] is None) != (matches[0][g] is None) for g in "hz" if matches):
            known = any(other.fullmatch(cell) for other, _ in _FORMS)
            problem = f"is written in another way than {cells[0]!r} in line {table.lines[0]}"
            raise table.fail(row, f"time {cell!r} " + (problem if known else "is not understood"))
        matches.append(match)
    return form, matches


def _month_first(table: Table, cells: list[str], matches: list[re.Match[str]], order: DateOrder) -> bool:
    """Return whether ``04/03/2026`` is the third of April."""
    day_first = next((row for row, match in enumerate(matches) if int(match["a"]) > 12), None)
    month_first = next((row for row, match in enumerate(matches) if int(match["b"]) > 12), None)
    if day_first is not None and month_first is not None:
        row, other = max(day_first, month_first), min(day_first, month_first)
        raise table.fail(
            row, f"date {cells[row]!r} contradicts {cells[other]!r} in line {table.lines[other]}: one has the day first"
        )
    if order != "auto":
        wrong = day_first if order == "month-first" else month_first
        if wrong is not None:
            raise table.fail(wrong, f"date {cells[wrong]!r} is not {order}, as --dates says")
        return order == "month-first"
    if day_first is None and month_first is None:
        raise table.fail(
            0,
            f"date {cells[0]!r} may be day-first or month-first, and no line decides; say --dates day-first or "
            "--dates month-first",
        )
    return month_first is not None


def _clock_us(match: re.Match[str]) -> int:
    """Return microseconds since midnight, less the zone's offset."""
    if match["h"] is None:
        return 0
    hour, minute, second = int(match["h"]), int(match["mi"]), int(match["s"] or 0)
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError("the time of day is out of range")
    fraction = round(float(match["f"]) * 1e6) if match["f"] else 0
    zone = (match["z"] or "").strip()
    shift = 0
    if zone not in ("", "Z", "UTC"):
        shift = (int(zone[1:3]) * 60 + int(zone[-2:])) * (-60 if zone[0] == "-" else 60)
    return (hour * 3600 + minute * 60 + second - shift) * 1_000_000 + fraction


def _epoch(table: Table, cells: list[str]) -> Times:
    """Parse seconds, milliseconds, microseconds or nanoseconds since 1970; the size of the first decides for all."""
    for row, cell in enumerate(cells):
        if not _EPOCH.fullmatch(cell):
            raise table.fail(row, f"time {cell!r} is written in another way than {cells[0]!r} in line {table.lines[0]}")
    first = float(cells[0])
    unit = 1_000_000.0 if first < 1e11 else 1_000.0 if first < 1e14 else 1.0 if first < 1e17 else 0.001
    values = np.array(cells, dtype=np.float64)
    low, high = values.min() * unit, values.max() * unit
    if low < 0 or high > 4_133_980_800_000_000:
        row = int(np.argmax(values))
        raise table.fail(row, f"time {cells[row]!r} and {cells[0]!r} in line {table.lines[0]} count in different units")
    whole = all("." not in cell for cell in cells)
    if whole and unit >= 1:
        return Times(np.array([int(cell) for cell in cells], np.int64) * int(unit), absolute=True, dates_only=False)
    return Times(np.round(values * unit).astype(np.int64), absolute=True, dates_only=False)
