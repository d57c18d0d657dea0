"""The server itself, asked anew for each look."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from operators.streamjob import around, names
from operators.streamjob.claims import Claimant, Key, claims, policies
from operators.streamjob.cluster import Cluster, Refused
from operators.streamjob.seen import Installation

CHILD_KINDS = (
    "Pod", "ConfigMap", "Service", "PodDisruptionBudget", "PersistentVolumeClaim", "SparkApplication",
)  # fmt: skip
"""Kinds that carry the job's label."""


def keys(cluster: Cluster, namespace: str, name: str) -> frozenset[str] | None:
    """Return the keys of a Secret; None where there is none."""
    found = cluster.get("Secret", namespace, name)
    return None if found is None else frozenset(found.get("data") or {})


def topics_there(cluster: Cluster, namespace: str, topics: Iterable[str]) -> list[dict[str, Any]]:
    """Return those of some KafkaTopics that are there."""
    found = (cluster.get("KafkaTopic", namespace, name) for name in topics)
    return [body for body in found if body is not None]


def nodes(cluster: Cluster) -> tuple[around.Node, ...] | None:
    """Return the nodes; None where they may not be read."""
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
        return keys(self.cluster, namespace, name)

    def topics(self, key: Key, wanted: Iterable[str]) -> list[dict[str, Any]]:
        """Return those of the KafkaTopics that are there."""
        return topics_there(self.cluster, key[0], wanted)

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
        return nodes(self.cluster)

    def _all(self) -> list[dict[str, Any]]:
        if "" not in self._jobs:
            self._jobs[""] = self.cluster.list("StreamJob", None)
        return self._jobs[""]
