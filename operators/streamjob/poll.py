"""Asks drivers for their progress: often while they start, seldom once they have settled."""

import asyncio
import random
import time
from dataclasses import dataclass, field

import aiohttp

from operators.streamjob import read
from operators.streamjob.claims import Key
from operators.streamjob.reconcile import Pollable, Reconciler
from operators.streamjob.seen import Report

TIMEOUT_S = 5.0
AT_ONCE = 64
TICK_S = 0.25
FAILED_AGAIN_S = 5.0


@dataclass
class Poller:
    """Asks every driver that the reconciler knows.

    Parameters
    ----------
    reconciler
        Knows the drivers, gets the reports.
    url
        Template of a driver's address.
    every_s, settling_every_s
        How often settled and starting drivers are asked.
    """

    reconciler: Reconciler
    url: str
    every_s: float
    settling_every_s: float
    _next: dict[Key, float] = field(default_factory=dict)

    async def run(self) -> None:
        """Ask for ever."""
        gate = asyncio.Semaphore(AT_ONCE)
        asked: set[asyncio.Task[None]] = set()
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=AT_ONCE)) as session:
            while True:
                for key, target in self._due():
                    task = asyncio.create_task(self._ask(session, gate, key, target))
                    asked.add(task)
                    task.add_done_callback(asked.discard)
                await asyncio.sleep(TICK_S)

    def _due(self) -> list[tuple[Key, Pollable]]:
        now = time.monotonic()
        targets = dict(self.reconciler.targets)
        for key in [key for key in self._next if key not in targets]:
            del self._next[key]
        due = [(key, target) for key, target in targets.items() if self._next.get(key, 0.0) <= now]
        for key, target in due:
            pause = self.every_s if target.settled else self.settling_every_s
            # an operator that starts asks all drivers at once, and from then on spread over the time
            first = target.settled and key not in self._next
            self._next[key] = now + (random.uniform(0, pause) if first else pause)  # noqa: S311
        return due

    async def _ask(self, session: aiohttp.ClientSession, gate: asyncio.Semaphore, key: Key, target: Pollable) -> None:
        address = self.url.format(address=target.address, namespace=key[0], name=key[1])
        before = self.reconciler.reports.get(key)
        report: Report | None = None
        try:
            async with gate, session.get(address) as answer:
                body = await answer.json(content_type=None)
                if answer.status == 200 and isinstance(body, dict):
                    report = read.report(body, target.epoch, time.time())
        except (aiohttp.ClientError, TimeoutError, ValueError):
            self._next[key] = min(self._next.get(key, 0.0), time.monotonic() + FAILED_AGAIN_S)
        self.reconciler.metrics.polls.labels(str(report is not None).lower()).inc()
        if report is None:
            if before is None:
                self.reconciler.silent(key)
            elif time.time() - before.at > 3 * self.every_s:
                self.reconciler.reports.pop(key, None)
                self.reconciler.changed(key)
            return
        self.reconciler.reports[key] = report
        if before is None or _speaks_of(before) != _speaks_of(report):
            progress = before is not None and (before.epoch, before.state) == (report.epoch, report.state)
            self.reconciler.changed(key, can_wait=progress and target.settled)


def _speaks_of(report: Report) -> tuple[object, ...]:
    """Return what of a report changes a status."""
    return (report.epoch, report.state, report.batch, report.checks, report.lag, report.rows_per_second)
