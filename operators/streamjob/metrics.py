"""What the operator says of itself to Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The operator's metrics in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.reconcile = Histogram(
            "tickloom_operator_reconcile_seconds",
            "Time of one look at one StreamJob, by whether it led to any action.",
            ["acted"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.actions = Counter("tickloom_operator_actions", "Actions done.", ["action"], registry=self.registry)
        self.errors = Counter(
            "tickloom_operator_errors", "Actions that the server refused.", ["action", "status"], registry=self.registry
        )
        self.crashes = Counter(
            "tickloom_operator_crashes", "Looks that ended with an unexpected error.", registry=self.registry
        )
        self.polls = Counter(
            "tickloom_operator_polls", "Questions to drivers for their progress.", ["answered"], registry=self.registry
        )
        self.leading = Gauge(
            "tickloom_operator_leading", "1 where this operator holds the Lease.", registry=self.registry
        )
        self._depth = Gauge(
            "tickloom_operator_queue_depth", "StreamJobs that wait to be looked at.", registry=self.registry
        )

    def depth(self, count: Callable[[], float]) -> None:
        """Have the depth of the queue asked for whenever it is read."""
        self._depth.set_function(count)
