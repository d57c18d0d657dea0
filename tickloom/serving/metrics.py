"""What Prometheus reads from the forecast service."""

from collections.abc import Callable, Hashable, Iterable
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from tickloom.serving.cache import Cache
from tickloom.serving.wire import Made

ROUTES = (
    "/v1/forecast",
    "/v1/forecast/batch",
    "/v1/experiments",
    "/v1/models",
    "/v1/tickers",
    "/docs",
    "/openapi.json",
    "/metrics",
)
_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.09, 0.12, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_STATES = {"closed": 0, "half-opened": 1, "opened": 2}


class Counts(Protocol):
    """What shadows count."""

    made: int
    dropped: int
    failed: int


class Metrics:
    """The service's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "tickloom_serve_requests", "Requests answered, by route, status and arm; arm is empty where none forecast, "
            "and `several` for a batch that several did.", ("route", "status", "arm"), registry=self.registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "tickloom_serve_request_seconds", "From a request's first byte to its answer's last.", ("route",),
            buckets=_BUCKETS, registry=self.registry,
        )  # fmt: skip
        self._forecasts = Counter(
            "tickloom_serve_forecasts", "Forecasts answered; a batch has many.", registry=self.registry
        )
        self._degraded = Counter(
            "tickloom_serve_degraded", "Forecasts that were not what the model says now.", ("how",),
            registry=self.registry,
        )  # fmt: skip
        self.shed = Counter(
            "tickloom_serve_shed", "Requests that the gate turned away before anything of them was read.",
            registry=self.registry,
        )  # fmt: skip
        self._cache = Counter(
            "tickloom_serve_cache", "Looks into the cache of answers, by result: hit or miss.", ("result",),
            registry=self.registry,
        )  # fmt: skip
        self.hits, self.misses = self._cache.labels("hit"), self._cache.labels("miss")
        self._breaker = Gauge(
            "tickloom_serve_store_breaker", "Circuit breaker before the store: 0 closed, 1 trying, 2 open.",
            registry=self.registry,
        )  # fmt: skip
        text = "Experiments that promoted what turned bad, and wait for a person's word."
        self._asking = Gauge("tickloom_serve_experiments_asking", text, registry=self.registry)
        self._counters: dict[tuple[str, int, str], Counter] = {}
        self._histograms = {route: self._seconds.labels(route) for route in (*ROUTES, "other")}
        for how in ("last forecast", "naive"):
            self._degraded.labels(how)

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Show a number that stands elsewhere."""
        Gauge(f"tickloom_serve_{name}", text, registry=self.registry).set_function(read)

    def watch_shadows(self, counts: Counts) -> None:
        """Show what became of shadow forecasts."""
        self.registry.register(_Shadows(counts))

    def breaker(self, state: str) -> None:
        """Take over how the circuit breaker stands."""
        self._breaker.set(_STATES[state])

    def asking(self, experiments: int) -> None:
        """Take over how many experiments wait for a person's word on what they promoted."""
        self._asking.set(experiments)

    def answered(
        self, path: str, status: int, arms: tuple[str, ...], degraded: tuple[str, ...], forecasts: int, seconds: float
    ) -> None:
        """Count a request."""
        route = path if path in self._histograms else "other"
        key = (route, status, arms[0] if len(arms) == 1 else "several" if arms else "")
        counter = self._counters.get(key)
        if counter is None:
            counter = self._counters[key] = self._requests.labels(route, str(status), key[2])
        counter.inc()
        self._histograms[route].observe(seconds)
        if forecasts:
            self._forecasts.inc(forecasts)
        for how in degraded:
            self._degraded.labels(how).inc()


class _Shadows(Collector):
    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    def collect(self) -> Iterable[Metric]:
        text = "Shadow forecasts, by what became of them: made, dropped or failed."
        found = CounterMetricFamily("tickloom_serve_shadows", text, labels=("outcome",))
        for outcome in ("made", "dropped", "failed"):
            found.add_metric((outcome,), getattr(self._counts, outcome))
        yield found


class CountedCache:
    """A cache whose hits are counted.

    Parameters
    ----------
    cache
    metrics
    """

    def __init__(self, cache: Cache, metrics: Metrics) -> None:
        self._cache, self._metrics = cache, metrics

    async def get(self, key: tuple[Hashable, ...]) -> Made | None:
        """Return what is kept under a key."""
        found = await self._cache.get(key)
        (self._metrics.misses if found is None else self._metrics.hits).inc()
        return found

    async def put(self, key: tuple[Hashable, ...], made: Made, ttl_s: float) -> None:
        """Keep it for some seconds."""
        await self._cache.put(key, made, ttl_s)
