"""Forecasts of arms that do not answer: made when there is room, off the path of answers, and dropped first."""

import asyncio
from collections import deque

import structlog

from tickloom.serving.dispatch import Dispatcher
from tickloom.serving.routed import LEVELS, Recorder, Routed
from tickloom.serving.wire import Asked

log = structlog.get_logger(__name__)


class Shadows:
    """Has shadow arms forecast what was asked of another.

    Parameters
    ----------
    dispatcher
        The way to the inference process, which answers share: shadows go only while no answer waits.
    record
        Hears of what they forecast.
    waiting
        That may wait; beyond, the newest are dropped and counted.
    together
        That go in one message.
    """

    def __init__(self, dispatcher: Dispatcher, record: Recorder, waiting: int = 1024, together: int = 32) -> None:
        self._dispatcher, self._record = dispatcher, record
        self._limit, self._together = waiting, together
        self._queue: deque[tuple[Routed, str, Asked, str]] = deque()
        self._come = asyncio.Event()
        self.made = self.dropped = self.failed = 0

    def __call__(self, routed: Routed, arm: str, version: str, asked: Asked, request: str) -> None:
        """Have an arm forecast too, some time; never waits."""
        if len(self._queue) >= self._limit or self._dispatcher.waiting > self._together:
            self.dropped += 1
            return
        wanted: Asked = {**asked, "version": version, "levels": list(LEVELS), "why": False}
        self._queue.append((routed, arm, wanted, request))
        self._come.set()

    async def run(self) -> None:
        """Forecast until cancelled."""
        while True:
            await self._come.wait()
            self._come.clear()
            while self._queue:
                while self._dispatcher.waiting:
                    await asyncio.sleep(0.002)
                some = [self._queue.popleft() for _ in range(min(self._together, len(self._queue)))]
                try:
                    found = await self._dispatcher.ask_all([asked for _, _, asked, _ in some])
                except Exception as error:
                    self.failed += len(some)
                    log.warning("shadows were not forecast", count=len(some), error=str(error) or type(error).__name__)
                    continue
                for (routed, arm, asked, request), made in zip(some, found, strict=True):
                    if "refused" in made:
                        self.failed += 1
                    else:
                        self.made += 1
                        self._record(routed, arm, asked["market"], asked["ticker"], made, request)
