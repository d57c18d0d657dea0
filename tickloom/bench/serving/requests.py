"""A load in a process of its own, which reads a plan from standard input and prints what came of it."""

import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

TIMEOUT_S = 30.0


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


async def load(plan: Plan) -> Outcome:
    """Send a plan, and return what came of it."""
    import aiohttp

    found, counts = Outcome(), Counter[str]()
    limit = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
    headers = {"content-type": "application/json", **plan.headers}
    bodies = [it.encode() for it in plan.bodies]
    sent = 0

    async with aiohttp.ClientSession(
        connector=limit, headers=headers, timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)
    ) as session:

        async def once(body: bytes) -> int:
            try:
                async with session.post(plan.url, data=body) as answer:
                    await answer.read()
                    return answer.status
            except (aiohttp.ClientError, TimeoutError, OSError):
                return 0

        async def one(begun: float) -> None:
            nonlocal sent
            body = bodies[sent % len(bodies)]
            sent += 1
            status = await once(body)
            if plan.again and (status == 0 or status >= 429):
                await asyncio.sleep(0.25)
                status = await once(body)
            ended = time.perf_counter()
            counts[str(status)] += 1
            found.latencies.append(ended - begun)
            found.ends.append(ended - start)
            found.codes.append(status)

        start = time.perf_counter()
        for _ in range(plan.warm_up):
            await once(bodies[sent % len(bodies)])
            sent += 1
        start = time.perf_counter()
        if plan.rate:
            await _at_rate(plan, one, found, start)
        else:

            async def closed() -> None:
                while (now := time.perf_counter()) - start < plan.seconds:
                    await one(now)

            await asyncio.gather(*(closed() for _ in range(plan.connections)))
        found.seconds = time.perf_counter() - start
    found.statuses = dict(counts)
    return found


async def _at_rate(plan: Plan, one: Any, found: Outcome, start: float) -> None:
    """Send at a rate; where ``connections`` are on their way already a request is left out and counted as late."""
    flying: set[asyncio.Task[None]] = set()
    total = int(plan.seconds * plan.rate)
    begun = 0
    while begun < total:
        now = time.perf_counter() - start
        due = min(total, int(now * plan.rate) + 1)
        while begun < due:
            begun += 1
            if len(flying) >= plan.connections:
                found.late += 1
                continue
            task = asyncio.ensure_future(one(time.perf_counter()))
            flying.add(task)
            task.add_done_callback(flying.discard)
        await asyncio.sleep(0.002)
    if flying:
        await asyncio.wait(flying)


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
