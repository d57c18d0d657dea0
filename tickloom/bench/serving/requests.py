"""A load in a process of its own, which reads a plan from standard input and prints what came of it.

The client shares the machine with what it measures, so it does as little as it can: the bytes of a request are made
once, and an answer is read no further than its status and its end.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import cycle
from typing import cast
from urllib.parse import urlsplit

import httptools

TIMEOUT_S = 30.0
AGAIN_S = 0.25
"""Seconds after which a request that failed is sent once more, as a client would."""


@dataclass(frozen=True)
class Plan:
    """What to send.

    Attributes
    ----------
    url : str
    bodies : list of str
        Sent in turn, as JSON.
    connections : int
        Requests that are on their way at a time at most.
    seconds : float
    rate : float
        Requests a second, whatever becomes of earlier ones; 0: each connection sends when its answer has come.
    warm_up : int
        Requests before, that do not count.
    headers : dict
    again : bool
        Whether a request that failed is sent once more, as a client would.
    """

    url: str
    bodies: list[str]
    connections: int
    seconds: float
    rate: float = 0.0
    warm_up: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    again: bool = False


@dataclass
class Outcome:
    """What came of it: requests by status (0: none came), and seconds and end of each, in the order of their ends."""

    seconds: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    late: int = 0


class _Wire(asyncio.Protocol):
    """One TCP connection; what it reads is told to whoever opened it."""

    def __init__(self, told: Callable[["_Wire", int], None]) -> None:
        self._told = told
        self._parser = httptools.HttpResponseParser(self)
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what writes."""
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.abort()

    def on_message_complete(self) -> None:
        """Take an answer."""
        if not self._parser.should_keep_alive():
            self.abort()
        self._told(self, self._parser.get_status_code())

    def connection_lost(self, exc: Exception | None) -> None:
        """Take it for no answer, if one is waited for."""
        self.transport = None
        self._told(self, 0)

    def abort(self) -> None:
        """Close it."""
        if self.transport is not None:
            transport, self.transport = self.transport, None
            transport.abort()


class _Connection:
    """One request at a time; what follows upon its end is called with its status, 0 where none came."""

    def __init__(self, host: str, port: int) -> None:
        self._place = (host, port)
        self._wire: _Wire | None = None
        self._then: Callable[[int], None] | None = None
        self._opening: asyncio.Task[None] | None = None
        self.begun = 0.0

    def send(self, request: bytes, then: Callable[[int], None]) -> None:
        """Send a request, over a new connection where the old one was closed."""
        self._then, self.begun = then, time.perf_counter()
        if self._wire is None or self._wire.transport is None:
            self._opening = asyncio.ensure_future(self._open(request))
        else:
            self._wire.transport.write(request)

    async def _open(self, request: bytes) -> None:
        wire = self._wire = _Wire(self._told)
        try:
            await asyncio.get_running_loop().create_connection(lambda: wire, *self._place)
        except OSError:
            self._told(wire, 0)
        else:
            if wire.transport is not None:
                wire.transport.write(request)

    def give_up(self, before: float) -> None:
        """Take what was sent before a time for not answered."""
        if self._then is not None and self.begun < before and self._wire is not None:
            self._wire.abort()

    def close(self) -> None:
        """Close it."""
        if self._wire is not None:
            self._wire.abort()

    def _told(self, wire: _Wire, status: int) -> None:
        if wire is self._wire and self._then is not None:
            then, self._then = self._then, None
            then(status)


class _Load:
    def __init__(self, plan: Plan) -> None:
        self.plan, self.found, self.counts = plan, Outcome(), Counter[int]()
        parts = urlsplit(plan.url)
        host, port = parts.hostname or "127.0.0.1", parts.port or 80
        self._requests = cycle([_request(parts.netloc, parts.path, plan.headers, it) for it in plan.bodies])
        self.connections = [_Connection(host, port) for _ in range(plan.connections)]
        self._start = 0.0

    async def warm_up(self) -> None:
        """Send what does not count, one after the other."""
        first = self.connections[0]
        for _ in range(self.plan.warm_up):
            ended = asyncio.get_running_loop().create_future()
            first.send(next(self._requests), ended.set_result)
            await ended

    def one(self, by: _Connection, then: Callable[[], None]) -> None:
        """Send one, count what comes of it, and go on."""
        begun, request, loop = time.perf_counter(), next(self._requests), asyncio.get_running_loop()

        def counted(status: int) -> None:
            ended = time.perf_counter()
            self.counts[status] += 1
            self.found.latencies.append(ended - begun)
            self.found.ends.append(ended - self._start)
            self.found.codes.append(status)
            then()

        def first(status: int) -> None:
            if status == 0 or status >= 429:
                loop.call_later(AGAIN_S, by.send, request, counted)
            else:
                counted(status)

        by.send(request, first if self.plan.again else counted)

    async def closed(self) -> None:
        """Have each connection send when its answer has come, until the time is over."""
        until, left = self._start + self.plan.seconds, len(self.connections)
        over = asyncio.get_running_loop().create_future()

        def onwards(by: _Connection) -> None:
            nonlocal left
            if time.perf_counter() < until:
                # not at once: an answer that fails at once would never let go
                asyncio.get_running_loop().call_soon(self.one, by, lambda: onwards(by))
            else:
                left -= 1
                if not left:
                    over.set_result(None)

        for it in self.connections:
            onwards(it)
        await over

    async def at_rate(self) -> None:
        """Send at a rate; where all connections are on their way already a request is left out and counted as late."""
        free, begun, total = list(reversed(self.connections)), 0, int(self.plan.seconds * self.plan.rate)
        while begun < total:
            due = min(total, int((time.perf_counter() - self._start) * self.plan.rate) + 1)
            for _ in range(begun, due):
                if free:
                    by = free.pop()
                    self.one(by, lambda by=by: free.append(by))  # type: ignore[misc]
                else:
                    self.found.late += 1
            begun = due
            await asyncio.sleep(0.002)
        while len(free) < len(self.connections):
            await asyncio.sleep(0.01)

    async def give_up(self) -> None:
        """Give up what takes too long."""
        while True:
            await asyncio.sleep(1)
            for it in self.connections:
                it.give_up(time.perf_counter() - TIMEOUT_S)

    async def run(self) -> Outcome:
        """Return what came of it."""
        watch = asyncio.ensure_future(self.give_up())
        await self.warm_up()
        self._start = time.perf_counter()
        await (self.at_rate() if self.plan.rate else self.closed())
        self.found.seconds = time.perf_counter() - self._start
        self.found.statuses = {str(status): count for status, count in self.counts.items()}
        watch.cancel()
        for it in self.connections:
            it.close()
        return self.found


def _request(host: str, path: str, headers: dict[str, str], body: str) -> bytes:
    content = body.encode()
    told = {"host": host, "content-type": "application/json", "content-length": str(len(content)), **headers}
    lines = [f"POST {path or '/'} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items()), "", ""]
    return "\r\n".join(lines).encode() + content


async def load(plan: Plan) -> Outcome:
    """Send a plan, and return what came of it."""
    return await _Load(plan).run()


def main() -> None:
    """Read a plan from standard input, and print its outcome as JSON."""
    plan = Plan(**json.load(sys.stdin))
    try:
        import uvloop

        found = uvloop.run(load(plan))
    except ModuleNotFoundError:
        found = asyncio.run(load(plan))
    json.dump(asdict(found), sys.stdout)


if __name__ == "__main__":
    main()
