"""One way to an exchange's calendar: ``calendar("XNYS")``, ``calendar("XCAS")``."""

from functools import lru_cache

import exchange_calendars as xc

from tickloom.errors import TickloomError
from tickloom.market.casablanca import XCASExchangeCalendar

MARKETS = ("XCAS", "XNYS")
_SPANS = {
    "XCAS": (XCASExchangeCalendar.bound_min(), XCASExchangeCalendar.bound_max()),
    "XNYS": ("1990-01-01", "2100-12-31"),
}
xc.register_calendar_type("XCAS", XCASExchangeCalendar, force=True)


@lru_cache(maxsize=len(MARKETS))
def calendar(mic: str) -> xc.ExchangeCalendar:
    """Return the calendar of an exchange: XNYS 1990 to 2100, XCAS 2000 to 2087.

    Parameters
    ----------
    mic : str
        Market identifier code (ISO 10383).

    Raises
    ------
    TickloomError
        When the exchange is unknown, or ``TICKLOOM_HOLIDAYS`` is malformed.
    """
    if mic not in _SPANS:
        raise TickloomError(f"market {mic!r} is unknown; known: {', '.join(MARKETS)}")
    start, end = _SPANS[mic]
    return xc.get_calendar(mic, start=start, end=end)
