"""The calendar of the Casablanca exchange (XCAS), which ``exchange_calendars`` does not have.

Sources and assumptions
-----------------------
- Hours: the exchange's page "Les horaires de cotation", group 01 (shares traded continuously): the opening auction is
  uncrossed at 09:30, the closing one at 15:30; in Ramadan 10:00 and 13:30. Both are random by up to 60 seconds, and
  trading at the closing price goes on for about ten minutes after; the calendar has the nominal times. The hours of
  that page, read in 2025, are applied to every year: for earlier years they are an assumption.
- From 2020-03-24 the Ramadan hours applied because of the pandemic (communiqué of the exchange of 2020-03-23), and
  Ramadan followed. When the long hours came back is not known here; the calendar has them from the end of Ramadan.
- Holidays with fixed dates: decree 2-77-169 and its changes; 14 January since 2024; 31 October was announced in
  November 2025 and is expected from 2026. A holiday on a weekend moves to no other day.
- Islamic holidays: `tickloom.market.hijri`, corrected by ``casablanca_days.csv`` and by the file that
  ``TICKLOOM_HOLIDAYS`` names. Before corrections the rules agree with 1,307 of 1,308 weekdays 2017-02-01 to 2022-02-04
  and with 260 of 263 weekdays 2025-04-14 to 2026-04-15, by the days on which shares traded; after, with all.
- The first year is 2000, the first in which Throne Day stood on 30 July. From 2088 the tz database knows no change of
  offset in Ramadan, so the calendar ends at 2087.
"""

from collections.abc import Iterator, Mapping
from datetime import date, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import pandas as pd
from exchange_calendars import ExchangeCalendar

from tickloom.market import hijri
from tickloom.market.holidays import SHIPPED, Override, read_overrides
from tickloom.settings import settings

FIRST, LAST = date(2000, 1, 1), date(2087, 12, 31)
OPEN, CLOSE = time(9, 30), time(15, 30)
SHORT_OPEN, SHORT_CLOSE = time(10, 0), time(13, 30)
_PANDEMIC = (date(2020, 3, 24), date(2020, 5, 23))

_FIXED: tuple[tuple[int, int, str, int], ...] = (  # month, day, name, first year
    (1, 1, "New Year", 2000),
    (1, 11, "Independence Manifesto", 2000),
    (1, 14, "Amazigh New Year", 2024),
    (5, 1, "Labour Day", 2000),
    (7, 30, "Throne Day", 2000),
    (8, 14, "Oued Ed-Dahab", 2000),
    (8, 20, "Revolution of the King and the People", 2000),
    (8, 21, "Youth Day", 2000),
    (10, 31, "Unity Day", 2026),
    (11, 6, "Green March", 2000),
    (11, 18, "Independence Day", 2000),
)
_ISLAMIC: tuple[tuple[int, int, int, str], ...] = (  # month, day, number of days, name
    (1, 1, 1, "Islamic New Year"),
    (3, 12, 2, "Mawlid"),
    (10, 1, 2, "Eid al-Fitr"),
    (12, 10, 2, "Eid al-Adha"),
)


def _hijri_years(first: date, last: date) -> range:
    return range(int((first.year - 622) * 1.0307) - 1, int((last.year - 622) * 1.0307) + 3)


def rule_holidays(first: date = FIRST, last: date = LAST) -> dict[date, str]:
    """Return the closures that the rules give, weekends included, before any correction."""
    found: dict[date, str] = {}
    for year in _hijri_years(first, last):
        for month, day, count, name in _ISLAMIC:
            start = hijri.month_start(year, month) + timedelta(days=day - 1)
            found.update({start + timedelta(days=i): name for i in range(count)})
    for year in range(first.year, last.year + 1):
        found.update({date(year, month, day): name for month, day, name, since in _FIXED if year >= since})
    return {day: found[day] for day in sorted(found) if first <= day <= last}


def short_days(first: date = FIRST, last: date = LAST) -> Iterator[date]:
    """Yield the days on which the exchange keeps its Ramadan hours, weekends included."""
    spans = [_PANDEMIC]
    for year in _hijri_years(first, last):
        spans.append((hijri.month_start(year, 9), hijri.month_start(year, 10) - timedelta(days=1)))
    days = {start + timedelta(days=i) for start, end in spans for i in range((end - start).days + 1)}
    return (day for day in sorted(days) if first <= day <= last)


@lru_cache(maxsize=1)
def overrides() -> Mapping[date, Override]:
    """Return the corrections: the shipped ones, and over them those of ``TICKLOOM_HOLIDAYS``."""
    found = read_overrides(SHIPPED)
    extra = settings().holidays
    return found | read_overrides(extra) if extra is not None else found


class XCASExchangeCalendar(ExchangeCalendar):  # type: ignore[misc]
    """Sessions of the Casablanca stock exchange, 2000 to 2087; `rule_holidays` says how they are found."""

    name = "XCAS"
    tz = ZoneInfo("Africa/Casablanca")
    open_times = ((None, OPEN),)
    close_times = ((None, CLOSE),)

    @classmethod
    def bound_min(cls) -> pd.Timestamp:
        """Return the first day that the rules cover."""
        return pd.Timestamp(FIRST)

    @classmethod
    def bound_max(cls) -> pd.Timestamp:
        """Return the last day that the rules cover."""
        return pd.Timestamp(LAST)

    @property
    def adhoc_holidays(self) -> list[pd.Timestamp]:
        """Return every closure: fixed and Islamic holidays, corrected."""
        fixed = overrides()
        days = {day for day in rule_holidays() if day not in fixed or fixed[day].status == "closed"}
        days |= {day for day, override in fixed.items() if override.status == "closed"}
        return [pd.Timestamp(day) for day in sorted(days)]

    @property
    def special_opens_adhoc(self) -> list[tuple[time, pd.DatetimeIndex]]:
        """Return the later opens of Ramadan."""
        return [(SHORT_OPEN, self._sessions(set(short_days())))]

    @property
    def special_closes_adhoc(self) -> list[tuple[time, pd.DatetimeIndex]]:
        """Return the earlier closes of Ramadan and of half days, which close at 13:30 too."""
        halves = {day for day, override in overrides().items() if override.status == "half"}
        return [(SHORT_CLOSE, self._sessions(set(short_days()) | halves))]

    def _sessions(self, days: set[date]) -> pd.DatetimeIndex:
        closed = set(self.adhoc_holidays)
        stamps = (pd.Timestamp(day) for day in sorted(days) if day.weekday() < 5)
        return pd.DatetimeIndex([stamp for stamp in stamps if stamp not in closed])
