"""The copies of objects that watching keeps, and what of them the operator has changed itself a moment ago."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from operators.streamjob import around, read
from operators.streamjob.claims import Claimant, Key
from operators.streamjob.cluster import Cluster
from operators.streamjob.live import keys, nodes, topics_there
from operators.streamjob.read import Packed

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
            ("secret", namespace, name), SECRET_S, lambda: keys(self.cluster, namespace, name)
        )
        return found

    def topics(self, key: Key, wanted: Iterable[str]) -> list[dict[str, Any]]:
        """Return those of the KafkaTopics that are there."""
        return topics_there(self.cluster, key[0], wanted)

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
        found: tuple[around.Node, ...] | None = self._for_a_while("nodes", NODES_S, lambda: nodes(self.cluster))
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
