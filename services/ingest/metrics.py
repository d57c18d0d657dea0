"""What Prometheus reads from the ingest service."""

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge

_LABELS = ("source",)


class Metrics:
    """The service's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.records = self._counter("records", "Records that Kafka acknowledged.")
        self.failures = self._counter("failures", "Turns that failed.")
        self.turns = self._counter("turns", "Turns that succeeded.")
        self.success = self._gauge("last_success_timestamp_seconds", "When a turn last succeeded, since 1970.")
        self.newest = self._gauge("newest_record_timestamp_seconds", "Time of the newest record sent, since 1970.")
        self.back_off = self._gauge("back_off_seconds", "Pause after the last failure; 0 when well.")
        self.finished = self._gauge("finished", "1 when the source has come to its end.")
        self.session = self._gauge(
            "session_open", "1 while the exchange that the source follows trades; absent where it follows none."
        )

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(f"tickloom_ingest_{name}", text, _LABELS, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"tickloom_ingest_{name}", text, _LABELS, registry=self.registry)

    def begin(self, source: str, trades: Callable[[float], bool] | None = None) -> None:
        """Show a source that has done nothing yet, and whether the exchange trades that it follows."""
        for metric in (self.records, self.failures, self.turns, self.back_off, self.finished):
            metric.labels(source)
        if trades is not None:
            self.session.labels(source).set_function(lambda: float(trades(time.time())))
