"""What the operator says of itself to Prometheus."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from operators.streamjob.status import CONDITIONS, Status

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class _Job:
    """What of a StreamJob's status is shown."""

    phase: str
    true: frozenset[str]
    failures: int
    retraining: str


class Jobs(Collector):
    """How each StreamJob fares that this operator looks after, with the labels ``namespace`` and ``streamjob``."""

    def __init__(self) -> None:
        self._jobs: dict[tuple[str, str], _Job] = {}

    def note(self, key: tuple[str, str], status: Status) -> None:
        """Show a job, by namespace and name, as its status says."""
        true = frozenset(item.type for item in status.conditions if item.status == "True")
        retraining = next((item.reason for item in status.conditions if item.type == "Retraining"), "")
        self._jobs[key] = _Job(status.phase, true, status.failures.total, retraining)

    def forget(self, key: tuple[str, str]) -> None:
        """Show a job no more."""
        self._jobs.pop(key, None)

    def collect(self) -> Iterator[Metric]:
        """Return what is shown."""
        labels = ["namespace", "streamjob"]
        phase = GaugeMetricFamily(
            "tickloom_streamjob_phase", "1 for the phase that the StreamJob is in.", labels=[*labels, "phase"]
        )
        condition = GaugeMetricFamily(
            "tickloom_streamjob_condition", "1 where the condition is True, else 0.", labels=[*labels, "type"]
        )
        failures = CounterMetricFamily(
            "tickloom_streamjob_failures", "Failures of the driver over the StreamJob's life.", labels=labels
        )
        retraining = GaugeMetricFamily(
            "tickloom_streamjob_retraining",
            "1 for the reason of the condition Retraining; there only with `spec.retrain`.",
            labels=[*labels, "reason"],
        )
        for key, job in list(self._jobs.items()):
            if job.retraining:
                retraining.add_metric([*key, job.retraining], 1)
            phase.add_metric([*key, job.phase], 1)
            for name in CONDITIONS:
                condition.add_metric([*key, name], name in job.true)
            failures.add_metric(key, job.failures)
        yield from (phase, condition, failures, retraining)


class Metrics:
    """The operator's metrics in a registry of their own.

    Parameters
    ----------
    shards
        Operators that share the namespaces.
    """

    def __init__(self, shards: int = 1) -> None:
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
        for answered in ("true", "false"):
            self.polls.labels(answered)  # else a share of them is unknown until the first of each
        self.leading = Gauge(
            "tickloom_operator_leading", "1 where this operator holds the Lease.", registry=self.registry
        )
        sharing = Gauge(
            "tickloom_operator_shards",
            "Operators that share the namespaces: so many must lead.",
            registry=self.registry,
        )
        sharing.set(shards)
        self.jobs = Jobs()
        self.registry.register(self.jobs)
        self._depth = Gauge(
            "tickloom_operator_queue_depth", "StreamJobs that wait to be looked at.", registry=self.registry
        )

    def depth(self, count: Callable[[], float]) -> None:
        """Have the depth of the queue asked for whenever it is read."""
        self._depth.set_function(count)
