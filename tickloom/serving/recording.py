"""From what was forecast to records of the ledger, each once."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from tickloom.experiment.records import Forecast
from tickloom.serving.routed import LEVELS, Routed
from tickloom.serving.telling import learned_later
from tickloom.serving.wire import Made

_REMEMBERED = 100_000


class Recording:
    """Hands each arm's forecasts of a cutoff over once, with all their horizons.

    Parameters
    ----------
    offer
        Takes a record, and never waits.
    """

    def __init__(self, offer: Callable[[Forecast], None]) -> None:
        self._offer = offer
        self._seen: OrderedDict[tuple[str, str, str, str, int, bool], None] = OrderedDict()

    def __call__(self, routed: Routed, arm: str, market: str, ticker: str, made: Made, request: str) -> None:
        """Take a forecast of an arm; one whose model has learned from later sessions is none."""
        if learned_later(made):
            return
        shadow = arm != routed.arm
        key = (routed.experiment, arm, market, ticker, made["cutoff"], shadow)
        if key in self._seen:
            return
        self._seen[key] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        now_us = time.time_ns() // 1000
        spans = dict(zip(made["levels"], zip(made["lower"], made["upper"], strict=True), strict=False))
        for at, (day, price) in enumerate(zip(made["days"], made["price"], strict=True)):
            lows, highs = [], []
            for level in LEVELS:
                low, high = spans.get(level, (None, None))
                lows.append(math.nan if low is None else low[at])
                highs.append(math.nan if high is None else high[at])
            about = (routed.experiment, arm, market, ticker, "1d", made["cutoff"], at + 1, day)
            maker = (made["model"], made["version"], shadow, request, made["features"])
            self._offer(Forecast(*about, *maker, made["close"], price, lows[0], highs[0], lows[1], highs[1], now_us))
