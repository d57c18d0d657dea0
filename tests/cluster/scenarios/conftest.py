"""An operator of the working tree, with namespaces of its own, for the scenarios."""

import contextlib
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from tests.cluster.operator_process import IMAGE, ROOT, OperatorProcess
from tests.cluster.scenarios.jobs import CLAIM, GROUP, PLURAL, VERSION, Job, Record

PREFIX = "test-operator-"
BUILD = ROOT.parent / "shared" / "cluster" / "image"
SPARK = "sparkapplications.sparkoperator.k8s.io"
MARK = f"{GROUP}/made-by-tests"
PATIENCE_S = 30.0


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
        jobs, core = client.CustomObjectsApi(self.kube), client.CoreV1Api(self.kube)
        for place in self.places:
            place.record.stop()
            where = (GROUP, VERSION, place.namespace, PLURAL)
            for body in jobs.list_namespaced_custom_object(*where)["items"]:
                if body["metadata"].get("finalizers"):  # no operator is there to take it off
                    with contextlib.suppress(ApiException):
                        change = {"metadata": {"finalizers": None}}
                        jobs.patch_namespaced_custom_object(*where, body["metadata"]["name"], change)
            with contextlib.suppress(ApiException):
                core.delete_namespace(place.namespace, grace_period_seconds=0)


_STAGES: list[Stage] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Any:
    """Show what the operators said when a test fails."""
    report = yield
    if report.failed and Path(__file__).parent in item.path.parents:
        for stage in _STAGES:
            for operator in stage.operators:
                report.sections.append((f"operator of {operator.namespaces}", operator.tail()))
    return report


@pytest.fixture(scope="session")
def driver_image(kube: Any) -> str:
    """Return the image of the stand-in driver, once the cluster has it."""
    nodes = client.CoreV1Api(kube).list_node().items
    if not any(IMAGE in (image.names or ()) for node in nodes for image in node.status.images or ()):
        if not BUILD.exists() or not shutil.which("buildah"):
            pytest.skip(f"needs the image {IMAGE}: build tests/cluster/driver and load it into the cluster")
        folder = ROOT / "tests" / "cluster" / "driver"
        name = IMAGE.removeprefix("localhost/")
        subprocess.run([BUILD, name, folder / "Dockerfile", folder], check=True, cwd=ROOT)
    return IMAGE


@pytest.fixture(scope="session")
def volumes(kube: Any) -> Iterator[None]:
    """Give volumes that namespaces of these tests have let go back to the cluster, before and after."""
    core = client.CoreV1Api(kube)

    def give_back() -> None:
        for volume in core.list_persistent_volume().items:
            claim = volume.spec.claim_ref
            if volume.status.phase == "Released" and claim and claim.namespace.startswith(PREFIX):
                core.patch_persistent_volume(volume.metadata.name, {"spec": {"claimRef": None}})

    give_back()
    yield
    give_back()


@pytest.fixture(scope="session")
def spark_applications(kube: Any) -> Iterator[None]:
    """Have the cluster know SparkApplications; the definition goes again where these tests brought it."""
    api = client.ApiextensionsV1Api(kube)
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    definition = {
        "metadata": {"name": SPARK, "labels": {MARK: "true"}},
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
    while not _serves(kube):
        assert time.monotonic() < until, f"CRD {SPARK} is not served"
        time.sleep(0.1)
    yield
    found = api.read_custom_resource_definition(SPARK)
    everywhere = client.CustomObjectsApi(kube).list_cluster_custom_object(
        "sparkoperator.k8s.io", "v1beta2", "sparkapplications"
    )["items"]
    strangers = [it for it in everywhere if not it["metadata"]["namespace"].startswith(PREFIX)]
    if (found.metadata.labels or {}).get(MARK) and not strangers:
        api.delete_custom_resource_definition(SPARK)


def _serves(kube: Any) -> bool:
    try:
        client.CustomObjectsApi(kube).list_cluster_custom_object("sparkoperator.k8s.io", "v1beta2", "sparkapplications")
    except ApiException:
        return False
    return True


@contextlib.contextmanager
def _stage(kube: Any, folder: Path) -> Iterator[Stage]:
    stage = Stage(kube, folder)
    _STAGES.append(stage)
    try:
        yield stage
    finally:
        _STAGES.remove(stage)
        stage.clear()


@pytest.fixture(scope="session")
def common(
    kube: Any, driver_image: str, volumes: None, spark_applications: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Place, OperatorProcess]]:
    """A namespace and an operator that most scenarios share, each with jobs of its own."""
    with _stage(kube, tmp_path_factory.mktemp("common")) as stage:
        place = stage.place()
        operator = stage.operator(f"{place.namespace}*", home=place.namespace).start().wait_until_leading()
        yield place, operator


@pytest.fixture
def place(common: tuple[Place, OperatorProcess]) -> Iterator[Place]:
    """The shared namespace; no two drivers of a job ever lived at once in it."""
    yield common[0]
    assert not common[0].record.overlaps


@pytest.fixture
def stage(kube: Any, driver_image: str, volumes: None, tmp_path: Path) -> Iterator[Stage]:
    """Namespaces and operators for one test alone; no two drivers of a job ever lived at once in them."""
    with _stage(kube, tmp_path) as stage:
        yield stage
        assert not [text for place in stage.places for text in place.record.overlaps]


@pytest.fixture
def make_job(place: Place) -> Iterator[Callable[[str], Job]]:
    """Return a maker of jobs in the shared namespace, which are deleted after the test."""
    made: list[Job] = []

    def make(name: str) -> Job:
        made.append(place.job(name))
        return made[-1]

    yield make
    for job in made:
        with contextlib.suppress(ApiException):
            job.delete()


@pytest.fixture(scope="session")
def kubectl(kube: Any) -> Callable[..., str]:
    """Return a function that runs kubectl and returns what it prints."""
    if not shutil.which("kubectl"):
        pytest.skip("needs kubectl on the PATH")

    def run(*arguments: str) -> str:
        done = subprocess.run(["kubectl", *arguments], capture_output=True, text=True, env=os.environ, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
