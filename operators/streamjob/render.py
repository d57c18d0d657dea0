"""Manifests of everything that a StreamJob has of its own: pure, from its specification."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from operators.streamjob import names
from operators.streamjob.seen import Installation
from tickloom.bus.roles import ROLES
from tickloom.stream.job import Spec

Manifest = dict[str, Any]
HOME = "/var/lib/tickloom"
CONFIG = "/etc/tickloom"
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


@dataclass(frozen=True)
class Subject:
    """What the manifests are made for.

    Parameters
    ----------
    location
        Folder or URI of the checkpoint; None means the default in the job's folder.
    incarnation
        When the StreamJob was made, in seconds since 1970.
    """

    name: str
    namespace: str
    uid: str
    epoch: int
    hash: str
    spec: Spec
    image: str
    installation: Installation
    location: str | None
    incarnation: int = 0


def labels(of: Subject, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the labels of everything that belongs to a job."""
    return {
        "app.kubernetes.io/name": "tickloom-stream",
        "app.kubernetes.io/managed-by": names.FIELD_OWNER,
        names.LABEL_JOB: of.name,
        **(more or {}),
    }


def meta(of: Subject, name: str, more: Mapping[str, str] | None = None, *, owned: bool = True) -> Manifest:
    """Return an object's metadata; what is owned goes with the job."""
    out: Manifest = {"name": name, "namespace": of.namespace, "labels": labels(of, more)}
    if owned:
        out["ownerReferences"] = [
            {
                "apiVersion": names.API_VERSION,
                "kind": "StreamJob",
                "name": of.name,
                "uid": of.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]
    return out


def of_epoch(of: Subject) -> dict[str, str]:
    """Return the label that names the epoch."""
    return {names.LABEL_EPOCH: str(of.epoch)}


def config(of: Subject) -> Manifest:
    """Return the ConfigMap that holds the manifest which an epoch's driver runs."""
    spec: Manifest = of.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if of.location is not None:
        spec.setdefault("checkpoint", {})["path"] = of.location
    document = {
        "apiVersion": names.API_VERSION,
        "kind": "StreamJob",
        "metadata": {"name": of.name, "namespace": of.namespace},
        "spec": spec,
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": meta(of, names.config(of.name, of.epoch), of_epoch(of)),
        "immutable": True,
        "data": {"job.yaml": yaml.dump(document, Dumper=_Dumper, sort_keys=False)},
    }


def service(of: Subject) -> Manifest:
    """Return the Service for progress and metrics."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta(of, names.service(of.name)),
        "spec": {
            "clusterIP": "None",
            "selector": {names.LABEL_JOB: of.name, names.LABEL_ROLE: "driver"},
            "ports": [{"name": "progress", "port": names.PROGRESS_PORT, "protocol": "TCP"}],
        },
    }


def disruption_budget(of: Subject) -> Manifest:
    """Return the PodDisruptionBudget that keeps a driver from being evicted by the way."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": meta(of, names.disruption_budget(of.name)),
        "spec": {
            "minAvailable": 1,  # maxUnavailable asks the pod's owner for its scale, which a SparkApplication lacks
            "selector": {"matchLabels": {names.LABEL_JOB: of.name, names.LABEL_ROLE: "driver"}},
        },
    }


def claim(of: Subject) -> Manifest:
    """Return the claim for the job's folder; nobody owns it, so it outlives the job."""
    wanted = of.spec.checkpoint.claim
    spec: Manifest = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": wanted.size}}}
    if wanted.storage_class:
        spec["storageClassName"] = wanted.storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": meta(of, names.claim(of.name), owned=False),
        "spec": spec,
    }


def topics(of: Subject) -> list[Manifest]:
    """Return the Strimzi topics that the job asks for: shared, so nobody owns them."""
    wanted = of.spec.source.create_topics
    if wanted is None:
        return []
    return [
        {
            "apiVersion": "kafka.strimzi.io/v1",
            "kind": "KafkaTopic",
            "metadata": {
                "name": names.topic_object(topic),
                "namespace": of.namespace,
                "labels": {"strimzi.io/cluster": wanted.cluster, "app.kubernetes.io/managed-by": names.FIELD_OWNER},
            },
            "spec": {
                "topicName": topic,
                "partitions": wanted.partitions,
                "replicas": wanted.replicas,
                "config": ROLES[role].config(wanted.replicas),
            },
        }
        for role, topic in names.topics(of.spec.source.topic, of.installation.topic_prefix).items()
    ]
