"""What was observed of a StreamJob and its surroundings: values that the planner reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from operators.streamjob.facts import Facts
from operators.streamjob.retrained import RunState
from operators.streamjob.status import Status
from tickloom.stream.job import Spec

DriverPhase = Literal["pending", "running", "ended", "failed", "unknown"]


@dataclass(frozen=True)
class Driver:
    """The driver of one epoch: a pod, or a SparkApplication.

    Parameters
    ----------
    kind, name, uid
        The object.
    epoch
        Epoch in its label.
    spec_hash
        Hash of the specification that it was started with.
    phase
        ``unknown`` where its node does not answer.
    deleting
        Whether its deletion has begun.
    ready
        Whether Kubernetes calls it ready.
    failure, message
        Class of a failure (one of the reasons), and its last error line.
    finished
        When it ended, in seconds since 1970.
    """

    kind: str
    name: str
    uid: str
    epoch: int
    spec_hash: str | None = None
    phase: DriverPhase = "pending"
    deleting: bool = False
    ready: bool = False
    failure: str | None = None
    message: str | None = None
    finished: float | None = None
    address: str | None = None

    @property
    def alive(self) -> bool:
        """Whether it may still write: it has not ended, or nobody knows."""
        return self.phase not in ("ended", "failed")


@dataclass(frozen=True)
class Child:
    """An object that the operator made, as the cluster holds it."""

    kind: str
    name: str
    uid: str
    body: Mapping[str, Any]
    deleting: bool = False


@dataclass(frozen=True)
class Report:
    """What a driver answered at its progress address.

    Parameters
    ----------
    epoch
        The driver's epoch.
    state
        The application's own word: ``starting``, ``running``, ``waiting``, ``stopping``, ``stopped``, ``failed``.
    why
        What it waits for, or why it failed.
    checks
        Committed micro-batches, and reports of an idle query, since the driver started.
    partitions
        Partitions of the topic that the job reads.
    oldest_s
        Age of the oldest unprocessed record by the rate of processing, in seconds; None where it is unknown.
    at
        When it answered, in seconds since 1970.
    """

    epoch: int
    state: str
    at: float
    why: str | None = None
    batch: int | None = None
    checks: int = 0
    lag: int | None = None
    rows_per_second: float | None = None
    arrival_per_second: float | None = None
    state_rows: int | None = None
    committed_at: str | None = None
    partitions: int | None = None


@dataclass(frozen=True)
class RunSeen:
    """A run as Kubeflow Pipelines has it; times in seconds since 1970."""

    id: str
    state: RunState
    created_at: float | None = None
    finished_at: float | None = None


AnswerKind = Literal["found", "absent", "unknown", "refused", "denied", "unreachable", "missing"]


@dataclass(frozen=True)
class Answer:
    """What Kubeflow Pipelines last said of a run that was to be sent.

    Parameters
    ----------
    name, attempt
        Which one.
    kind
        ``absent``: no run has the name. ``unknown``: it was sent, and whether it was taken is not known. ``refused``,
        ``denied`` (who asks is not known or may not), ``unreachable`` and ``missing`` (there is no such pipeline): a
        clear no.
    submitted
        Whether it is the answer to sending it, and not to looking for it.
    asked_at
        When it was asked, in seconds since 1970.
    text
        The server's own words, or what is wrong.
    """

    name: str
    attempt: int
    kind: AnswerKind
    asked_at: float
    submitted: bool = False
    run: RunSeen | None = None
    text: str = ""


@dataclass(frozen=True)
class Installation:
    """What the operator's own settings decide for every job.

    Parameters
    ----------
    kafka_secrets, cassandra_secrets
        Secrets in each job's namespace for the servers named here: with the credentials, and with the certificates.
    instruments, holidays
        ConfigMaps there with `instruments.csv` and `holidays.csv`, which drivers and executors read.
    kubeflow
        Address of Kubeflow Pipelines; None where there is none.
    mlflow
        Address of MLflow, for its runs.
    """

    image: str
    service_account: str = "default"
    spark_service_account: str = "tickloom-driver"
    kafka: str | None = None
    cassandra: str | None = None
    keyspace: str = "tickloom"
    topic_prefix: str = ""
    replication: int = 1
    image_pull_secrets: tuple[str, ...] = ()
    kafka_secrets: tuple[str | None, str | None] = (None, None)
    cassandra_secrets: tuple[str | None, str | None] = (None, None)
    instruments: str | None = None
    holidays: str | None = None
    environment: tuple[tuple[str, str], ...] = ()
    kubeflow: str | None = None
    mlflow: str | None = None


@dataclass(frozen=True)
class Problem:
    """A rule that a manifest breaks."""

    reason: str
    message: str


@dataclass(frozen=True)
class Seen:
    """Everything that the planner may know.

    Parameters
    ----------
    now
        Seconds since 1970.
    raw_spec
        The manifest's spec as it stands in the cluster.
    replaced
        The spec in the cluster that ``raw_spec`` is to replace; None where it stands there itself.
    version
        Resource version that was seen.
    secrets
        Keys of each Secret that the job needs; None for one that is not there.
    owners
        For each of the job's tickers that an older StreamJob owns too, that job's name.
    installed
        Kinds that the cluster knows: ``SparkApplication``, ``KafkaTopic``.
    refused
        Why the API server refused what was planned last; None where it did not.
    report
        The current driver's last answer.
    created
        When the StreamJob was made, in seconds since 1970.
    facts
        What the monitor knows of the models; None where it wrote nothing.
    rivals
        For each of the job's tickers for which an older StreamJob has a policy too, that job's name.
    busy
        Runs of other StreamJobs of the namespace that have not ended.
    missing
        Which label of a run's nodes no node has, in words; None where one has them all, or nobody may know.
    answer
        What Kubeflow Pipelines last said of the run that was to be sent.
    """

    now: float
    name: str
    namespace: str
    uid: str
    generation: int
    installation: Installation
    version: str = ""
    raw_spec: Mapping[str, Any] = field(default_factory=dict)
    replaced: Spec | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    finalizers: tuple[str, ...] = ()
    deleting: bool = False
    status: Status = field(default_factory=Status)
    drivers: tuple[Driver, ...] = ()
    children: tuple[Child, ...] = ()
    secrets: Mapping[str, frozenset[str] | None] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)
    installed: frozenset[str] = frozenset()
    report: Report | None = None
    refused: str | None = None
    created: int = 0
    facts: Facts | None = None
    rivals: Mapping[str, str] = field(default_factory=dict)
    busy: tuple[str, ...] = ()
    missing: str | None = None
    answer: Answer | None = None

    def child(self, kind: str, name: str) -> Child | None:
        """Return the child of that kind and name, if it is there."""
        return next((item for item in self.children if (item.kind, item.name) == (kind, name)), None)


@dataclass(frozen=True)
class Valid:
    """A manifest that breaks no rule, or its problems."""

    spec: Spec | None
    problems: tuple[Problem, ...] = ()
