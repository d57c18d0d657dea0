"""Prices that ended long ago: nothing forbids to learn from them, and people should know."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from tickloom.market.sessions import days_of, session_table

OLD = 10
"""Closed sessions after a ticker's last one from which on there is a word: two weeks."""


def passed(last_day: date, market: str, now: datetime | None = None) -> int:
    """Return how many sessions of an exchange have closed after a date.

    Parameters
    ----------
    now
        By default the present.
    """
    table = session_table(market)
    closed = np.searchsorted(table.close_us, int((now or datetime.now(UTC)).timestamp() * 1e6), side="right")
    return max(0, int(closed - np.searchsorted(table.day, days_of(last_day), side="right")))


def warnings(tickers: Mapping[str, Mapping[str, Any]], market: str, now: datetime | None = None) -> list[str]:
    """Return a sentence for each ticker whose prices ended ``OLD`` sessions ago or earlier.

    Parameters
    ----------
    tickers
        What ``validate`` says of each.
    """
    found = []
    for ticker, told in tickers.items():
        last = told["last_day"]
        day = last if isinstance(last, date) else date.fromisoformat(str(last))
        since = passed(day, market, now)
        if since >= OLD:
            found.append(f"{ticker}: its prices end on {day}, {since} sessions of {market} ago")
    return found
