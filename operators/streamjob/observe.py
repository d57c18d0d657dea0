"""Reads the cluster, and never acts: from watched or from listed objects to what the planner reads."""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from operators.streamjob import around, facts, names, read
from operators.streamjob.access import accesses
from operators.streamjob.cluster import Cluster, Refused
from operators.streamjob.moments import seconds
from operators.streamjob.read import Packed
from operators.streamjob.seen import Answer, Installation, Report, Seen
from operators.streamjob.status import Status
from operators.streamjob.status import read as read_status

Key = tuple[str, str]
"""Namespace and name of a StreamJob."""
CHILD_KINDS = (
    "Pod", "ConfigMap", "Service", "PodDisruptionBudget", "PersistentVolumeClaim", "SparkApplication",
)  # fmt: skip
"""Kinds that carry the job's label."""


@dataclass(frozen=True)
class Claimant:
    """A StreamJob that owns a ticker's output, or wants to.

    Parameters
    ----------
    running
        Whether the manifest that it runs has the ticker: that goes before one that only asks for it.
    """

    created: str
    uid: str
    key: Key
    running: bool = False

    @property
    def rank(self) -> tuple[bool, str, str]:
        """Who comes first owns it."""
        return (not self.running, self.created, self.uid)


class Sight(Protocol):
    """Where objects come from: the watched copies of them, or the server itself."""

    def job(self, key: Key) -> dict[str, Any] | None:
        """Return a StreamJob."""

    def objects(self, key: Key) -> list[dict[str, Any]]:
        """Return the objects with the job's label."""

    def claimants(self, output: str) -> Iterable[Claimant]:
        """Return the StreamJobs that own an output."""

    def secret(self, namespace: str, name: str) -> frozenset[str] | None:
        """Return the keys of a Secret."""

    def topics(self, key: Key, wanted: Iterable[str]) -> list[dict[str, Any]]:
        """Return those of the KafkaTopics that are there."""

    def installed(self) -> frozenset[str]:
        """Return which of the optional kinds the cluster knows."""

    def facts(self, key: Key) -> list[dict[str, Any]]:
        """Return the ConfigMaps with facts of a job's models."""

    def policies(self, model: str) -> Iterable[Claimant]:
        """Return the StreamJobs with a policy for a model."""

    def underway(self, namespace: str) -> Iterable[around.Underway]:
        """Return the runs that are under way in a namespace; a job's newest word may follow an older one."""

    def nodes(self) -> tuple[around.Node, ...] | None:
        """Return the nodes; None where they may not be read."""


def outputs(spec: Mapping[str, Any], installation: Installation) -> list[str]:
    """Return what a job writes that no other may write: each ticker's rows in one keyspace."""
    sink = ((spec.get("sinks") or {}).get("cassandra")) or {}
    place = f"{sink.get('contactPoints') or installation.cassandra}/{sink.get('keyspace') or installation.keyspace}"
    tickers = spec.get("tickers") or []
    return [f"{place}/{ticker}" for ticker in tickers if isinstance(ticker, str)]


def claims(body: Mapping[str, Any], installation: Installation) -> dict[str, Claimant]:
    """Return what a StreamJob owns or asks for: the outputs of its manifest, and of the one that it runs."""
    meta = body["metadata"]
    asked = outputs(body.get("spec") or {}, installation)
    try:
        last = json.loads((body.get("status") or {}).get("lastReconciledSpec") or "{}")
    except ValueError:
        last = {}
    run = set(outputs(last, installation)) if isinstance(last, dict) else set()
    about = (meta["creationTimestamp"], meta["uid"], (meta["namespace"], meta["name"]))
    return {output: Claimant(*about, running=output in run) for output in {*asked, *run}}


def policies(body: Mapping[str, Any]) -> dict[str, Claimant]:
    """Return the models for which a StreamJob has a policy."""
    meta = body["metadata"]
    claimant = Claimant(meta["creationTimestamp"], meta["uid"], (meta["namespace"], meta["name"]))
    return dict.fromkeys(around.modelled(body), claimant)


