"""When exchanges close, without numpy and pandas: rules of the week, and a table of the days that depart from them.

The table ``closes.csv`` is made from the calendars (`tickloom.market.closes_page`); the operator reads it to know when
a session has ended. Beyond its last day the rules alone hold.
"""

import csv
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from tickloom.errors import TickloomError
from tickloom.market.holidays import read_overrides
from tickloom.settings import settings

SHIPPED = Path(__file__).with_name("closes.csv")
FIRST, LAST = date(2024, 1, 1), date(2049, 12, 31)
"""Days that the table speaks of."""
RULES: Mapping[str, tuple[str, time]] = {
    "XCAS": ("Africa/Casablanca", time(15, 30)),
    "XNYS": ("America/New_York", time(16, 0)),
}
"""Zone and usual close of each exchange, which trades from Monday to Friday."""
_SATURDAY = 5


def zone(market: str) -> ZoneInfo:
    """Return the zone of an exchange.

    Raises
    ------
    TickloomError
        The exchange is unknown.
    """
    if market not in RULES:
        raise TickloomError(f"market {market!r} is unknown; known: {', '.join(RULES)}")
    return ZoneInfo(RULES[market][0])


def usual(market: str, day: date) -> time | None:
    """Return the local time of the close that the rules alone give; None on a weekend."""
    return None if day.weekday() >= _SATURDAY else RULES[market][1]


def closes(market: str, first: date, last: date) -> Iterator[tuple[date, float]]:
    """Yield each session from ``first`` to ``last``: its local date, and its close in seconds since 1970.

    Raises
    ------
    TickloomError
        The exchange is unknown, or ``TICKLOOM_HOLIDAYS`` cannot be read.
    """
    place, known = zone(market), _exceptions(market)
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        at = known[day] if day in known else usual(market, day)
        if at is not None:
            yield day, datetime.combine(day, at, place).astimezone(UTC).timestamp()


@lru_cache(maxsize=len(RULES))
def _exceptions(market: str) -> Mapping[date, time | None]:
    found: dict[date, time | None] = {}
    with SHIPPED.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            if row["market"] == market:
                found[date.fromisoformat(row["day"])] = time.fromisoformat(row["close"]) if row["close"] else None
    corrected = settings().holidays
    if market == "XCAS" and corrected:
        for day, item in read_overrides(corrected).items():
            if item.status == "closed":
                found[day] = None
            elif found.get(day, RULES[market][1]) is None:
                found[day] = RULES[market][1]
    return found
