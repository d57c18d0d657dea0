"""Where a market stands: the last session that has ended, and when the next one ends."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tickloom.market.sessions import session_table


@dataclass(frozen=True)
class Standing:
    """A market at a moment.

    Attributes
    ----------
    last : int
        Day of the last session that has ended, days since 1970.
    next_close_s : float
        When the next one ends, in seconds since 1970.
    """

    market: str
    last: int
    next_close_s: float

    def up_to(self, day: int) -> int:
        """Return the last session that had ended on a day."""
        days = session_table(self.market).day
        return min(self.last, int(days[max(0, int(np.searchsorted(days, day, "right")) - 1)]))

    def behind(self, cutoff: int) -> int:
        """Return how many sessions have ended after a cutoff."""
        return _between(self.market, cutoff, self.last)

    def ttl_s(self, cutoff: int, now: float, late_s: float = 60.0) -> float:
        """Return for how long what was made from a cutoff holds: to the next close; shortly where one is due."""
        return late_s if cutoff < self.last else max(0.0, self.next_close_s - now)


@lru_cache(maxsize=10_000)
def _between(market: str, cutoff: int, last: int) -> int:
    days = session_table(market).day
    return max(0, int(np.searchsorted(days, last, "right") - np.searchsorted(days, cutoff, "right")))


class Standings:
    """Remembers how markets stand until their next close.

    Parameters
    ----------
    clock
        Seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self._known: dict[str, Standing] = {}

    def of(self, market: str) -> Standing:
        """Return how a market stands now."""
        now, known = self.clock(), self._known.get(market)
        if known is None or now >= known.next_close_s:
            table = session_table(market)
            at = int(np.searchsorted(table.close_us, int(now * 1e6), "right"))
            close = float(table.close_us[min(at, len(table) - 1)]) / 1e6
            known = self._known[market] = Standing(market, int(table.day[max(0, at - 1)]), close)
        return known

    def next_days(self, market: str, cutoff: int, count: int) -> list[int]:
        """Return the days of the sessions after a cutoff."""
        days = session_table(market).day
        begin = int(np.searchsorted(days, cutoff, "right"))
        return [int(day) for day in days[begin : begin + count]]
