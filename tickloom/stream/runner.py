"""Runs a job until it ends, is told to stop, or has failed too often in a row."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from pyspark.sql import SparkSession
from pyspark.sql.streaming.listener import (
    QueryIdleEvent,
    QueryProgressEvent,
    QueryStartedEvent,
    QueryTerminatedEvent,
    StreamingQueryListener,
)
from pyspark.sql.streaming.query import StreamingQuery

from tickloom.errors import ConfigurationError, TickloomError
from tickloom.flag import Flag
from tickloom.manifest.model import milliseconds
from tickloom.market.sessions import session_table
from tickloom.store.connect import parse_contact_points
from tickloom.stream import app, control, failures, faults, memory
from tickloom.stream.checkpoint import Fence
from tickloom.stream.job import StreamJob
from tickloom.stream.machine import Machine
from tickloom.stream.outage import Outage
from tickloom.stream.progress import Progress
from tickloom.stream.sink import TaskStats

STOP_WITHIN_S = 22.0
SETTLE_S = 3.0
LONGEST_PAUSE_S = 30.0
MOST_FAILURES = 12
_POLL_S = 0.1
_CLOCK_S = 15.0

log = structlog.get_logger()


class _Listener(StreamingQueryListener):
    def __init__(self, committed: Callable[[dict[str, Any]], None], idle: Callable[[str], None]) -> None:
        self._committed = committed
        self._idle = idle

    def onQueryStarted(self, event: QueryStartedEvent) -> None:
        return

    def onQueryProgress(self, event: QueryProgressEvent) -> None:
        self._committed(json.loads(event.progress.json))

    def onQueryIdle(self, event: QueryIdleEvent) -> None:
        self._idle(event.timestamp)

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:
        return


@dataclass
class Runner:
    """One job on one machine, or as the driver of a Spark cluster.

    Parameters
    ----------
    job, wiring
        What to run, and where.
    bounded
        Stop when everything that the topic held has been processed, after making every bar final.
    progress
        Gathers what is reported.
    fence
        Keeps older epochs of the job from writing.
    on_batch
        Called with the snapshot after every committed micro-batch.
    signals
        Whether SIGTERM and SIGINT are the job's: set by ``handle_signals``.
    """

    job: StreamJob
    wiring: app.Wiring
    bounded: bool
    progress: Progress
    fence: Fence
    on_batch: Callable[[dict[str, Any]], None] = lambda _: None
    signals: bool = False
    _stop: Flag = field(default_factory=Flag)
    _failures: int = 0
    _closes: set[int] = field(default_factory=set)
    _next_clock: float = 0.0
    _caught_up_us: int = 0
    _outage: Outage = field(init=False)

    def __post_init__(self) -> None:
        contact_points = parse_contact_points(self.wiring.cassandra)
        parts = {
            "Kafka": self.wiring.kafka,
            "Cassandra": ",".join(f"{host}:{port}" for host, port in contact_points),
        }
        self._outage = Outage(self.job.metadata.name, parts, self.progress)

    def stop(self) -> None:
        """Ask the job to finish its micro-batch and stop; safe from signal handlers."""
        self._stop.set()

    def run(self) -> dict[str, Any]:
        """Run to the end and return the totals.

        Raises
        ------
        TickloomError
            A newer epoch has taken over, or the query failed ``MOST_FAILURES`` times without committing a micro-batch
            in between.
        ConfigurationError
            Kafka or Cassandra refuses the credentials, or Kafka no longer has what the checkpoint goes on from.
        """
        try:
            self.fence.enter()
            Machine(self.job.spec).warm()
            if (spark := self._session()) is not None:
                self._run(spark)
            self.progress.state("stopped")
            return self.progress.totals.summary()
        except BaseException as error:
            self.progress.state("failed", str(error) or type(error).__name__)
            raise

    def _session(self) -> SparkSession | None:
        """Start Spark; None where the job was stopped meanwhile, which may break Spark's start off."""
        if self._stop.is_set():
            return None
        try:
            return app.session(self.job, self.wiring)
        except Exception as error:
            if not self._stop.is_set():
                raise
            log.warning("stopped while Spark started", job=self.job.metadata.name, failure=str(error)[:200])
            return None

    def _run(self, spark: SparkSession) -> None:
        if self.signals:
            handle_signals(self)  # Spark has put a handler of its own in place
        java = getattr(spark.sparkContext._gateway, "proc", None)  # None where Java started this process
        spark.streams.addListener(_Listener(self._committed, self._rested))
        try:
            while not self._stop.is_set():
                self.fence.check()
                try:
                    chosen, partitions = app.choice(spark, self.job, self.wiring)
                    self.progress.reads(partitions)
                    query = app.start(spark, self.job, self.wiring, chosen, self._begun, self._written)
                    self.progress.state("running")
                    if self._watch(query):
                        break
                    failure = query.exception()
                    message = self._cause(str(failure)) if failure else "the query ended"
                except ConfigurationError:
                    raise  # waiting will not cure it
                except TickloomError as error:
                    if self.progress.totals.rows_in == 0:
                        raise  # it has never worked: waiting will not cure it
                    message = str(error)
                self.fence.check()
                if not self._stop.is_set():
                    self._pause(message)
            self._settle()
        except Exception as error:
            if not self._stop.is_set():
                if (how := _end_of(java)) is not None:
                    raise TickloomError(f"StreamJob {self.job.metadata.name}: {_java_ended(how)}") from None
                raise
            # a signal to the whole process group also ended Java: the micro-batch is done again at the next start
            log.warning("Spark ended before the micro-batch did", job=self.job.metadata.name, failure=str(error)[:200])
        finally:
            with _patience(), suppress(Exception):
                spark.stop()

    def _watch(self, query: StreamingQuery) -> bool:
        """Wait for the query; return whether the job is over (and not merely this attempt)."""
        drained = self._drain(query) if self.bounded else None
        while query.isActive:
            if self._stop.wait(_POLL_S):
                self._stop_gently(query)
                return True
            if drained is not None and drained.is_set():
                query.stop()
                return True
            if drained is None:
                self._tell_closes()
            self._outage.look()
        if self._stop.is_set():
            return True
        return drained is not None and drained.is_set()

    def _drain(self, query: StreamingQuery) -> threading.Event:
        """Process what the topic holds, then make every bar final; set the returned event when that is done."""
        done = threading.Event()

        def work() -> None:
            try:
                query.processAllAvailable()
                folder = self.wiring.folder / "control"
                control.flush(folder, len(list(folder.glob("flush-*.json"))) + 1)
                query.processAllAvailable()
            except Exception as error:
                log.debug("drain ended", error=str(error))
                return
            if query.isActive:
                done.set()

        threading.Thread(target=work, name="drain", daemon=True).start()
        return done

    def _stop_gently(self, query: StreamingQuery) -> None:
        self.progress.state("stopping")
        log.info("stopping after this micro-batch", job=self.job.metadata.name)
        until = time.monotonic() + STOP_WITHIN_S
        batch = self.progress.underway()
        while batch is not None and self.progress.underway() == batch and query.isActive and time.monotonic() < until:
            time.sleep(_POLL_S)
        query.stop()

    def _begun(self, batch: int) -> None:
        if self._stop.is_set():
            raise TickloomError("the job was told to stop")  # gentler than to interrupt a micro-batch
        self.fence.check()
        self.progress.begun(batch)

    def _written(self, batch: int, stats: TaskStats) -> None:
        self.fence.check()
        self.progress.written(batch, stats)

    def _committed(self, report: dict[str, Any]) -> None:
        self._outage.heard()
        self.progress.committed(report)
        self._failures = 0
        faults.reach("commit.after", int(report["batchId"]), faults.armed(), os.getpid())
        self.on_batch(self.progress.snapshot())

        if self.progress.snapshot()["lag"] == 0:
            self._caught_up(str(report["timestamp"]))

    def _rested(self, timestamp: str) -> None:
        self._outage.heard()
        self.progress.idle(timestamp)
        self._caught_up(timestamp)

    def _caught_up(self, timestamp: str) -> None:
        """Note that everything was read that had arrived at ``timestamp`` (ISO 8601)."""
        self._caught_up_us = int(datetime.fromisoformat(timestamp).timestamp() * 1e6)

    def _cause(self, failure: str) -> str:
        """Return why the query failed, where another try may help."""
        if wrong := failures.misconfigured(failure):
            raise ConfigurationError(f"StreamJob {self.job.metadata.name}: {wrong}")
        if lost := failures.data_loss(failure):
            raise ConfigurationError(
                f"StreamJob {self.job.metadata.name}: records after the checkpoint are gone from Kafka: {lost}"
            )
        return failures.cause(failure)

    def _pause(self, message: str) -> None:
        self._failures += 1
        self.progress.restarted()
        if self._failures >= MOST_FAILURES:
            raise TickloomError(
                f"StreamJob {self.job.metadata.name} failed {self._failures} times in a row; the last time: {message}"
            )
        pause = min(LONGEST_PAUSE_S, 0.5 * 2**self._failures)
        self.progress.state("waiting")
        log.warning(
            "query failed, starts again from its checkpoint",
            job=self.job.metadata.name,
            failure=message,
            attempt=self._failures,
            pause_s=pause,
        )
        self._stop.wait(pause)

    def _settle(self) -> None:
        """Give Spark's listener a moment to report the last micro-batch."""
        until = time.monotonic() + SETTLE_S
        while self.progress.in_flight() and time.monotonic() < until:
            time.sleep(0.05)

    def _tell_closes(self) -> None:
        """Write an event for each session of the last five days that closed one watermark before all was read."""
        if time.monotonic() < self._next_clock:
            return
        self._next_clock = time.monotonic() + _CLOCK_S
        delay_us = milliseconds(self.job.spec.processors.prices.watermark) * 1000
        table = session_table(self.job.spec.market)
        now_us = self._caught_up_us
        first_us = now_us - 5 * 86_400_000_000
        for close in table.close_us[(table.close_us > first_us) & (table.close_us + delay_us <= now_us)]:
            if int(close) not in self._closes:
                self._closes.add(int(close))
                control.close(self.wiring.folder / "control", int(close))


