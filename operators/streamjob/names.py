"""Names that the operator gives: labels, annotations, children."""

import hashlib

GROUP = "tickloom.dev"
VERSION = "v1alpha1"
PLURAL = "streamjobs"
API_VERSION = f"{GROUP}/{VERSION}"

FIELD_OWNER = "tickloom-operator"
FINALIZER = f"{GROUP}/stop"
LABEL_JOB = f"{GROUP}/job"
LABEL_EPOCH = f"{GROUP}/epoch"
LABEL_ROLE = f"{GROUP}/role"
LABEL_FACTS = f"{GROUP}/facts"
"""Label of a ConfigMap with what the monitor knows of a job's models: the job's name."""
RETRAIN = f"{GROUP}/retrain"
"""Annotation of a StreamJob: each new value asks for a retraining."""
HASH = f"{GROUP}/spec-hash"
"""Annotation of a driver: hash of the specification that it was started with."""
KEEP_CHECKPOINT = f"{GROUP}/keep-checkpoint"
"""Annotation of a StreamJob: `false` lets the checkpoint go with the job."""
FORCE_EPOCH = f"{GROUP}/force-epoch"
"""Annotation of a StreamJob: the epoch that may start although an older driver cannot be seen to be gone."""

PROGRESS_PORT = 4040
LONGEST = 63


def child(job: str, suffix: str) -> str:
    """Return ``job-suffix``, shortened with a hash where that is longer than a DNS label."""
    whole = f"{job}-{suffix}"
    if len(whole) <= LONGEST:
        return whole
    digest = hashlib.sha256(job.encode()).hexdigest()[:8]
    return f"{job[: LONGEST - len(suffix) - len(digest) - 2].rstrip('-')}-{digest}-{suffix}"


def driver(job: str, epoch: int) -> str:
    """Return the name of the driver of an epoch: a pod or a SparkApplication."""
    return child(job, f"e{epoch}")


def config(job: str, epoch: int) -> str:
    """Return the name of the ConfigMap that an epoch's driver reads."""
    return child(job, f"e{epoch}-config")


def service(job: str) -> str:
    """Return the name of the Service for progress and metrics."""
    return child(job, "progress")


def disruption_budget(job: str) -> str:
    """Return the name of the PodDisruptionBudget."""
    return child(job, "driver")


def claim(job: str) -> str:
    """Return the name of the claim that is made for a job's folder."""
    return child(job, "checkpoint")


def retraining(job: str, uid: str, trigger: str, of: str) -> str:
    """Return the name of the one run that a trigger of a job starts; ``of`` is its due time, or its evidence."""
    digest = hashlib.sha256("\n".join((uid, trigger, of)).encode()).hexdigest()[:10]
    return f"retrain-{job}-{digest}"


def topics(prices: str, prefix: str) -> dict[str, str]:
    """Return the topics of a job by role; ``prices`` is the one that it reads, ``prefix`` the installation's."""
    roles = {"prices": f"{prefix}prices" if prices == "prices" else prices}
    return roles | {role: f"{prefix}{role}" for role in ("bars", "anomalies", "dead-letters")}


def topic_object(topic: str) -> str:
    """Return the name of a topic's KafkaTopic, which has neither capitals nor `_`."""
    return topic.lower().replace("_", "-")
