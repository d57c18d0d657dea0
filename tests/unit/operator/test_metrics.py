"""What Prometheus reads of each StreamJob from the operator that looks after it."""

import pytest

pytest.importorskip("kubernetes", reason="needs the package kubernetes: install tickloom[operator]")
pytest.importorskip("aiohttp", reason="needs the package aiohttp: install tickloom[operator]")

from operators.streamjob import read
from operators.streamjob.actions import Plan, WriteStatus
from operators.streamjob.apply import Hand, Pace
from operators.streamjob.cluster import Refused
from operators.streamjob.main import Operator
from operators.streamjob.metrics import Metrics
from operators.streamjob.reconcile import Reconciler
from operators.streamjob.settings import OperatorSettings
from operators.streamjob.status import CONDITIONS, Condition, Failures, Status, dump
from operators.streamjob.watched import Watched
from tests.unit.operator.test_edge import HERE, KEY, FakeCluster, job_body

LABELS = {"namespace": "default", "streamjob": "atw"}
FAILED = Status(
    phase="BackOff",
    failures=Failures(count=2, total=5),
    conditions=(
        Condition(
            type="Ready", status="Unknown", reason="ProgressUnknown", last_transition_time="2026-01-01T00:00:00Z"
        ),
        Condition(type="Degraded", status="True", reason="Application", last_transition_time="2026-01-01T00:00:00Z"),
        Condition(type="Retraining", status="False", reason="FactsOld", last_transition_time="2026-01-01T00:00:00Z"),
    ),
)
WELL = FAILED.model_copy(
    update={
        "phase": "Running",
        "conditions": (
            Condition(type="Ready", status="True", reason="Running", last_transition_time="2026-01-01T00:00:00Z"),
        ),
    }
)


@pytest.fixture
def jobs():
    """The StreamJobs that the cluster has."""
    return {KEY: [read.packed({**job_body(), "status": dump(FAILED)}, "atw")]}


@pytest.fixture
def cluster():
    return FakeCluster()


@pytest.fixture
def reconciler(jobs, cluster):
    watched, metrics = Watched(cluster, jobs, ({},), {}), Metrics()
    return Reconciler(watched, Hand(cluster, watched, Pace(1, 1), metrics), HERE, metrics)


@pytest.fixture
def planned(monkeypatch):
    """Actions that every look plans."""
    actions = []
    monkeypatch.setattr("operators.streamjob.reconcile.plan", lambda _: Plan(tuple(actions)))
    return actions


def metric(reconciler, name, **labels):
    return reconciler.metrics.registry.get_sample_value(f"tickloom_streamjob_{name}", {**LABELS, **labels})


def true(reconciler):
    return {name for name in CONDITIONS if metric(reconciler, "condition", type=name)}


def test_a_job_is_shown_as_its_status_says(reconciler, planned):
    reconciler.look(KEY)
    assert metric(reconciler, "phase", phase="BackOff") == 1
    assert metric(reconciler, "failures_total") == 5
    assert true(reconciler) == {"Degraded"}
    assert metric(reconciler, "condition", type="Ready") == 0, "Unknown is not True"
    assert metric(reconciler, "retraining", reason="FactsOld") == 1


def test_what_is_written_is_shown_at_once_and_the_old_phase_no_more(reconciler, planned):
    reconciler.look(KEY)
    planned.append(WriteStatus(WELL, "it runs"))
    reconciler.look(KEY)
    assert metric(reconciler, "phase", phase="Running") == 1
    assert metric(reconciler, "phase", phase="BackOff") is None
    assert true(reconciler) == {"Ready"}


def test_what_the_server_refuses_is_not_shown(reconciler, planned, cluster):
    planned.append(WriteStatus(WELL, "it runs"))
    cluster.refusals = [Refused(409, "it was changed")]
    reconciler.look(KEY)
    assert metric(reconciler, "phase", phase="Running") is None
    assert metric(reconciler, "phase", phase="BackOff") == 1


def test_a_job_that_is_gone_is_shown_no_more(reconciler, planned, jobs):
    reconciler.look(KEY)
    jobs.clear()
    reconciler.look(KEY)
    assert metric(reconciler, "failures_total") is None


def test_how_many_operators_must_lead_is_said_from_the_start(monkeypatch):
    monkeypatch.setattr("operators.streamjob.main.Cluster", lambda **_: FakeCluster())
    operator = Operator(OperatorSettings(shards=3, shard=1))
    assert operator.metrics.registry.get_sample_value("tickloom_operator_shards") == 3
    assert operator.metrics.registry.get_sample_value("tickloom_operator_leading") == 0
