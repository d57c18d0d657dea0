"""An operator of the working tree, with namespaces of its own, for the scenarios.

What needs the package kubernetes is imported by the fixtures, for without it the tests are skipped.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster import images

if TYPE_CHECKING:
    from tests.cluster.scenarios.jobs import Job
    from tests.cluster.scenarios.stage import Place, Stage


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Any:
    """Show what the operators said when a test fails."""
    report = yield
    if report.failed and Path(__file__).parent in item.path.parents:
        from tests.cluster.scenarios.stage import STAGES

        for stage in STAGES:
            for operator in stage.operators:
                report.sections.append((f"operator of {operator.namespaces}", operator.tail()))
    return report


@pytest.fixture(scope="session")
def driver_image(kube: Any) -> str:
    """Return the image of the stand-in driver, once the cluster has it."""
    return images.stand_in(kube)


@pytest.fixture(scope="session")
def volumes(kube: Any) -> Iterator[None]:
    """Leave the cluster its volumes, which are few."""
    from tests.cluster.scenarios.stage import give_back_volumes

    yield
    give_back_volumes(kube)


@pytest.fixture(scope="session")
def spark_applications(kube: Any) -> Iterator[None]:
    """Have the cluster know SparkApplications."""
    from tests.cluster.scenarios.stage import bring_spark_applications, remove_spark_applications

    bring_spark_applications(kube)
    yield
    remove_spark_applications(kube)


@pytest.fixture(scope="session")
def common(
    kube: Any, driver_image: str, volumes: None, spark_applications: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list["Place"]]:
    """Two namespaces and an operator that most scenarios share, each with jobs of its own."""
    from tests.cluster.scenarios.stage import Stage

    with Stage.standing(kube, tmp_path_factory.mktemp("common")) as stage:
        places = [stage.place(), stage.place()]
        stage.operator(*(place.namespace for place in places)).start().wait_until_leading()
        yield places


@pytest.fixture
def place(common: list["Place"]) -> Iterator["Place"]:
    """The shared namespace; no two drivers of a job ever lived at once in it."""
    yield common[0]
    assert not common[0].record.overlaps


@pytest.fixture
def other_place(common: list["Place"]) -> Iterator["Place"]:
    """Another namespace of the same operator."""
    yield common[1]
    assert not common[1].record.overlaps


@pytest.fixture
def stage(kube: Any, driver_image: str, volumes: None, tmp_path: Path) -> Iterator["Stage"]:
    """Namespaces and operators for one test alone; no two drivers of a job ever lived at once in them."""
    from tests.cluster.scenarios.stage import Stage

    with Stage.standing(kube, tmp_path) as stage:
        yield stage
        assert not [text for place in stage.places for text in place.record.overlaps]


@pytest.fixture
def make_job(place: "Place") -> Iterator[Callable[[str], "Job"]]:
    """Return a maker of jobs in the shared namespace, which are deleted after the test."""
    made: list[Job] = []

    def make(name: str) -> "Job":
        made.append(place.job(name))
        return made[-1]

    yield make
    for job in made:
        if job.body() is not None:
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