def see(
    sight: Sight,
    key: Key,
    installation: Installation,
    report: Report | None,
    now: float,
    answer: Answer | None = None,
) -> Seen | None:
    """Return what is to be known of a StreamJob; None where there is none."""
    body = sight.job(key)
    if body is None:
        return None
    meta = body["metadata"]
    raw_spec = body.get("spec") or {}
    objects = sight.objects(key)
    secrets = [name for access in accesses(raw_spec, installation) for name in access.names]
    wants_topics = (raw_spec.get("source") or {}).get("createTopics")
    installed = sight.installed()
    found = read.children(objects)
    if wants_topics and "KafkaTopic" in installed:
        found = (*found, *read.children(sight.topics(key, _topics(raw_spec, installation))))
    retrains = bool(around.modelled(body))
    return Seen(
        now=now,
        name=meta["name"],
        namespace=meta["namespace"],
        uid=meta["uid"],
        generation=int(meta.get("generation", 1)),
        installation=installation,
        version=meta["resourceVersion"],
        raw_spec=raw_spec,
        annotations=meta.get("annotations") or {},
        finalizers=tuple(meta.get("finalizers") or ()),
        deleting="deletionTimestamp" in meta,
        status=_status(body),
        drivers=read.drivers(objects, now),
        children=found,
        secrets={name: sight.secret(key[0], name) for name in secrets},
        owners=_owners(sight, body, installation),
        installed=installed,
        report=report,
        created=int(seconds(meta["creationTimestamp"])) if meta.get("creationTimestamp") else 0,
        facts=facts.read(sight.facts(key)) if retrains else None,
        rivals=_rivals(sight, body) if retrains else {},
        busy=around.busy(sight.underway(key[0]), key) if retrains else (),
        missing=_missing(sight, raw_spec) if retrains else None,
        answer=answer,
    )


def _rivals(sight: Sight, body: Mapping[str, Any]) -> dict[str, str]:
    """Return the job's tickers for which an older StreamJob has a policy, each with that job's name."""
    found = {}
    for model, own in policies(body).items():
        older = [it for it in sight.policies(model) if it.uid != own.uid and it.rank < own.rank]
        if older:
            found[model.partition("/")[2]] = "/".join(min(older, key=lambda it: it.rank).key)
    return found


def _missing(sight: Sight, raw_spec: Mapping[str, Any]) -> str | None:
    asked = around.pool(raw_spec)
    known = sight.nodes() if asked is not None else None
    return None if asked is None or known is None else around.missing(*asked, known)


def _status(body: Mapping[str, Any]) -> Status:
    try:
        return read_status(body.get("status"))
    except ValueError:
        return Status()  # written by hand: begin anew, no driver is started beside one that lives


def _owners(sight: Sight, body: Mapping[str, Any], installation: Installation) -> dict[str, str]:
    """Return the job's tickers that another StreamJob owns, each with that job's name.

    The one that runs with a ticker owns it; of several that ask for it, the oldest.
    """
    meta = body["metadata"]
    taken = {}
    own = claims(body, installation)
    for output in outputs(body.get("spec") or {}, installation):
        for other in sight.claimants(output):
            if other.uid != meta["uid"] and other.rank < own[output].rank:
                taken[output.rsplit("/", 1)[1]] = "/".join(other.key)
    return taken


def _topics(raw_spec: Mapping[str, Any], installation: Installation) -> list[str]:
    own = (raw_spec.get("source") or {}).get("topic") or "prices"
    return [names.topic_object(name) for name in names.topics(own, installation.topic_prefix).values()]


def _keys(cluster: Cluster, namespace: str, name: str) -> frozenset[str] | None:
    found = cluster.get("Secret", namespace, name)
    return None if found is None else frozenset(found.get("data") or {})


def _those_there(cluster: Cluster, namespace: str, topics: Iterable[str]) -> list[dict[str, Any]]:
    found = (cluster.get("KafkaTopic", namespace, name) for name in topics)
    return [body for body in found if body is not None]


def _nodes(cluster: Cluster) -> tuple[around.Node, ...] | None:
    try:
        return tuple(around.nodes(cluster.list("Node", None)))
    except Refused as error:
        if error.status in (401, 403):
            return None
        raise


