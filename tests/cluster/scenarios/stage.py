"""Namespaces and operators for the scenarios."""

import contextlib
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from tests.cluster.clearing import delete_namespace
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.scenarios.jobs import Job, Record
from tests.cluster.scenarios.specs import CLAIM, GROUP

PREFIX = "test-operator-"
PATIENCE_S = 30.0
SPARK = "sparkapplications.sparkoperator.k8s.io"
MARK = f"{GROUP}/made-by-tests"
STAGES: list["Stage"] = []
"""Those that stand now."""


@dataclass
class Place:
    """A namespace with a record of what happens in it."""

    kube: Any
    namespace: str
    record: Record

    def job(self, name: str) -> Job:
        """Return a StreamJob of this namespace, which need not be there yet."""
        return Job(self.kube, self.namespace, name, self.record)


@dataclass
class Stage:
    """Makes namespaces and operators, and clears them away."""

    kube: Any
    folder: Path
    places: list[Place] = field(default_factory=list)
    operators: list[OperatorProcess] = field(default_factory=list)

    def place(self, name: str | None = None) -> Place:
        """Make a namespace with a claim that its jobs share: a cluster for tests has few volumes."""
        give_back_volumes(self.kube)
        name = name or f"{PREFIX}{uuid.uuid4().hex[:10]}"
        core = client.CoreV1Api(self.kube)
        core.create_namespace({"metadata": {"name": name}})
        claim = {
            "metadata": {"name": CLAIM},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
        }
        core.create_namespaced_persistent_volume_claim(name, claim)
        until = time.monotonic() + PATIENCE_S
        while not self._has_account(name):
            assert time.monotonic() < until, f"namespace {name} has no service account yet"
            time.sleep(0.1)
        place = Place(self.kube, name, Record(self.kube, name).start())
        self.places.append(place)
        return place

    def _has_account(self, namespace: str) -> bool:
        found = client.CoreV1Api(self.kube).list_namespaced_service_account(namespace)
        return any(it.metadata.name == "default" for it in found.items)

    def operator(self, *namespaces: str, **more: Any) -> OperatorProcess:
        """Return an operator for some namespaces, which is not started yet."""
        log = self.folder / f"operator-{len(self.operators)}.log"
        made = OperatorProcess(",".join(namespaces), more.pop("home", namespaces[0]), log, **more)
        self.operators.append(made)
        return made

    def clear(self) -> None:
        """End the operators and delete the namespaces, without waiting."""
        for operator in self.operators:
            operator.kill()
        for place in self.places:
            place.record.stop()
            delete_namespace(self.kube, place.namespace, grace_period_seconds=0)

    @classmethod
    @contextlib.contextmanager
    def standing(cls, kube: Any, folder: Path) -> Iterator["Stage"]:
        """Return a stage that is cleared at the end."""
        stage = cls(kube, folder)
        STAGES.append(stage)
        try:
            yield stage
        finally:
            STAGES.remove(stage)
            stage.clear()


def give_back_volumes(kube: Any) -> None:
    """Give volumes that namespaces of these tests have let go back to the cluster."""
    core = client.CoreV1Api(kube)
    for volume in core.list_persistent_volume().items:
        claim = volume.spec.claim_ref
        if volume.status.phase == "Released" and claim and claim.namespace.startswith(PREFIX):
            core.patch_persistent_volume(volume.metadata.name, {"spec": {"claimRef": None}})


def bring_spark_applications(kube: Any) -> None:
    """Have the cluster know SparkApplications, unless it does."""
    api = client.ApiextensionsV1Api(kube)
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    definition = {
        "metadata": {
            "name": SPARK,
            "labels": {MARK: "true"},
            "annotations": {"api-approved.kubernetes.io": "unapproved, for tests"},
        },
        "spec": {
            "group": "sparkoperator.k8s.io",
            "scope": "Namespaced",
            "names": {"kind": "SparkApplication", "plural": "sparkapplications", "singular": "sparkapplication"},
            "versions": [
                {
                    "name": "v1beta2",
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": anything},
                }
            ],
        },
    }
    with contextlib.suppress(ApiException):
        api.create_custom_resource_definition(definition)
    until = time.monotonic() + PATIENCE_S
    while _spark_applications(kube) is None:
        assert time.monotonic() < until, f"CRD {SPARK} is not served"
        time.sleep(0.1)


def remove_spark_applications(kube: Any) -> None:
    """Take the definition away again where these tests brought it and nobody else uses it."""
    api = client.ApiextensionsV1Api(kube)
    found = api.read_custom_resource_definition(SPARK)
    strangers = [it for it in _spark_applications(kube) or () if not it["metadata"]["namespace"].startswith(PREFIX)]
    if (found.metadata.labels or {}).get(MARK) and not strangers:
        api.delete_custom_resource_definition(SPARK)


def _spark_applications(kube: Any) -> list[dict[str, Any]] | None:
    where = ("sparkoperator.k8s.io", "v1beta2", "sparkapplications")
    try:
        return list(client.CustomObjectsApi(kube).list_cluster_custom_object(*where)["items"])
    except ApiException:
        return None
