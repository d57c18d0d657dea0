"""The edge to kopf: watching fills the indexes, and every event only asks for another look."""

import asyncio
import os
import secrets
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kopf
import structlog

from operators.streamjob import around, names, read, wake_ups
from operators.streamjob.apply import Hand, Pace
from operators.streamjob.claims import Claimant, Key, claims, policies
from operators.streamjob.cluster import KINDS, Cluster, Refused
from operators.streamjob.courier import Courier
from operators.streamjob.kfp import Kfp
from operators.streamjob.leader import Leader
from operators.streamjob.live import CHILD_KINDS
from operators.streamjob.metrics import Metrics
from operators.streamjob.poll import Poller
from operators.streamjob.reconcile import Reconciler
from operators.streamjob.settings import OperatorSettings
from operators.streamjob.watched import Watched
from tickloom import health
from tickloom.logs import configure

log = structlog.get_logger()
_GRACE_S = 20.0


@dataclass
class Operator:
    """Everything that runs in one operator.

    Parameters
    ----------
    settings
        The environment's.
    registry
        Where the handlers are registered with kopf.
    """

    settings: OperatorSettings
    registry: kopf.OperatorRegistry = field(default_factory=kopf.OperatorRegistry)
    leads: threading.Event = field(default_factory=threading.Event)
    ready: threading.Event = field(default_factory=threading.Event)
    _read: threading.Event = field(default_factory=threading.Event)
    _stop: threading.Event = field(default_factory=threading.Event)
    _owned: dict[Key, frozenset[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        settings = self.settings
        self.metrics = Metrics(settings.shards)
        self.cluster = Cluster(connections=settings.workers + 4)
        self.installation = settings.installation()
        self._register()
        identity = settings.identity or f"{socket.gethostname()}-{secrets.token_hex(3)}"
        name = settings.lease if settings.shards == 1 else f"{settings.lease}-{settings.shard}"
        self.leader = Leader(self.cluster, settings.own_namespace, name, identity, settings.lease_seconds)
        self.reconciler: Reconciler | None = None

    def _register(self) -> None:
        """Tell kopf what to watch."""
        kopf.on.login(registry=self.registry)(_log_in)
        kopf.on.startup(registry=self.registry)(self._startup)
        kopf.on.cleanup(registry=self.registry)(self._cleanup)
        job = (names.GROUP, names.VERSION, names.PLURAL)
        kopf.index(*job, id="jobs", registry=self.registry)(_pack_job())
        kopf.index(*job, id="owners", registry=self.registry)(self._claims)
        kopf.index(*job, id="models", registry=self.registry)(_policies)
        kopf.index(*job, id="runs", registry=self.registry)(_underway)
        kopf.on.event(*job, registry=self.registry)(self._on_job)
        facts: dict[str, Any] = {"labels": {names.LABEL_FACTS: kopf.PRESENT}, "registry": self.registry}
        kopf.index("v1", "configmaps", id="facts", **facts)(_pack_facts)
        kopf.on.event("v1", "configmaps", id="on_facts", **facts)(self._on_facts)
        for kind in CHILD_KINDS:
            api, plural = KINDS[kind]
            group, _, version = api.removeprefix("/apis/").removeprefix("/api/").rpartition("/")
            selector = (group, version, plural) if group else (version, plural)
            options: dict[str, Any] = {"labels": {names.LABEL_JOB: kopf.PRESENT}, "registry": self.registry}
            kopf.index(*selector, id=f"of_{plural}", **options)(_pack_child(kind))
            kopf.on.event(*selector, id=f"on_{plural}", **options)(self._on_child)

    async def _startup(self, settings: kopf.OperatorSettings, **kwargs: Any) -> None:
        settings.posting.enabled = False  # events are written by `apply`, like everything else
        settings.persistence.diffbase_storage = _NoDiffs()
        settings.watching.server_timeout = 300
        settings.watching.client_timeout = 330
        settings.queueing.idle_timeout = 1.0
        settings.networking.error_backoffs = (0.5, 1, 2, 4, 8, 8, 8)
        # to list kinds and namespaces is a right over the whole cluster, which a namespaced operator lacks
        settings.scanning.disabled = bool(self.settings.watched)
        self.reconciler = self._reconciler(kwargs)
        self._poll = [asyncio.create_task(self._poller().run())]
        courier = self._courier()
        if courier is not None:
            self.reconciler.hand.runs, self.reconciler.follow = courier, courier.follow
            self._poll.append(asyncio.create_task(courier.run()))
        threading.Thread(target=self._lead, name="lease", daemon=True).start()

    async def _cleanup(self, **_: Any) -> None:
        for task in self._poll:
            task.cancel()

    async def _claims(self, body: kopf.Body, **_: Any) -> dict[str, Claimant]:
        meta = body["metadata"]
        if "deletionTimestamp" in meta:
            return {}
        return claims(body, self.installation)

    async def _on_job(self, type: str | None, body: kopf.Body, **_: Any) -> None:
        assert self.reconciler is not None
        meta = body["metadata"]
        key = (meta["namespace"], meta["name"])
        if self.reconciler.echoed(key, meta["resourceVersion"]):
            return
        self.reconciler.changed(key)
        going = type == "DELETED" or "deletionTimestamp" in meta
        owned = frozenset() if going else frozenset(claims(body, self.installation))
        # a job that was refused for a ticker which this one gives up may have it now
        for output in self._owned.pop(key, frozenset()) - owned:
            for other in self.reconciler.watched.claimants(output):
                self.reconciler.changed(other.key, 1.0)
        if owned:
            self._owned[key] = owned

    async def _on_child(self, type: str | None, body: kopf.Body, **_: Any) -> None:
        assert self.reconciler is not None
        meta = body["metadata"]
        key = (meta["namespace"], meta["labels"][names.LABEL_JOB])
        if type == "DELETED":
            self.reconciler.watched.gone(key, body["kind"], meta["name"], meta["uid"])
        self.reconciler.changed(key)

    async def _on_facts(self, body: kopf.Body, **_: Any) -> None:
        assert self.reconciler is not None
        meta = body["metadata"]
        self.reconciler.changed((meta["namespace"], meta["labels"][names.LABEL_FACTS]))

    def _reconciler(self, indices: Mapping[str, Any]) -> Reconciler:
        children = tuple(indices[f"of_{KINDS[kind][1]}"] for kind in CHILD_KINDS)
        further = (indices["models"], indices["runs"], indices["facts"])
        watched = Watched(self.cluster, indices["jobs"], children, indices["owners"], *further)
        settings = self.settings
        pace = Pace(settings.starts_per_second, settings.starts_burst)
        hand = Hand(self.cluster, watched, pace, self.metrics, self.leader.identity)
        reconciler = Reconciler(
            watched,
            hand,
            self.installation,
            self.metrics,
            settings.shards,
            settings.shard,
            settings.resync_seconds,
        )
        self.metrics.depth(reconciler.queue.depth)
        return reconciler

    def _poller(self) -> Poller:
        assert self.reconciler is not None
        settings = self.settings
        return Poller(self.reconciler, settings.progress_url, settings.poll_seconds, settings.poll_settling_seconds)

    def _courier(self) -> Courier | None:
        assert self.reconciler is not None
        settings = self.settings
        if not settings.kubeflow:
            return None
        token, authority = (
            Path(name) if name else None for name in (settings.kubeflow_identity, settings.kubeflow_authority)
        )
        kfp = Kfp(settings.kubeflow, token, authority, settings.kubeflow_namespace, settings.kubeflow_experiment)
        return Courier(kfp, self.reconciler.heard, self.leader.holds)

    def _lead(self) -> None:
        """Take the Lease and keep it; end the process when it is lost, for another acts then."""
        assert self.reconciler is not None
        self.ready.wait()
        while not self._stop.is_set():
            if not self._read.is_set() and self._has_read():
                self._read.set()
            held = self.leader.try_once()
            if held and not self.leads.is_set():
                log.info("leading", identity=self.leader.identity, lease=self.leader.name)
                self.leads.set()
                self.metrics.leading.set(1)
                self.reconciler.start(self.settings.workers, self.leader.holds)
            elif not held and self.leads.is_set():
                log.error("the lease is lost: ending, so that only one operator acts", lease=self.leader.name)
                os._exit(1)
            self._stop.wait(self.settings.lease_seconds / 5)

    def _has_read(self) -> bool:
        """Return whether every StreamJob of the server is known here."""
        assert self.reconciler is not None
        try:
            there = sum(self.cluster.count("StreamJob", namespace) for namespace in self.settings.watched or (None,))
        except Refused as error:
            log.warning("StreamJobs not counted", failure=str(error))
            return False
        return len(self.reconciler.watched.jobs) >= there

    def _wrong(self) -> str | None:
        return None

    def _not_ready(self) -> str | None:
        if not self._read.is_set():
            return "the cluster's objects are still being read"
        return self.reconciler.outdated if self.reconciler is not None else None

    def run(self) -> None:
        """Run until SIGTERM or SIGINT; then let the looks under way end and give the Lease up."""
        settings = self.settings
        wake_ups.spare()
        health.serve(settings.health_port, self.metrics.registry, self._wrong, self._not_ready)
        kopf.run(
            registry=self.registry,
            standalone=True,
            clusterwide=not settings.watched,
            namespaces=settings.watched,
            ready_flag=self.ready,
        )
        self._stop.set()
        if self.reconciler is not None:
            self.reconciler.queue.close()
            self.reconciler.join(_GRACE_S)
        if self.leads.is_set():
            self.leader.release()


class _NoDiffs(kopf.DiffBaseStorage):
    """Spares kopf two deep copies of every object that it is told of: no handler here asks what has changed."""

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None


async def _log_in(**kwargs: Any) -> Any:
    return kopf.login_via_client(**kwargs)


async def _policies(body: kopf.Body, **_: Any) -> dict[str, Claimant]:
    return {} if "deletionTimestamp" in body["metadata"] else policies(body)


async def _underway(body: kopf.Body, **_: Any) -> dict[str, around.Underway]:
    found = around.underway(body)
    return {} if found.run is None else {found.job[0]: found}


async def _pack_facts(body: kopf.Body, **_: Any) -> dict[Key, read.Packed]:
    item = read.packed({**body, "kind": "ConfigMap"})
    return {(item.namespace, body["metadata"]["labels"][names.LABEL_FACTS]): item}


def _pack_job() -> Any:
    async def pack(body: kopf.Body, **_: Any) -> dict[Key, read.Packed]:
        meta = body["metadata"]
        return {(meta["namespace"], meta["name"]): read.packed(dict(body), meta["name"])}

    return pack


def _pack_child(kind: str) -> Any:
    async def pack(body: kopf.Body, **_: Any) -> dict[Key, read.Packed]:
        item = read.packed({**body, "kind": kind})
        return {(item.namespace, item.job): item}

    return pack


def main() -> None:
    """Run the operator that the environment describes."""
    configure()
    Operator(OperatorSettings()).run()