@dataclass
class Live:
    """The server itself: for one look from the command line."""

    cluster: Cluster
    installation: Installation
    _jobs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def job(self, key: Key) -> dict[str, Any] | None:
        """Return a StreamJob."""
        return self.cluster.get("StreamJob", *key)

    def objects(self, key: Key) -> list[dict[str, Any]]:
        """Return the objects with the job's label."""
        selector = f"{names.LABEL_JOB}={key[1]}"
        return [body for kind in CHILD_KINDS for body in self.cluster.list(kind, key[0], selector)]

    def claimants(self, output: str) -> Iterable[Claimant]:
        """Return the StreamJobs that own an output."""
        for body in self._all():
            claimant = claims(body, self.installation).get(output)
            if claimant is not None:
                yield claimant

    def secret(self, namespace: str, name: str) -> frozenset[str] | None:
        """Return the keys of a Secret."""
        return _keys(self.cluster, namespace, name)

    def topics(self, key: Key, wanted: Iterable[str]) -> list[dict[str, Any]]:
        """Return those of the KafkaTopics that are there."""
        return _those_there(self.cluster, key[0], wanted)

    def installed(self) -> frozenset[str]:
        """Return which of the optional kinds the cluster knows."""
        return self.cluster.installed()

    def facts(self, key: Key) -> list[dict[str, Any]]:
        """Return the ConfigMaps with facts of a job's models."""
        return self.cluster.list("ConfigMap", key[0], f"{names.LABEL_FACTS}={key[1]}")

    def policies(self, model: str) -> Iterable[Claimant]:
        """Return the StreamJobs with a policy for a model."""
        return [found for body in self._all() if (found := policies(body).get(model)) is not None]

    def underway(self, namespace: str) -> Iterable[around.Underway]:
        """Return the runs that are under way in a namespace."""
        return [around.underway(body) for body in self._all() if body["metadata"]["namespace"] == namespace]

    def nodes(self) -> tuple[around.Node, ...] | None:
        """Return the nodes; None where they may not be read."""
        return _nodes(self.cluster)

    def _all(self) -> list[dict[str, Any]]:
        if "" not in self._jobs:
            self._jobs[""] = self.cluster.list("StreamJob", None)
        return self._jobs[""]


RECENT_S = 15.0
INSTALLED_S = 60.0
SECRET_S = 10.0
NODES_S = 60.0


