"""Every metric that there is: those of the real code at work, and a list of others' with their source."""

import time
from datetime import UTC, datetime
from types import SimpleNamespace

from prometheus_client import CollectorRegistry, generate_latest

from operators.streamjob.metrics import Metrics as OperatorMetrics
from operators.streamjob.status import CONDITIONS, PHASES, Condition, Status
from operators.streamjob.status import REASONS as REASONS_OF_CONDITIONS
from services.forecast.settings import ServeSettings
from services.forecast.shielding import shielded
from services.ingest.feeds import Once
from services.ingest.metrics import Metrics as IngestMetrics
from services.ingest.worker import Worker
from tests.unit.charts.monitoring_files import monitors
from tests.unit.charts.promql import Known, Labels, exposed
from tests.unit.ingest.test_worker import Broker, block, source
from tests.unit.stream.test_progress import commit
from tickloom.bus.deadletters import REASONS
from tickloom.experiment.outlet import Metrics as LedgerMetrics
from tickloom.experiment.outlet import Outlet, Taken
from tickloom.serving.metrics import Metrics as ServeMetrics
from tickloom.stream.metrics import STATES
from tickloom.stream.progress import Progress

KUBE_STATE_METRICS = (
    "https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/workload/cronjob-metrics.md"
)
TARGET_LABELS = {
    "ServiceMonitor": {"namespace", "service", "pod", "container", "endpoint", "job", "instance"},
    "PodMonitor": {"namespace", "pod", "container", "endpoint", "job", "instance"},
}
"""Labels that the Prometheus operator adds: https://prometheus-operator.dev/docs/developer/getting-started/."""
FOREIGN: dict[str, tuple[str, Labels]] = {
    "up": (
        "https://prometheus.io/docs/concepts/jobs_instances/",
        frozenset({"job", "instance", "namespace", "pod", "container", "endpoint", "streamjob"}),
    ),
    "kube_cronjob_status_last_successful_time": (KUBE_STATE_METRICS, frozenset({"namespace", "cronjob"})),
    "kube_cronjob_created": (KUBE_STATE_METRICS, frozenset({"namespace", "cronjob"})),
    "container_memory_working_set_bytes": (
        "https://github.com/google/cadvisor/blob/master/docs/storage/prometheus.md",
        frozenset({"namespace", "pod", "container", "image", "name"}),
    ),
}
"""Metrics of others: where they are described, and those of their labels that are used."""


def operator() -> CollectorRegistry:
    """Return the registry of an operator that has met everything once."""
    metrics = OperatorMetrics()
    metrics.reconcile.labels("true").observe(0.1)
    metrics.actions.labels("Apply").inc()
    metrics.errors.labels("Apply", "409").inc()
    metrics.polls.labels("true").inc()
    ready = Condition(type="Ready", status="True", reason="Running", last_transition_time="2026-01-01T00:00:00Z")
    retraining = ready.model_copy(update={"type": "Retraining", "status": "False", "reason": "NoFacts"})
    metrics.jobs.note(("demo", "atw"), Status(phase="Running", conditions=(ready, retraining)))
    return metrics.registry


def ingest() -> CollectorRegistry:
    """Return the registry of a source that failed, then brought records, and follows an exchange."""
    broker, metrics = Broker(), IngestMetrics()
    broker.refusals = ["flush"]
    feed = Once(lambda: iter([block(0)]), lambda blocks: blocks, trades=lambda _: True)
    Worker(source(), feed, broker.connect, metrics, SimpleNamespace(is_set=lambda: False, wait=lambda _: False)).run()
    return metrics.registry


def driver() -> CollectorRegistry:
    """Return the registry of a driver that has committed a micro-batch."""
    progress = Progress("atw", tickers=1, epoch=1, trades=lambda at: at > datetime(2020, 1, 1, tzinfo=UTC).timestamp())
    commit(progress, 0, at=0, end={"0": 10}, latest={"0": 10})
    return progress.metrics.registry


def forecast() -> CollectorRegistry:
    """Return the registry of a forecast service that has answered once, and not by its model."""
    metrics = ServeMetrics()
    nobody = SimpleNamespace(waiting=0, catalogue=SimpleNamespace(aliases={}), made=0, dropped=0, failed=0)
    shielded(lambda *_: None, ServeSettings(), metrics, nobody, nobody, nobody)
    metrics.answered("/v1/forecast", 200, ("champion",), ("naive",), 1, 0.01)
    metrics.hits.inc()
    outlet = Outlet("cassandra", lambda them: Taken(written=len(them)), LedgerMetrics(metrics.registry), 10)
    outlet.close(time.monotonic() + 1)
    return metrics.registry


def known() -> Known:
    """Return every metric with its labels, those of the targets too, and the values that are known."""
    metrics = {name: labels for name, (_, labels) in FOREIGN.items()}
    jobs = set()
    for name, registry in (
        ("operator", operator()),
        ("drivers", driver()),
        ("ingest", ingest()),
        ("forecast", forecast()),
    ):
        monitor = monitors()[name]
        (endpoint,) = monitor["spec"].get("endpoints") or monitor["spec"]["podMetricsEndpoints"]
        added = {rule["targetLabel"]: rule.get("replacement") for rule in endpoint["relabelings"]}
        jobs.add(added["job"])
        target = TARGET_LABELS[monitor["kind"]] | set(added)
        for metric, labels in exposed(generate_latest(registry).decode()).items():
            clash = labels & target
            # without honorLabels Prometheus would call the metric's own label exported_…
            assert not clash or endpoint.get("honorLabels"), f"{metric}: {clash}"
            metrics[metric] = labels | target
    values = {
        ("tickloom_streamjob_phase", "phase"): set(PHASES),
        ("tickloom_streamjob_condition", "type"): set(CONDITIONS),
        ("tickloom_streamjob_retraining", "reason"): set(REASONS_OF_CONDITIONS),
        ("tickloom_stream_state", "state"): set(STATES),
        ("tickloom_stream_dead_letters_total", "reason"): set(REASONS),
        ("tickloom_operator_polls_total", "answered"): {"true", "false"},
        ("tickloom_operator_reconcile_seconds_count", "acted"): {"true", "false"},
        ("up", "job"): jobs,
    }
    return Known(metrics, values)
