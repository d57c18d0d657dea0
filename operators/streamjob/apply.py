"""Carries a plan out: the only place that writes to the cluster."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from operators.streamjob import moments, names, read
from operators.streamjob.actions import Action, Apply, Delete, Plan, SetFinalizer, Start, Submit, Tell, WriteStatus
from operators.streamjob.claims import Key
from operators.streamjob.cluster import Cluster, Refused
from operators.streamjob.metrics import Metrics
from operators.streamjob.seen import Seen
from operators.streamjob.status import dump
from operators.streamjob.watched import Watched

log = structlog.get_logger()
FENCED_AGAIN_S = 1.0


class LaterError(Exception):
    """What is left of a plan is made anew after a while.

    Parameters
    ----------
    seconds
        The while.
    why
        What stood in the way.
    """

    def __init__(self, seconds: float, why: str) -> None:
        super().__init__(why)
        self.seconds = seconds


@dataclass
class Pace:
    """Lets so many starts through: ``rate`` a second in the long run, ``burst`` at once."""

    rate: float
    burst: int
    _tokens: float = field(init=False)
    _at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._tokens = float(self.burst)

    def wait_s(self) -> float:
        """Take one start and return 0, or return the seconds until there will be one."""
        now = time.monotonic()
        self._tokens = min(float(self.burst), self._tokens + (now - self._at) * self.rate)
        self._at = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self.rate


class Runs(Protocol):
    """Takes runs to where they are made."""

    def send(self, key: Key, wanted: Submit) -> None:
        """Have a run sent, without waiting for it."""


@dataclass
class Hand:
    """Does what plans say.

    Parameters
    ----------
    cluster
        Where to.
    watched
        Is told what was written, so that the next look knows it before the watching does.
    pace
        Holds back starts.
    metrics
        Counts actions.
    runs
        Sends runs of pipelines; None where there is nowhere to send them to.
    """

    cluster: Cluster
    watched: Watched
    pace: Pace
    metrics: Metrics
    identity: str = names.FIELD_OWNER
    runs: Runs | None = None

    def carry_out(self, key: Key, seen: Seen, plan: Plan) -> None:
        """Do a plan's actions in their order.

        Raises
        ------
        LaterError
            Something stood in the way of an action; it and those after it were not done.
        """
        version: str | None = None
        for action in plan.actions:
            try:
                version = self._do(key, seen, action, version)
            except Refused as error:
                kind = type(action).__name__
                self.metrics.errors.labels(kind, str(error.status)).inc()
                if isinstance(action, Tell):
                    log.warning("event not written", job="/".join(key), failure=str(error))
                    continue
                if error.status == 404 and isinstance(action, WriteStatus | SetFinalizer):
                    return  # the StreamJob is gone
                raise LaterError(_pause(error), f"{kind}: {error}") from error
            self.metrics.actions.labels(type(action).__name__).inc()
            if not isinstance(action, Tell):
                log.info(type(action).__name__, job="/".join(key), why=action.why, **_about(action))

    def _do(self, key: Key, seen: Seen, action: Action, version: str | None) -> str | None:
        match action:
            case WriteStatus():
                return self._write_status(key, seen, action)
            case SetFinalizer():
                self._set_finalizer(key, seen, present=action.present)
            case Apply():
                self.watched.wrote(key, self.cluster.apply(action.manifest))
            case Start():
                self._start(key, action)
            case Delete():
                self.cluster.delete(action.kind, key[0], action.name, action.uid)
                self.watched.deleted(key, action.kind, action.name, action.uid)
            case Submit():
                if self.runs is not None:
                    self.runs.send(key, action)
            case Tell():
                self.cluster.create(_event(seen, action, self.identity))
        return version

    def _write_status(self, key: Key, seen: Seen, action: WriteStatus) -> str:
        manifest = {
            "apiVersion": names.API_VERSION,
            "kind": "StreamJob",
            # naming the version makes the server refuse when another hand was faster
            "metadata": {"name": key[1], "namespace": key[0], "resourceVersion": seen.version, "uid": seen.uid},
            "status": dump(action.status),
        }
        body = self.cluster.apply(manifest, subresource="status")
        self.watched.wrote(key, body)
        return str(body["metadata"]["resourceVersion"])

    def _set_finalizer(self, key: Key, seen: Seen, *, present: bool) -> None:
        if present:
            manifest = {
                "apiVersion": names.API_VERSION,
                "kind": "StreamJob",
                "metadata": {"name": key[1], "namespace": key[0], "uid": seen.uid, "finalizers": [names.FINALIZER]},
            }
            self.watched.wrote(key, self.cluster.apply(manifest))
            return
        left = [name for name in seen.finalizers if name != names.FINALIZER]
        patch = {"metadata": {"uid": seen.uid, "finalizers": left}}
        path = f"/apis/{names.API_VERSION}/namespaces/{key[0]}/{names.PLURAL}/{key[1]}"
        self.cluster.request("PATCH", path, patch, content="application/merge-patch+json")

    def _start(self, key: Key, action: Start) -> None:
        if (wait := self.pace.wait_s()) > 0:
            raise LaterError(wait, "many drivers are starting")
        if not action.forced:
            # the watched copies may be late: the server's own lists decide whether an older driver is gone
            selector = f"{names.LABEL_JOB}={key[1]}"
            there = [body for kind in self._driver_kinds() for body in self.cluster.list(kind, key[0], selector)]
            others = [it for it in read.drivers(there, time.time()) if it.alive and it.epoch != action.epoch]
            if others:
                raise LaterError(FENCED_AGAIN_S, f"{others[0].name} of epoch {others[0].epoch} is still there")
        self.watched.wrote(key, self.cluster.apply(action.manifest))

    def _driver_kinds(self) -> list[str]:
        return ["Pod", *(["SparkApplication"] if "SparkApplication" in self.watched.installed() else [])]


def _pause(error: Refused) -> float:
    if error.retry_after_s is not None:
        return error.retry_after_s
    return 0.2 if error.status == 409 else 2.0 if error.passing else 30.0


def _about(action: Action) -> Mapping[str, Any]:
    match action:
        case Apply(manifest=manifest) | Start(manifest=manifest):
            return {"kind": manifest["kind"], "name": manifest["metadata"]["name"]}
        case Delete(kind=kind, name=name):
            return {"kind": kind, "name": name}
        case Submit(name=name, attempt=attempt):
            return {"name": name, "attempt": attempt}
        case WriteStatus(status=status):
            return {"phase": status.phase, "step": status.step, "epoch": status.epoch}
    return {}


def _event(seen: Seen, action: Tell, reporter: str) -> dict[str, Any]:
    stamp = moments.stamp(time.time())
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{seen.name}.", "namespace": seen.namespace},
        "involvedObject": {
            "apiVersion": names.API_VERSION,
            "kind": "StreamJob",
            "name": seen.name,
            "namespace": seen.namespace,
            "uid": seen.uid,
        },
        "type": action.type,
        "reason": action.reason,
        "message": action.message[:1024],
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "count": 1,
        "source": {"component": names.FIELD_OWNER},
        "reportingComponent": names.FIELD_OWNER,
        "reportingInstance": reporter,
    }