@dataclass
class Watched:
    """The copies that watching keeps, and over them what the operator has just written itself.

    Parameters
    ----------
    cluster
        For what is not watched: Secrets, topics, the list of kinds.
    jobs, children, owners
        Indexes that the watching fills: by key, by key, and by output.
    models, runs, known
        Further ones: of policies by model, of runs under way by namespace, of facts by key.
    """

    cluster: Cluster
    jobs: Mapping[Key, Iterable[Packed]]
    children: tuple[Mapping[Key, Iterable[Packed]], ...]
    owners: Mapping[str, Iterable[Claimant]]
    models: Mapping[str, Iterable[Claimant]] = field(default_factory=dict)
    runs: Mapping[str, Iterable[around.Underway]] = field(default_factory=dict)
    known: Mapping[Key, Iterable[Packed]] = field(default_factory=dict)
    _mine: dict[Key, dict[tuple[str, str], tuple[float, Packed | None, str]]] = field(default_factory=dict)
    _kept: dict[Any, tuple[float, Any]] = field(default_factory=dict)

    def job(self, key: Key) -> dict[str, Any] | None:
        """Return a StreamJob."""
        watched = next(iter(self.jobs.get(key, ())), None)
        if watched is None:
            return None
        own = self._own(key).get(("StreamJob", key[1]))
        newer = own is not None and own[1] is not None and int(own[1].version) > int(watched.version)
        return own[1].body() if newer and own and own[1] else watched.body()

    def objects(self, key: Key) -> list[dict[str, Any]]:
        """Return the objects with the job's label."""
        own = self._own(key)
        watched = {(item.kind, item.name): item for index in self.children for item in index.get(key, ())}
        for name, (_, item, uid) in own.items():
            there = watched.get(name)
            if name[0] == "StreamJob":
                continue
            if item is None:
                if there is not None and there.uid == uid and there.kind not in ("Pod", "SparkApplication"):
                    del watched[name]  # deleted by us and still in the copy
            elif there is None or int(there.version) < int(item.version):
                watched[name] = item
        return [item.body() for item in watched.values()]

    def claimants(self, output: str) -> Iterable[Claimant]:
        """Return the StreamJobs that own an output."""
        return self.owners.get(output, ())

    def secret(self, namespace: str, name: str) -> frozenset[str] | None:
        """Return the keys of a Secret."""
        found: frozenset[str] | None = self._for_a_while(
            ("secret", namespace, name), SECRET_S, lambda: _keys(self.cluster, namespace, name)
        )
        return found

    def topics(self, key: Key, wanted: Iterable[str]) -> list[dict[str, Any]]:
        """Return those of the KafkaTopics that are there."""
        return _those_there(self.cluster, key[0], wanted)

    def installed(self) -> frozenset[str]:
        """Return which of the optional kinds the cluster knows."""
        found: frozenset[str] = self._for_a_while("installed", INSTALLED_S, self.cluster.installed)
        return found

    def facts(self, key: Key) -> list[dict[str, Any]]:
        """Return the ConfigMaps with facts of a job's models."""
        return [item.body() for item in self.known.get(key, ())]

    def policies(self, model: str) -> Iterable[Claimant]:
        """Return the StreamJobs with a policy for a model."""
        return self.models.get(model, ())

    def underway(self, namespace: str) -> Iterable[around.Underway]:
        """Return the runs that are under way in a namespace, and what was just written of them."""
        yield from self.runs.get(namespace, ())
        for key in [key for key in list(self._mine) if key[0] == namespace and key in self.jobs]:
            item = self._own(key).get(("StreamJob", key[1]))
            if item is not None and item[1] is not None:
                yield around.underway(item[1].body())

    def nodes(self) -> tuple[around.Node, ...] | None:
        """Return the nodes; None where they may not be read."""
        found: tuple[around.Node, ...] | None = self._for_a_while("nodes", NODES_S, lambda: _nodes(self.cluster))
        return found

    def wrote(self, key: Key, body: Mapping[str, Any]) -> None:
        """Remember an object as the server answered it, until the watched copy is as new."""
        item = read.packed(body, key[1])
        own = self._mine.setdefault(key, {})
        own[(item.kind, item.name)] = (time.monotonic(), item, item.uid)

    def deleted(self, key: Key, kind: str, name: str, uid: str) -> None:
        """Remember that an object's deletion was asked for."""
        self._mine.setdefault(key, {})[(kind, name)] = (time.monotonic(), None, uid)

    def gone(self, key: Key, kind: str, name: str, uid: str) -> None:
        """Forget an object that the watching saw go."""
        item = self._mine.get(key, {}).get((kind, name))
        if item is not None and item[2] == uid:
            self._mine[key] = {known: kept for known, kept in self._mine[key].items() if known != (kind, name)}

    def version(self, key: Key) -> str:
        """Return the version of a StreamJob as it was last written here; empty where that is long ago."""
        item = self._own(key).get(("StreamJob", key[1]))
        return item[1].version if item is not None and item[1] is not None else ""

    def _own(self, key: Key) -> dict[tuple[str, str], tuple[float, Packed | None, str]]:
        own = self._mine.get(key)
        if not own:
            return {}
        until = time.monotonic() - RECENT_S
        fresh = {name: item for name, item in own.items() if item[0] > until}
        if fresh:
            self._mine[key] = fresh
        else:
            self._mine.pop(key, None)
        return fresh

    def _for_a_while(self, name: Any, seconds: float, ask: Any) -> Any:
        kept = self._kept.get(name)
        if kept is None or time.monotonic() - kept[0] > seconds:
            kept = self._kept[name] = (time.monotonic(), ask())
        return kept[1]