def _java_ended(how: str) -> str:
    """Say how Java ended, and what helps; an operator knows a want of memory by Java's own name for it."""
    help_ = "raise spec.runtime.driver.memoryOverhead or lower spec.source.maxOffsetsPerTrigger"
    if memory.kills():
        return f"OutOfMemoryError: the kernel killed Spark's Java process at the limit of its memory; {help_}"
    return f"Spark's Java process ended ({how}); where memory ran out, {help_}"


def _end_of(java: "subprocess.Popen[bytes] | None") -> str | None:
    """Return how the Java process ended, None where it runs."""
    try:
        code = java.wait(1.0) if java is not None else None
    except subprocess.TimeoutExpired:
        return None
    return None if code is None else f"signal {-code}" if code < 0 else f"exit code {code}"


@contextmanager
def _patience() -> Iterator[None]:
    """Let the end of Spark not be torn by a second signal."""
    previous = signal.getsignal(signal.SIGINT) if threading.current_thread() is threading.main_thread() else None
    try:
        if previous is not None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        yield
    finally:
        if previous is not None:
            signal.signal(signal.SIGINT, previous)


def handle_signals(runner: Runner) -> None:
    """Make SIGTERM and SIGINT stop the job gently."""
    runner.signals = True
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: runner.stop())
