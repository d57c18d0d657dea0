"""Turns requests away while those inside would wait too long: the cheapest answer there is."""

import asyncio
import json
import math
import time
from collections.abc import Callable
from typing import Any

from tickloom.serving.problems import MEDIA_TYPE, ProblemError

_MEMORY_S = 0.5
_TURN = 0.8
"""Share of the patience for which requests are begun in one turn of the event loop."""


class Gate:
    """Bounds requests in flight, by their number and by how long they will wait.

    A process whose processor is busy makes requests wait before they are inside: those that have come together are
    begun one after the other in one turn of the event loop. ``late`` therefore says how long the turn has lasted.

    By Little's law a request that finds ``n`` others inside waits for about ``n`` times what passes between two
    answers. That time is measured while something is in flight, and older measurements fade within half a second.

    Parameters
    ----------
    most
        Requests in flight at a time.
    patience_s
        Beyond which wait a request is turned away.
    least
        Requests that are let in whatever the wait, so that one slow answer does not shut the gate.
    clock
        Seconds that only rise.
    """

    def __init__(
        self, most: int, patience_s: float, least: int = 16, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._most, self._patience_s, self._least, self._clock = most, patience_s, min(least, most), clock
        self.in_flight = 0
        self._since = 0.0
        self._busy_s = self._done = 0.0
        self._turn: float | None = None
        self._begun = 0

    @property
    def wait_s(self) -> float:
        """How long a request that comes now will wait."""
        return self.in_flight * self._busy_s / self._done if self._done else 0.0

    @property
    def full(self) -> bool:
        """Whether a request that comes now is to be turned away."""
        inside = self.in_flight
        return inside >= self._least and (
            inside >= self._most or (self._done > 0.0 and inside * self._busy_s > self._patience_s * self._done)
        )

    def late(self) -> bool:
        """Return whether a request that is begun now has waited for too long in this turn of the event loop.

        What came during one turn is begun in the next one. Half of those that are let in whatever the wait are begun
        in each, for as many may have come in the one before.
        """
        now = self._clock()
        if self._turn is None:
            self._turn, self._begun = now, 1
            asyncio.get_running_loop().call_soon(self._next_turn)
            return False
        if 2 * self._begun >= self._least and now - self._turn > _TURN * self._patience_s:
            return True
        self._begun += 1
        return False

    def _next_turn(self) -> None:
        self._turn = None

    def enter(self) -> None:
        """Count a request in."""
        if not self.in_flight:
            self._since = self._clock()
        self.in_flight += 1

    def leave(self) -> None:
        """Count it out."""
        now = self._clock()
        passed, self._since = now - self._since, now
        fade = math.exp(-passed / _MEMORY_S)
        self._busy_s, self._done = self._busy_s * fade + passed, self._done * fade + 1.0
        self.in_flight -= 1


def _prebuilt() -> tuple[dict[str, Any], dict[str, Any]]:
    told = ProblemError(429, "busy", "more requests are in flight than can be answered in time; try again in 1 s")
    body = json.dumps(told.body()).encode()
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", b"1"),
        (b"cache-control", b"no-store"),
    ]
    return (
        {"type": "http.response.start", "status": 429, "headers": headers},
        {"type": "http.response.body", "body": body},
    )


TURNED_AWAY = _prebuilt()
"""The two messages of ASGI that turn a request away; made once."""
