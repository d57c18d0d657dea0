"""One source at work: wait for its turn, send, pause after failures."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

import structlog

from services.ingest.config import AnySource
from services.ingest.feeds import Feed
from services.ingest.metrics import Metrics
from tickloom.errors import TickloomError
from tickloom.manifest.model import milliseconds
from tickloom.sources.blocks import PriceBlock

log = structlog.get_logger(__name__)
State = Literal["starting", "waiting", "sending", "failing", "finished", "stopped"]
FLUSH_S = 1.0
"""Longest time after which what was sent is waited for: what a kill can make be sent twice."""


class Sender(Protocol):
    """Where records go."""

    def send_block(self, block: PriceBlock) -> None:
        """Queue the records of a block."""

    def flush(self) -> None:
        """Wait until all are acknowledged, or raise."""


@dataclass
class Worker:
    """Runs one source in a thread.

    Parameters
    ----------
    source, feed
        The source as configured, and what it asks for.
    sender
        Makes the connection to Kafka; called again after a failure.
    """

    source: AnySource
    feed: Feed
    sender: Callable[[], Sender]
    metrics: Metrics
    stop: threading.Event
    state: State = "starting"
    failure: str = ""
    failures: int = 0
    _connection: Sender | None = None
    _unacknowledged: list[PriceBlock] = field(default_factory=list)

    def run(self) -> None:
        """Take turn after turn until there is none any more, or the service stops."""
        self.metrics.begin(self.source.name, self.feed.trades)
        while not self.stop.is_set():
            try:
                turn = self.feed.next(time.time())
                if turn is None:
                    self.state = "finished"
                    self.metrics.finished.labels(self.source.name).set(1)
                    log.info("source has come to its end", source=self.source.name)
                    return
                if not self._wait_for(turn):
                    break
                self._turn()
            except (TickloomError, OSError) as error:
                self._pause(str(error) or type(error).__name__)
            except Exception as error:
                log.exception("source failed", source=self.source.name)
                self._pause(f"{type(error).__name__}: {error}")
        self.state = "stopped"

    def _wait_for(self, turn: float) -> bool:
        """Wait for a turn and return True, or False when the service stops."""
        wait = turn - time.time()
        if wait <= 0 and self.state != "starting":
            return not self.stop.is_set()
        self._connected()  # what cannot reach Kafka is not ready, before the exchange opens too
        if self.source.jitter is not None:
            wait = max(wait, 0.0) + random.uniform(0, milliseconds(self.source.jitter) / 1000)  # noqa: S311
        if wait > 0:
            self.state = "waiting"
            log.info("source waits", source=self.source.name, seconds=round(wait, 1))
        return not self.stop.wait(max(wait, 0.0))

    def _connected(self) -> Sender:
        """Return the connection to Kafka, made anew after a failure."""
        if self._connection is None:
            self._connection = self.sender()
        return self._connection

    def _turn(self) -> None:
        connection = self._connected()
        self.state, flushed = "sending", time.monotonic()
        self._unacknowledged.clear()
        for block in self.feed.blocks():
            if len(block):
                connection.send_block(block)
                self._unacknowledged.append(block)
            self.state = "sending" if len(block) else "waiting"
            if time.monotonic() - flushed > FLUSH_S or self.stop.is_set():
                self._acknowledge(connection)
                flushed = time.monotonic()
            if self.stop.is_set():
                return
        self._acknowledge(connection)
        self.feed.ended()
        name = self.source.name
        self.metrics.turns.labels(name).inc()
        self.metrics.success.labels(name).set(time.time())
        self.metrics.back_off.labels(name).set(0)
        if self.failures:
            log.info("source works again", source=name, failures=self.failures)
        self.failures, self.failure = 0, ""

    def _acknowledge(self, connection: Sender) -> None:
        connection.flush()
        for block in self._unacknowledged:
            self.feed.done(block)
            self.metrics.records.labels(self.source.name).inc(len(block))
            self.metrics.newest.labels(self.source.name).set(int(block.time_us[-1]) / 1e6)
        self._unacknowledged.clear()

    def _pause(self, failure: str) -> None:
        """Wait after a failure: twice as long each time, and by chance up to a quarter less."""
        self.failures += 1
        self.failure, self.state, self._connection = failure, "failing", None
        rules = self.source.backoff
        first, longest = milliseconds(rules.first) / 1000, milliseconds(rules.longest) / 1000
        pause = min(first * 2.0 ** min(self.failures - 1, 30), longest) * random.uniform(0.75, 1.0)  # noqa: S311
        self.metrics.failures.labels(self.source.name).inc()
        self.metrics.back_off.labels(self.source.name).set(pause)
        log.warning("source failed", source=self.source.name, failure=failure, again_in_s=round(pause, 1))
        self.stop.wait(pause)
