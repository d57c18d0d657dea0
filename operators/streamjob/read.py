"""From objects of the cluster to the values that the planner reads: pure."""

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from operators.streamjob import names
from operators.streamjob.moments import seconds
from operators.streamjob.seen import Child, Driver, DriverPhase, Report

Body = Mapping[str, Any]
UNSCHEDULABLE_S = 30.0
_CONFIGURATION = {
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "RunContainerError",
}
_EXIT_CONFIGURATION = 78
_FRAME = re.compile(r"at \S+\(.*\)$|\.\.\. \d+ (more|common frames)")
_CAUSES = ("Exception in thread ", "Caused by: ")
_CHILDREN = ("ConfigMap", "Service", "PodDisruptionBudget", "PersistentVolumeClaim")


@dataclass(frozen=True)
class Packed:
    """An object without what nobody reads, compressed: a thousand jobs have thousands of them."""

    kind: str
    namespace: str
    name: str
    uid: str
    version: str
    job: str
    data: bytes

    def body(self) -> dict[str, Any]:
        """Return the object."""
        found: dict[str, Any] = json.loads(zlib.decompress(self.data))
        return found


def packed(body: Body, job: str | None = None) -> Packed:
    """Return an object as it is kept."""
    meta = body["metadata"]
    lean = {key: value for key, value in body.items() if key != "metadata"}
    lean["metadata"] = {key: value for key, value in meta.items() if key != "managedFields"}
    if body["kind"] == "Pod":
        # of a pod, only how it fares is read: what it was made of cannot change
        lean["spec"] = {"nodeName": (body.get("spec") or {}).get("nodeName")}
    data = zlib.compress(json.dumps(lean, separators=(",", ":")).encode(), 1)
    return Packed(
        kind=str(body["kind"]),
        namespace=str(meta["namespace"]),
        name=str(meta["name"]),
        uid=str(meta["uid"]),
        version=str(meta["resourceVersion"]),
        job=job or str((meta.get("labels") or {}).get(names.LABEL_JOB, "")),
        data=data,
    )


def drivers(bodies: Sequence[Body], now: float) -> tuple[Driver, ...]:
    """Return the drivers among a job's pods and SparkApplications.

    A SparkApplication and the driver pod that spark-operator made of it are one driver; a pod whose SparkApplication
    is gone is one of its own, for it may still write. So may an executor whose driver is gone.
    """
    pods = [body for body in bodies if body["kind"] == "Pod" and _role(body) == "driver"]
    found = []
    for body in bodies:
        if body["kind"] == "SparkApplication":
            mine = next((pod for pod in pods if _epoch(pod) == _epoch(body)), None)
            pods = [pod for pod in pods if pod is not mine]
            found.append(_of_application(body, mine, now))
    found += [of_pod(body, now) for body in pods]
    led = {item.epoch for item in found if item.alive}
    orphans = (body for body in bodies if body["kind"] == "Pod" and _role(body) == "executor")
    left = [replace(of_pod(body, now), ready=False, address=None) for body in orphans if _epoch(body) not in led]
    return (*found, *(item for item in left if item.alive))


def _epoch(body: Body) -> int:
    text = (body["metadata"].get("labels") or {}).get(names.LABEL_EPOCH, "")
    return int(text) if text.isdigit() else -1


def _role(body: Body) -> str | None:
    role: str | None = (body["metadata"].get("labels") or {}).get(names.LABEL_ROLE)
    return role


def of_pod(body: Body, now: float) -> Driver:
    """Return the driver that a pod is."""
    meta, status = body["metadata"], body.get("status") or {}
    phase = {
        "Pending": "pending",
        "Running": "running",
        "Succeeded": "ended",
        "Failed": "failed",
    }.get(status.get("phase", "Pending"), "unknown")
    failure, message = _trouble(status, phase, meta, now)
    conditions = {item["type"]: item for item in status.get("conditions") or []}
    return Driver(
        kind="Pod",
        name=meta["name"],
        uid=meta["uid"],
        epoch=_epoch(body),
        spec_hash=(meta.get("annotations") or {}).get(names.HASH),
        phase=phase,  # type: ignore[arg-type]
        deleting="deletionTimestamp" in meta,
        ready=conditions.get("Ready", {}).get("status") == "True",
        failure=failure,
        message=message,
        address=status.get("podIP"),
    )


