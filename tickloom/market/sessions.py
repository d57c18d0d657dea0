"""A calendar as arrays, to find the session and the local date of millions of times."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from tickloom.errors import TickloomError
from tickloom.market.calendars import calendar

Times = npt.NDArray[np.int64]
DAY_US = 86_400_000_000
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, eq=False)
class SessionTable:
    """The sessions of one exchange over all the years that its calendar covers, oldest first.

    Attributes
    ----------
    mic : str
        Market identifier code.
    day : int32[n]
        Exchange-local date of each session, days since 1970.
    open_us, close_us : int64[n]
        Open and close in UTC microseconds since 1970; short days as they are.
    """

    mic: str
    day: npt.NDArray[np.int32]
    open_us: Times
    close_us: Times
    _changes_us: Times = field(repr=False)
    _offsets_us: Times = field(repr=False)

    def __len__(self) -> int:
        return len(self.day)

    def locate(self, times_us: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return for each time the index of the session with open <= time <= close, or -1.

        Any int64 is a valid time; one before the first or after the last session gives -1.
        """
        times = np.asarray(times_us, dtype=np.int64)
        index = np.searchsorted(self.open_us, times, side="right") - 1
        inside = (index >= 0) & (times <= self.close_us[np.maximum(index, 0)])
        return np.where(inside, index, -1)

    def open_at(self, at_s: float) -> bool:
        """Return whether the exchange trades at a time, in seconds since 1970."""
        return bool(self.locate([int(at_s * 1e6)])[0] >= 0)

    def local_day(self, times_us: npt.ArrayLike) -> npt.NDArray[np.int32]:
        """Return the exchange-local date of each time, in or out of a session, as days since 1970."""
        times = np.asarray(times_us, dtype=np.int64)
        # Floor division and remainder apart, so that adding the offset cannot overflow at the ends of int64.
        day, rest = np.divmod(times, DAY_US)
        return (day + (rest + self.offset_us(times)) // DAY_US).astype(np.int32)

    def offset_us(self, times_us: npt.ArrayLike) -> Times:
        """Return what must be added to each UTC time to get the exchange's local time, in microseconds."""
        times = np.asarray(times_us, dtype=np.int64)
        return self._offsets_us[np.searchsorted(self._changes_us, times, side="right")]

    def to_utc(self, local_us: npt.ArrayLike) -> Times:
        """Return the UTC time of exchange-local times; of two (when clocks go back) the earlier one.

        A local time that clocks skip is read with the offset before the change.
        """
        local = np.asarray(local_us, dtype=np.int64)
        starts = self._changes_us + np.maximum(self._offsets_us[:-1], self._offsets_us[1:])
        return local - self._offsets_us[np.searchsorted(starts, local, side="right")]

    def next_close(self, after_us: int) -> int:
        """Return the first close that is later than ``after_us``, or raise when the calendar has none."""
        index = int(np.searchsorted(self.close_us, after_us, side="right"))
        if index == len(self.close_us):
            raise TickloomError(f"calendar {self.mic} ends at {day_of(int(self.day[-1]))}; no later session is known")
        return int(self.close_us[index])

    def index_of_day(self, days: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return for each local date (days since 1970) the index of its session, or -1 when there is none."""
        wanted = np.asarray(days, dtype=np.int32)
        index = np.minimum(np.searchsorted(self.day, wanted), len(self.day) - 1)
        return np.where(self.day[index] == wanted, index, -1)

    def regular_hours(self, days: npt.ArrayLike) -> tuple[Times, Times]:
        """Return open and close in UTC microseconds that the usual hours give for any dates, sessions or not."""
        schedule = calendar(self.mic)
        start = np.asarray(days, dtype=np.int64) * DAY_US
        return tuple(  # type: ignore[return-value]
            self.to_utc(start + (t.hour * 3600 + t.minute * 60) * 1_000_000)
            for t in (schedule.open_times[-1][1], schedule.close_times[-1][1])
        )


def day_of(days: int) -> date:
    """Return the date of a number of days since 1970."""
    return _EPOCH + timedelta(days=int(days))


def days_of(day: date) -> int:
    """Return the number of days since 1970 of a date."""
    return (day - _EPOCH).days


def _zone_changes(zone: ZoneInfo) -> tuple[Times, Times]:
    """Return when the zone's offset changes 1970 to 2100, and the offsets before, between and after (one more)."""

    def offset(second: int) -> int:
        shift = datetime.fromtimestamp(second, UTC).astimezone(zone).utcoffset()
        return int(shift.total_seconds()) if shift is not None else 0

    changes, offsets = [], [offset(0)]
    last, step = days_of(date(2101, 1, 1)) * 86_400, 86_400
    for end in range(step, last, step):
        if offset(end) == offsets[-1]:
            continue
        low, high = end - step, end
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(middle) == offsets[-1] else (low, middle)
        changes.append(high)
        offsets.append(offset(high))
    return np.array(changes, np.int64) * 1_000_000, np.array(offsets, np.int64) * 1_000_000


@lru_cache(maxsize=8)
def _whole_table(mic: str) -> SessionTable:
    schedule = calendar(mic)
    changes, offsets = _zone_changes(ZoneInfo(str(schedule.tz)))
    sessions = schedule.sessions.values.astype("datetime64[D]")
    table = SessionTable(
        mic=mic,
        day=sessions.astype(np.int64).astype(np.int32),
        open_us=schedule.opens.to_numpy(dtype="datetime64[us]").astype(np.int64),
        close_us=schedule.closes.to_numpy(dtype="datetime64[us]").astype(np.int64),
        _changes_us=changes,
        _offsets_us=offsets,
    )
    for array in (table.day, table.open_us, table.close_us, changes, offsets):
        array.setflags(write=False)
    return table


def session_table(mic: str, first_day: date | None = None, last_day: date | None = None) -> SessionTable:
    """Return the table of an exchange; built once for all years that its calendar covers.

    That takes about 0.2 s. As the table never grows, an index that `SessionTable.locate` gave stays valid.

    Parameters
    ----------
    mic : str
        Market identifier code.
    first_day, last_day : date or None
        Dates that the table must cover.

    Raises
    ------
    TickloomError
        When the exchange is unknown, or the calendar does not reach ``first_day`` or ``last_day``.
    """
    table = _whole_table(mic)
    low, high = day_of(int(table.day[0])), day_of(int(table.day[-1]))
    for wanted in (first_day, last_day):
        if wanted is not None and not low.year <= wanted.year <= high.year:
            raise TickloomError(f"calendar {mic} covers {low.year} to {high.year}; {wanted} is outside of it")
    return table
