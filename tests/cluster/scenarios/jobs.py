"""StreamJobs as the scenarios use them, and a record of everything that happened to them."""

import contextlib
import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubernetes import client, watch
from kubernetes.client.exceptions import ApiException

from tests.cluster.scenarios.specs import GROUP, merged, spec
from tests.cluster.waiting import until

VERSION, PLURAL = "v1alpha1", "streamjobs"
JOB, EPOCH, ROLE = f"{GROUP}/job", f"{GROUP}/epoch", f"{GROUP}/role"
PATIENCE_S = 120.0
LOOK_S = 0.2
_SOON_S = 0.3
_ENDED = ("Succeeded", "Failed")


@dataclass
class Record:
    """What happened in a namespace, as the API server told it: every status, every driver pod.

    Parameters
    ----------
    overlaps
        Driver pods that lived beside another one of their job.
    """

    kube: Any
    namespace: str
    statuses: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    started: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    overlaps: list[str] = field(default_factory=list)
    _alive: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _seen: set[str] = field(default_factory=set)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> "Record":
        """Begin to watch."""
        jobs, core = client.CustomObjectsApi(self.kube), client.CoreV1Api(self.kube)

        def list_jobs(**query: Any) -> Any:
            return jobs.list_namespaced_custom_object(GROUP, VERSION, self.namespace, PLURAL, **query)

        def list_pods(**query: Any) -> Any:
            return core.list_namespaced_pod(self.namespace, label_selector=f"{ROLE}=driver", **query)

        for source, note in ((list_jobs, self._on_job), (list_pods, self._on_pod)):
            thread = threading.Thread(target=self._follow, args=(source, note), daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def stop(self) -> None:
        """End watching."""
        self._stop.set()

    def _follow(self, source: Callable[..., Any], note: Callable[[str, dict[str, Any]], None]) -> None:
        version = "0"
        while not self._stop.is_set():
            watching = watch.Watch()
            with contextlib.suppress(ApiException, OSError):
                for event in watching.stream(source, resource_version=version, timeout_seconds=5):
                    note(event["type"], event["raw_object"])
                version = watching.resource_version or version
                continue
            version = "0"
            time.sleep(LOOK_S)

    def _on_job(self, type: str, body: dict[str, Any]) -> None:
        self.statuses[body["metadata"]["name"]].append(body.get("status") or {})

    def _on_pod(self, type: str, body: dict[str, Any]) -> None:
        meta = body["metadata"]
        job, name = meta["labels"][JOB], f"{meta['name']}/{meta['uid']}"
        if name not in self._seen:
            self._seen.add(name)
            self.started[job].append(int(meta["labels"][EPOCH]))
        alive = self._alive[job]
        if type == "DELETED" or body["status"].get("phase") in _ENDED:
            alive.discard(name)
        else:
            alive.add(name)
        if len(alive) > 1:
            self.overlaps.append(f"{job}: {', '.join(sorted(alive))}")

    def phases(self, name: str) -> list[str]:
        """Return the phases of a job in their order, each once in a row."""
        out: list[str] = []
        for status in self.statuses[name]:
            phase = status.get("phase")
            if phase and (not out or out[-1] != phase):
                out.append(phase)
        return out

    def reasons(self, name: str, condition: str) -> set[str]:
        """Return the reasons that a condition ever had while it was true."""
        return {
            it["reason"]
            for status in self.statuses[name]
            for it in status.get("conditions", ())
            if it["type"] == condition and it["status"] == "True"
        }


@dataclass
class Job:
    """One StreamJob."""

    kube: Any
    namespace: str
    name: str
    record: Record | None = None

    def __post_init__(self) -> None:
        self.api = client.CustomObjectsApi(self.kube)
        self.core = client.CoreV1Api(self.kube)
        self.policy = client.PolicyV1Api(self.kube)
        self._where = (GROUP, VERSION, self.namespace, PLURAL)

    def create(self, *parts: Mapping[str, Any], annotations: Mapping[str, str] | None = None, **more: Any) -> "Job":
        """Create it with a small specification, on which ``parts`` and then ``more`` are laid."""
        wanted = spec(self.name)
        for part in (*parts, more):
            wanted = merged(wanted, part)
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "StreamJob",
            "metadata": {"name": self.name, "annotations": dict(annotations or {})},
            "spec": wanted,
        }
        self.api.create_namespaced_custom_object(*self._where, body, field_validation="Strict")
        return self

    def edit(self, *parts: Mapping[str, Any], **more: Any) -> "Job":
        """Change the specification: maps are merged, None takes a key out."""
        change: dict[str, Any] = {}
        for part in (*parts, more):
            change = {**change, **part}
        self.api.patch_namespaced_custom_object(*self._where, self.name, {"spec": change})
        return self

    def annotate(self, **values: str) -> "Job":
        """Set annotations of the group, with `_` for `-`."""
        marks = {f"{GROUP}/{key.replace('_', '-')}": value for key, value in values.items()}
        self.api.patch_namespaced_custom_object(*self._where, self.name, {"metadata": {"annotations": marks}})
        return self

    def delete(self) -> "Job":
        """Ask for its deletion."""
        self.api.delete_namespaced_custom_object(*self._where, self.name)
        return self

    def body(self) -> dict[str, Any] | None:
        """Return it as it stands; None where it is gone."""
        try:
            found: dict[str, Any] = self.api.get_namespaced_custom_object(*self._where, self.name)
        except ApiException as error:
            if error.status == 404:
                return None
            raise
        return found

    @property
    def status(self) -> dict[str, Any]:
        """Return its status."""
        return (self.body() or {}).get("status") or {}

    def condition(self, kind: str) -> dict[str, Any]:
        """Return a condition, or one that is nothing."""
        found = (it for it in self.status.get("conditions", ()) if it["type"] == kind)
        return next(found, {"status": None, "reason": None, "message": ""})

    def events(self) -> list[tuple[str, str]]:
        """Return reason and message of its events."""
        found = self.core.list_namespaced_event(self.namespace, field_selector=f"involvedObject.name={self.name}")
        return [(it.reason, it.message) for it in found.items]

    def pods(self) -> list[Any]:
        """Return its driver pods."""
        return list(self.core.list_namespaced_pod(self.namespace, label_selector=f"{JOB}={self.name}").items)

    def alive(self) -> list[Any]:
        """Return its driver pods that have not ended."""
        return [pod for pod in self.pods() if pod.status.phase not in _ENDED]

    def children(self) -> dict[str, Any]:
        """Return its other objects, by `kind/name`."""
        lists = {
            "ConfigMap": self.core.list_namespaced_config_map,
            "Service": self.core.list_namespaced_service,
            "PersistentVolumeClaim": self.core.list_namespaced_persistent_volume_claim,
            "PodDisruptionBudget": self.policy.list_namespaced_pod_disruption_budget,
        }
        return {
            f"{kind}/{it.metadata.name}": it
            for kind, of in lists.items()
            for it in of(self.namespace, label_selector=f"{JOB}={self.name}").items
        }

    def until(self, check: Callable[[], Any], what: str, within_s: float = PATIENCE_S) -> Any:
        """Wait until a check holds and return what it returned."""
        return until(check, f"{self.name}: {what}", within_s, self.describe, LOOK_S)

    def until_condition(
        self, kind: str, status: str, reason: str | None = None, within_s: float = PATIENCE_S
    ) -> dict[str, Any]:
        """Wait for a condition that speaks of the present manifest, and return it."""

        def check() -> dict[str, Any] | None:
            body = self.body() or {}
            for it in (body.get("status") or {}).get("conditions", ()):
                if it["type"] == kind and it["status"] == status and reason in (None, it["reason"]):
                    return it if it["observedGeneration"] == body["metadata"]["generation"] else None
            return None

        found: dict[str, Any] = self.until(check, f"{kind}={status} {reason or ''}", within_s)
        return found

    def until_stable(self, epoch: int | None = None, within_s: float = PATIENCE_S) -> "Job":
        """Wait until the driver of an epoch has proved itself with the present manifest."""

        def check() -> bool:
            body = self.body() or {}
            status = body.get("status") or {}
            fresh = status.get("observedGeneration") == body.get("metadata", {}).get("generation")
            ready = any(it["type"] == "Ready" and it["status"] == "True" for it in status.get("conditions", ()))
            return bool(fresh and ready and status.get("stable") and epoch in (None, status["epoch"]))

        self.until(check, f"stable in epoch {epoch or 'any'}", within_s)
        return self

    def until_gone(self, within_s: float = PATIENCE_S) -> None:
        """Wait until it is gone."""
        self.until(lambda: self.body() is None, "gone", within_s)

    def unchanged_for(self, seconds: float, of: Callable[[], Any]) -> Iterator[Any]:
        """Look at something again and again for a while."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            yield of()
            time.sleep(_SOON_S)

    def describe(self) -> str:
        """Return what a person would look at."""
        body = self.body() or {}
        pods = [f"{it.metadata.name} {it.status.phase} {it.metadata.deletion_timestamp or ''}" for it in self.pods()]
        status = {key: value for key, value in (body.get("status") or {}).items() if not key.startswith("last")}
        return "\n".join(
            [json.dumps(status, indent=1), *pods, *(f"{reason}: {text}" for reason, text in self.events()[-12:])]
        )
