"""The status of a StreamJob: what was last intended and what was last seen."""

from typing import Any, Literal

from pydantic import Field

from operators.streamjob.moments import Moment
from operators.streamjob.retrained import Retraining
from tickloom.manifest.model import Model

Phase = Literal[
    "Pending", "Starting", "Running", "Upgrading", "RollingBack", "Suspending", "Suspended", "BackOff", "Failed",
    "Refused", "Deleting",
]  # fmt: skip
PHASES: dict[str, str] = {
    "Pending": "The manifest is accepted and nothing has been started yet.",
    "Starting": "A driver is being made or does not report progress yet.",
    "Running": "The driver reports progress; whether it has proved itself is what Progressing says.",
    "Upgrading": "The old driver is being stopped, and the next one is not yet made; that is Starting, then Running.",
    "RollingBack": "An upgrade was not good in time; the last good manifest is being started.",
    "Suspending": "The driver is being stopped because the manifest says `state: suspended`.",
    "Suspended": "Nothing runs; the checkpoint is kept.",
    "BackOff": "The driver failed; the next one starts after a pause.",
    "Failed": "The driver failed too often, or must not be started again.",
    "Refused": "The manifest is wrong and there is no good one to run.",
    "Deleting": "The StreamJob is going: the driver is stopped, then what belongs to it is removed.",
}
"""Each phase with its meaning."""

Step = Literal["None", "Starting", "Running", "Stopping"]

CONDITIONS: dict[str, str] = {
    "Ready": "The driver reports progress; whether it runs the wanted manifest is what Degraded says.",
    "Progressing": "The operator is changing something or waits for a change to take effect.",
    "Degraded": "Something is wrong that a person should look at.",
    "Suspended": "The manifest says that nothing shall run, and nothing does.",
    "UpgradePending": "A change of the manifest waits for something.",
    "Retraining": "A run that retrains models is under way; there only with `spec.retrain`.",
}
"""Each condition with its meaning."""

LONGEST_MESSAGE = 4096
"""Characters of a condition's message; what is longer is cut."""

REASONS: dict[str, str] = {
    "Running": "The driver reports progress.",
    "Starting": "The driver does not report progress yet.",
    "Stopping": "The driver is finishing its micro-batch.",
    "Stable": "The manifest has proved itself.",
    "Settling": "The driver runs; it has not yet committed enough micro-batches to count as good.",
    "Suspended": "`state: suspended`.",
    "NotSuspended": "`state: running`.",
    "Deleting": "The StreamJob is being deleted.",
    "AsWanted": "Nothing is wrong.",
    "NothingPending": "No change waits.",
    "InvalidSpec": "The manifest breaks a rule; the message names the field, the value and the fix.",
    "TickerTaken": "Another StreamJob owns a ticker's output.",
    "SecretMissing": "A Secret that the manifest names is not there, or lacks a key.",
    "StateWouldBeLost": "The change cannot keep the checkpoint, or no job can make it: the message says which.",
    "OldEpochAlive": "The driver of an older epoch is not known to be gone, so no new one may write the checkpoint.",
    "ScaleCapped": "More executors were asked for than the topic has partitions.",
    "NoExecutors": "Executors were asked for and SparkApplication is not installed.",
    "Submission": "The driver could not be made.",
    "Scheduling": "The driver's pod finds no node.",
    "OutOfMemory": "The driver ran out of memory.",
    "BadConfiguration": "The driver cannot start as configured: image, Secret, volume or settings.",
    "Application": "The driver ended with an error of its own.",
    "Evicted": "The driver's pod was taken away.",
    "TooManyFailures": "The driver failed as often as `restart.limit` allows.",
    "RestartNever": "The driver failed and `restart.policy` is Never.",
    "RolledBack": "The manifest did not prove itself in time; the last good one takes its place.",
    "Waiting": "The application waits for Kafka or Cassandra, or for its next try; it goes on by itself.",
    "ProgressUnknown": "The driver runs and does not answer at its progress address.",
    "Idle": "No retraining is due.",
    "NoFacts": "No retraining is due by schedule, and of drift, losses and ages nothing is known.",
    "FactsOld": "A session has been closed for a day of which the facts know nothing, so they start no retraining.",
    "Submitting": "A retraining is sent to Kubeflow Pipelines.",
    "SubmissionUnknown": "Whether Kubeflow Pipelines took it is not known: it is looked for before it is sent again.",
    "Pending": "Kubeflow Pipelines has the run and has not begun.",
    "RunSucceeded": "The last retraining ended well.",
    "RunFailed": "The last retraining failed, or could not be sent within a day.",
    "RunCanceled": "A person ended the last retraining.",
    "RunLost": "The last retraining is gone from Kubeflow Pipelines.",
    "CoolingDown": "There is evidence of tickers whose last retraining is less than `coolDown` sessions ago.",
    "Pausing": "A retraining is due and waits for the `pause` after the last one.",
    "QuietHours": "A retraining is due and waits for the end of `quietHours`.",
    "BudgetSpent": "A retraining is due and waits, for `gpuHours` of 30 days are spent.",
    "Queued": "A retraining is due and waits for those of other StreamJobs, as `concurrency` says.",
    "PoolMissing": "No node has a label, or the GPUs, that training steps ask for.",
    "TickerShared": "An older StreamJob has a policy for a ticker of this one, which therefore does not retrain.",
    "NotConnected": "The operator was told of no Kubeflow Pipelines.",
    "Unauthorized": "Kubeflow Pipelines refuses the operator's token, or what it may do.",
    "Unreachable": "Kubeflow Pipelines does not answer.",
    "PipelineMissing": "Kubeflow Pipelines has no pipeline, or no experiment, of the name.",
    "Refused": "Kubeflow Pipelines refuses the run; the message has its words.",
}
"""Each reason of a condition with its meaning."""


