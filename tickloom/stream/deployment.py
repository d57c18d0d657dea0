"""The part of the ``StreamJob`` manifest that says how the application runs, and how it is kept running."""

from typing import Any, Literal

from pydantic import Field, model_validator

from tickloom.manifest.model import Duration, Model, ObjectName, Quantity, milliseconds

Memory = r"^[1-9][0-9]{0,5}[mg]$"


class Resources(Model):
    """What a driver or an executor may use."""

    cores: int = Field(2, ge=1, le=64, description="Tasks that run at once; the processors of the pod.")
    memory: str = Field("1g", pattern=Memory, description="Heap of its Java process.")
    memory_overhead: str = Field(
        "1536m", pattern=Memory, description="Memory of the pod beyond the heap: Python workers, RocksDB, buffers."
    )


class Toleration(Model):
    """A taint that the pods put up with."""

    key: str | None = Field(None, max_length=316, description="Key of the taint; absent means all.")
    operator: Literal["Exists", "Equal"] = Field("Equal", description="How the value is compared.")
    value: str | None = Field(None, max_length=63, description="Value of the taint, for Equal.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        None, description="Effect that is put up with; absent means all."
    )
    toleration_seconds: int | None = Field(None, ge=0, description="How long NoExecute is put up with, in seconds.")


class PodTemplate(Model):
    """What a pod's manifest holds beside what the operator sets."""

    metadata: dict[str, Any] = Field(default_factory=dict, description="Such as `labels` and `annotations`.")
    spec: dict[str, Any] = Field(default_factory=dict, description="Any field of a pod's `spec`.")

    def body(self) -> dict[str, Any]:
        """Return the parts that hold something."""
        return self.model_dump(mode="json", exclude_defaults=True)


class Runtime(Model):
    """What the application runs on."""

    type: Literal["auto", "sparkOperator", "driverPod"] = Field(
        "auto",
        description=(
            "`driverPod`: one pod with Spark in local mode. `sparkOperator`: a SparkApplication with executors. "
            "`auto`: the latter where its CRD is installed and the job asks for executors, by `replicas` above 1 or by "
            "naming `executor`; else the former."
        ),
    )
    image: str | None = Field(
        None, min_length=1, max_length=512, description="Image of driver and executors; by default the operator's."
    )
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        "IfNotPresent", description="When the image is pulled."
    )
    spark_version: str = Field(
        "4.2.0", pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$", description="Version of Spark in the image."
    )
    driver: Resources = Field(default_factory=Resources, description="What the driver may use.")
    executor: Resources | None = Field(
        None, description="What each executor may use; naming it asks for executors. By default as the driver."
    )
    state_partitions: int = Field(
        2, ge=1, le=512, description="Partitions of the state; fixed for the life of a checkpoint."
    )
    service_account: ObjectName | None = Field(
        None, description="Service account of the pods; by default the operator's setting."
    )
    node_selector: dict[str, str] = Field(
        default_factory=dict, max_length=32, description="Labels of the nodes that the pods may run on."
    )
    tolerations: tuple[Toleration, ...] = Field((), max_length=32, description="Taints that the pods put up with.")
    pod_template: PodTemplate = Field(
        default_factory=PodTemplate,
        description="What else the pods' manifests hold, merged below what the operator sets.",
    )
    executor_pod_template: PodTemplate = Field(
        default_factory=PodTemplate,
        description="Laid over `podTemplate` for executors alone, for example to put them on spot nodes.",
    )


class Claim(Model):
    """A volume that holds the job's folder."""

    name: ObjectName | None = Field(
        None, description="Claim that exists; by default one of the job's name is made, and kept on deletion."
    )
    size: Quantity = Field("1Gi", description="Size of the claim that is made.")
    storage_class: ObjectName | None = Field(
        None, description="Storage class of the claim that is made; by default the cluster's."
    )


class Checkpoint(Model):
    """Where the job remembers how far it is."""

    path: str | None = Field(
        None,
        min_length=1,
        max_length=1024,
        description=(
            "Folder of the checkpoint, or URI in an object store (`s3a://…`); by default `checkpoint` in the job's "
            "folder."
        ),
    )
    claim: Claim = Field(default_factory=Claim, description="Volume of the job's folder on a cluster.")


class Upgrade(Model):
    """How a change of the manifest is carried out."""

    mode: Literal["checkpoint", "stateless"] = Field(
        "checkpoint",
        description=(
            "`checkpoint`: stop, keep the checkpoint, start. `stateless`: also allow changes that no checkpoint "
            "survives; such a change starts a new checkpoint."
        ),
    )
    stable_batches: int = Field(
        3, ge=1, le=1000, description="Committed micro-batches after which an upgrade counts as good."
    )
    max_lag: int = Field(
        1_000_000, ge=0, le=10**12, description="Most unprocessed records with which an upgrade counts as good."
    )
    readiness_timeout: Duration = Field("10m", description="By when an upgrade must be good.")
    rollback: bool = Field(True, description="Go back to the last good manifest when an upgrade is not good in time.")


class Restart(Model):
    """What is done when the application fails."""

    policy: Literal["OnFailure", "Never"] = Field("OnFailure", description="Whether it is started again.")
    limit: int = Field(10, ge=0, le=10_000, description="Failures in a row after which it is left alone; 0: no limit.")
    initial_backoff: Duration = Field("10s", description="Pause before the first restart; doubled with each failure.")
    max_backoff: Duration = Field("5m", description="Longest pause.")
    reset_after: Duration = Field("10m", description="Healthy running after which failures are forgotten.")

    @model_validator(mode="after")
    def _ordered(self) -> "Restart":
        if milliseconds(self.initial_backoff) > milliseconds(self.max_backoff):
            raise ValueError(f"initialBackoff {self.initial_backoff} is longer than maxBackoff {self.max_backoff}")
        return self


class Autoscaling(Model):
    """How the number of executors follows the lag."""

    min: int = Field(1, ge=1, le=500, description="Fewest executors.")
    max: int = Field(1, ge=1, le=500, description="Most executors; also capped by the topic's partitions.")
    target_lag: Duration = Field(
        "1m", description="How old the oldest unprocessed record may be, by the rate at which records are processed."
    )
    catch_up: Duration = Field("10m", description="Within what time a backlog is to be worked off.")
    stabilization: Duration = Field("5m", description="Least time between two changes.")
    advice: bool = Field(False, description="Only say what would be done: in the status and in an event.")

    @model_validator(mode="after")
    def _ordered(self) -> "Autoscaling":
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self


class Retention(Model):
    """What is kept of the past."""

    batches: int = Field(10, ge=2, le=10_000, description="Micro-batches whose state the checkpoint keeps.")
    attempts: int = Field(1, ge=0, le=20, description="Failed driver pods that are kept for their logs.")
