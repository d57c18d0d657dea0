"""A way out of the process: forecasts go in from any thread at once and leave in one thread of its own."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from tickloom.experiment.records import Forecast, ForecastKey

log = structlog.get_logger(__name__)

REMEMBERED = 200_000
"""Forecasts whose keys are remembered, so that one that is asked for again is not sent again."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0
IDLE_S = 1.0
SAY_EVERY_S = 10.0


@dataclass
class Taken:
    """What became of forecasts that were handed over: those to hand over again, and how many were new or known."""

    again: list[Forecast] = field(default_factory=list)
    written: int = 0
    repeated: int = 0
    lost: int = 0
    error: BaseException | None = None


Deliver = Callable[[Sequence[Forecast]], Taken]


class Metrics:
    """What the ledger's writer says of itself to Prometheus, by where it writes."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        def counter(name: str, text: str) -> Counter:
            return Counter(f"tickloom_ledger_{name}", text, ["to"], registry=registry)

        self.written = counter("written", "Forecasts written.")
        self.repeated = counter("repeated", "Forecasts that another process had written before.")
        self.dropped = counter("dropped", "Forecasts lost: too many were waiting, or they were given up.")
        self.retried = counter("retried", "Forecasts handed over again after a failure.")
        text = "Forecasts that are not yet written."
        self.waiting = Gauge("tickloom_ledger_waiting", text, ["to"], registry=registry)


class Outlet:
    """Hands forecasts over in the order in which they came, again and again until they are taken.

    Parameters
    ----------
    name
        Where they go, for logs and metrics.
    deliver
        Called in the outlet's thread with all that waits; what it raises is tried again. Also called with nothing, at
        least every second.
    metrics
        Shared by all outlets of a process.
    capacity
        Forecasts that may wait; further ones are dropped, counted and told.
    unsettled
        How many were handed over whose end is not known yet; they count as waiting.
    """

    def __init__(
        self, name: str, deliver: Deliver, metrics: Metrics, capacity: int, unsettled: Callable[[], int] = lambda: 0
    ) -> None:
        self._name = name
        self._deliver = deliver
        self._capacity = capacity
        self._unsettled = unsettled
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._seen: dict[tuple[ForecastKey, bool], None] = {}
        self._queue: deque[Forecast] = deque()
        self._held: list[Forecast] = []
        self._closing = False
        self._deadline = float("inf")
        self._dropped_now = 0
        self._said_dropped = self._said_away = float("-inf")
        self._away_since: float | None = None
        self._pause_s = FIRST_PAUSE_S
        self._written, self._repeated = metrics.written.labels(name), metrics.repeated.labels(name)
        self._dropped, self._retried = metrics.dropped.labels(name), metrics.retried.labels(name)
        metrics.waiting.labels(name).set_function(lambda: self.waiting)
        self._thread = threading.Thread(target=self._run, name=f"ledger-{name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Forecasts that are not yet taken."""
        return len(self._queue) + len(self._held) + self._unsettled()

    def put(self, forecast: Forecast) -> None:
        """Queue a forecast, unless it was queued before; never waits."""
        key = (forecast.key, forecast.shadow)
        if key in self._seen:
            return
        with self._lock:
            if key in self._seen:
                return
            if self._closing or self.waiting >= self._capacity:
                self._drop(1)
                return
            self._seen[key] = None
            if len(self._seen) > REMEMBERED:
                del self._seen[next(iter(self._seen))]
            self._queue.append(forecast)
        if not self._wake.is_set():
            self._wake.set()

    def close(self, deadline: float) -> int:
        """Hand over what waits until ``deadline``, a time of ``time.monotonic``, and return how many were left."""
        self._deadline = deadline
        with self._lock:
            self._closing = True
        self._wake.set()
        self._thread.join(max(0.0, deadline - time.monotonic()) + 0.1)
        if left := self.waiting:
            self._dropped.inc(left)
        return left

    def _run(self) -> None:
        while not (self._closing and (not self.waiting or time.monotonic() >= self._deadline)):
            failing = self._away_since is not None
            if failing:  # new ones must not cut the pause short
                time.sleep(min(self._pause_s, max(0.0, self._deadline - time.monotonic())))
            elif not self._closing:
                self._wake.wait(IDLE_S)
            self._wake.clear()
            while self._queue:  # never in neither list, so that `waiting` misses none
                self._held.append(self._queue[0])
                self._queue.popleft()
            if failing:
                self._retried.inc(len(self._held))
            self._hand_over()

    def _hand_over(self) -> None:
        try:
            taken = self._deliver(self._held)
        except Exception as error:  # whatever it is, the thread must live and the forecasts must wait
            taken = Taken(again=self._held, error=error)
        self._held = taken.again
        self._written.inc(taken.written)
        self._repeated.inc(taken.repeated)
        if taken.lost:
            with self._lock:
                self._drop(taken.lost)
        now = time.monotonic()
        if not taken.again:
            if self._said_away > float("-inf"):
                log.info("the ledger's forecasts are taken again", to=self._name)
            self._away_since, self._pause_s, self._said_away = None, FIRST_PAUSE_S, float("-inf")
            return
        self._pause_s = FIRST_PAUSE_S if self._away_since is None else min(2 * self._pause_s, LONGEST_PAUSE_S)
        self._away_since = now if self._away_since is None else self._away_since
        if now - self._away_since >= IDLE_S and now - self._said_away >= SAY_EVERY_S:
            self._said_away = now
            log.warning(
                "the ledger's forecasts are not taken; trying again",
                to=self._name, waiting=self.waiting, at_most=self._capacity,
                away_s=round(now - self._away_since, 1), error=_sentence(taken.error),
            )  # fmt: skip

    def _drop(self, count: int) -> None:
        """Count lost forecasts, and say so now and then; called with the lock held."""
        self._dropped.inc(count)
        self._dropped_now += count
        now = time.monotonic()
        if now - self._said_dropped >= SAY_EVERY_S:
            log.error("forecasts are lost to the ledger", to=self._name, lost=self._dropped_now, at_most=self._capacity)
            self._said_dropped, self._dropped_now = now, 0


def _sentence(error: BaseException | None) -> str:
    return "the queue is full" if error is None else (str(error) or type(error).__name__).splitlines()[0]