class Condition(Model):
    """One condition, as Kubernetes writes them."""

    type: Literal["Ready", "Progressing", "Degraded", "Suspended", "UpgradePending", "Retraining"] = Field(
        description="Which condition."
    )
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: str = Field(max_length=64, description="One word; docs/operating.md lists them.")
    message: str = Field("", max_length=LONGEST_MESSAGE, description="A sentence for people.")
    last_transition_time: str = Field(
        description="When the status last changed.", json_schema_extra={"format": "date-time"}
    )
    observed_generation: int | None = Field(None, description="Generation of the manifest that it speaks of.")


class Failures(Model):
    """Failures in a row."""

    count: int = Field(0, description="Failures since the driver last ran healthily.")
    total: int = Field(0, description="Failures in all: restarts of this StreamJob.")
    kind: str | None = Field(None, description="Class of the last failure.")
    message: str | None = Field(None, max_length=2048, description="The driver's last error line.")
    at: Moment | None = Field(None, description="When it failed.")
    next_start: Moment | None = Field(None, description="When the next driver may start.")
    epoch: int = Field(0, description="Epoch that failed last.")


class Reported(Model):
    """What the driver last reported."""

    batch: int | None = Field(None, description="Number of the last committed micro-batch.")
    lag: int | None = Field(None, description="Records in the topic that are not yet processed.")
    rows_per_second: float | None = Field(None, description="Records of the last micro-batch per second.")
    state_rows: int | None = Field(None, description="Tickers and groups in the state store.")
    committed_at: str | None = Field(None, description="When the last micro-batch was committed.")
    partitions: int | None = Field(None, description="Partitions of the topic that the job reads.")


class Autoscaled(Model):
    """What the autoscaler decided."""

    replicas: int = Field(description="Executors that it wants.")
    at: Moment = Field(description="When it last decided to change.")
    reason: str = Field("", max_length=512, description="Why.")


class CheckpointPlace(Model):
    """Where the checkpoint is."""

    claim: str | None = Field(None, description="Claim that holds the job's folder.")
    location: str | None = Field(None, description="Folder or URI of the checkpoint.")
    series: int = Field(0, description="Counts the checkpoints: a stateless change begins a new one.")


class Status(Model):
    """The whole status, which is written before what it intends is done."""

    observed_generation: int = Field(0, description="Generation of the manifest that was last looked at.")
    phase: Phase = Field("Pending", description="Where the job is.")
    step: Step = Field("None", description="What was intended last.")
    epoch: int = Field(0, description="Number of the current driver; each start has its own.")
    runtime: str | None = Field(None, description="`driverPod` or `sparkOperator`.")
    replicas: int = Field(0, description="Executors of the current driver.")
    tickers: int = Field(0, description="Number of tickers.")
    selector: str = Field("", description="Selects the job's pods.")
    spec_hash: str | None = Field(None, description="Hash of what the current driver was started with.")
    started_at: Moment | None = Field(None, description="When the current driver was first seen.")
    healthy_since: Moment | None = Field(None, description="Since when it reports progress.")
    changed_at: Moment | None = Field(None, description="When this manifest was first started.")
    lag_before: int | None = Field(None, description="Lag when this manifest was first started: it need not be better.")
    stable: bool = Field(False, description="Whether the current driver has proved itself.")
    last_reconciled_spec: str | None = Field(None, description="Spec of the current driver, as JSON.")
    last_stable_spec: str | None = Field(None, description="Spec that last proved itself, as JSON.")
    rejected_hash: str | None = Field(None, description="Hash of a spec that did not prove itself in time.")
    rejected_why: str | None = Field(None, max_length=1024, description="What was wrong with it last.")
    failures: Failures = Field(default_factory=Failures, description="Failures in a row.")
    progress: Reported = Field(default_factory=Reported, description="What the driver last reported.")
    progress_at: Moment | None = Field(None, description="When progress was last written here.")
    autoscaling: Autoscaled | None = Field(None, description="What the autoscaler decided.")
    checkpoint: CheckpointPlace = Field(default_factory=CheckpointPlace, description="Where the checkpoint is.")
    retraining: Retraining | None = Field(None, description="What was retrained, and why.")
    degraded: str | None = Field(None, description="Reason of the condition Degraded while it is True.")
    conditions: tuple[Condition, ...] = Field((), description="Conditions.")


def read(raw: Any) -> Status:
    """Return the status of an object, empty where there is none; fields of a newer release are left out."""
    known = {info.alias or name for name, info in Status.model_fields.items()}
    return Status.model_validate({key: value for key, value in (raw or {}).items() if key in known})


def dump(status: Status) -> dict[str, Any]:
    """Return what is written into the object."""
    out: dict[str, Any] = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return out