def _trouble(status: Body, phase: str, meta: Body, now: float) -> tuple[str | None, str | None]:
    """Return the class of what is wrong with a pod, and its last error line."""
    states = [item.get("state") or {} for item in status.get("containerStatuses") or []]
    for state in states:
        waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
        if waiting.get("reason") in _CONFIGURATION:
            return "BadConfiguration", f"{waiting['reason']}: {last_line(waiting.get('message'))}"
        if ended and ended.get("exitCode"):
            return _class_of_exit(ended), last_line(ended.get("message")) or f"exit code {ended['exitCode']}"
    if phase == "failed":
        reason = status.get("reason") or "Failed"
        kind = (
            "Evicted" if reason in ("Evicted", "Shutdown", "NodeShutdown", "Terminated", "NodeLost") else "Application"
        )
        return kind, f"{reason}: {last_line(status.get('message'))}"
    placed: Body = next((item for item in status.get("conditions") or [] if item["type"] == "PodScheduled"), {})
    age = now - seconds(meta["creationTimestamp"]) if meta.get("creationTimestamp") else 0.0
    if phase == "pending" and placed.get("reason") == "Unschedulable" and age > UNSCHEDULABLE_S:
        return "Scheduling", last_line(placed.get("message"))
    return None, None


def _class_of_exit(ended: Body) -> str:
    text = ended.get("message") or ""
    if ended.get("reason") == "OOMKilled" or "OutOfMemoryError" in text:
        return "OutOfMemory"
    if ended.get("exitCode") == _EXIT_CONFIGURATION:
        return "BadConfiguration"
    return "Application"


def _lines(text: str | None) -> list[str]:
    """Return the lines of a text that say something: none of Java's stack frames."""
    lines = (line.strip() for line in (text or "").splitlines())
    return [line for line in lines if line and not _FRAME.match(line)]


def last_line(text: str | None) -> str:
    """Return the last line of a text that says something."""
    lines = _lines(text)
    return lines[-1][:1000] if lines else ""


def of_submission(text: str | None) -> str:
    """Return why spark-submit failed, from its log: the innermost cause."""
    causes = [line for line in _lines(text) if line.startswith(_CAUSES)]
    return causes[-1].split(". Received status: ")[0][:1000] if causes else last_line(text)


_STATES: dict[str, DriverPhase] = {
    "": "pending",
    "SUBMITTED": "pending",
    "PENDING_RERUN": "pending",
    "SUSPENDED": "pending",
    "RESUMING": "pending",
    "RUNNING": "running",
    "SUSPENDING": "running",
    "SUCCEEDING": "running",
    "FAILING": "running",
    "COMPLETED": "ended",
    "FAILED": "failed",
    "SUBMISSION_FAILED": "failed",
    "INVALIDATING": "unknown",
    "UNKNOWN": "unknown",
}


def _of_application(body: Body, pod: Body | None, now: float) -> Driver:
    meta, status = body["metadata"], body.get("status") or {}
    inner = of_pod(pod, now) if pod is not None else None
    failure, message = _trouble_of_application(status, inner)
    return Driver(
        kind="SparkApplication",
        name=meta["name"],
        uid=meta["uid"],
        epoch=_epoch(body),
        spec_hash=(meta.get("annotations") or {}).get(names.HASH),
        # the pod knows better whether something still writes
        phase=inner.phase if inner else _STATES.get(_word(status), "unknown"),
        deleting="deletionTimestamp" in meta,
        ready=bool(inner and inner.ready),
        failure=failure,
        message=message,
        address=inner.address if inner else None,
    )


def _word(status: Body) -> str:
    return str((status.get("applicationState") or {}).get("state", ""))


def _trouble_of_application(status: Body, inner: Driver | None) -> tuple[str | None, str | None]:
    """Return the class of what is wrong with a SparkApplication, and its last error line."""
    word, said = _word(status), (status.get("applicationState") or {}).get("errorMessage")
    # a submission that failed is SUBMISSION_FAILED for a moment and FAILED from then on
    if word == "SUBMISSION_FAILED" or (word == "FAILED" and not status.get("executionAttempts")):
        return "Submission", of_submission(said)
    if inner is not None and inner.failure is not None:
        return inner.failure, inner.message
    if word == "FAILED":
        return ("Evicted" if inner is None else "Application"), last_line(said)
    return None, None


def children(bodies: Sequence[Body]) -> tuple[Child, ...]:
    """Return what else the job has."""
    return tuple(
        Child(
            kind=body["kind"],
            name=body["metadata"]["name"],
            uid=body["metadata"]["uid"],
            body=body,
            deleting="deletionTimestamp" in body["metadata"],
        )
        for body in bodies
        if body["kind"] in (*_CHILDREN, "KafkaTopic")
    )


def report(answer: Mapping[str, Any], epoch: int, now: float) -> Report:
    """Return what a driver said at its progress address."""
    said = answer.get("epoch")
    return Report(
        epoch=int(said) if said is not None else epoch,
        state=str(answer.get("state", "")),
        at=now,
        why=answer.get("failure"),
        batch=answer.get("batch"),
        checks=int(answer.get("checks") or 0),
        lag=answer.get("lag"),
        rows_per_second=answer.get("rows_per_second"),
        arrival_per_second=answer.get("arrival_per_second"),
        state_rows=answer.get("state_rows"),
        committed_at=answer.get("committed_at"),
        partitions=answer.get("partitions"),
    )
