"""Kafka and Cassandra in the cluster, the application's image, and an operator of the working tree.

What needs the package kubernetes is imported by the fixtures, for without it the tests are skipped.
"""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.cluster import images
from tickloom.local.stack import Endpoints

if TYPE_CHECKING:
    from tests.cluster.scenarios.stage import Place, Stage

READY_WITHIN_S = 180.0
REACHED_WITHIN_S = 10.0


@pytest.fixture(scope="session")
def stream_image(kube: Any) -> str:
    """Return the image of this working tree's application."""
    return images.own(kube, "stream")


@pytest.fixture(scope="session")
def part_images(kube: Any) -> None:
    """Have the cluster hold Kafka and Cassandra."""
    images.parts(kube)


@pytest.fixture(scope="module")
def own_stage(kube: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Stage"]:
    """A stage for all tests of this folder."""
    from tests.cluster.scenarios.stage import Stage

    with Stage.standing(kube, tmp_path_factory.mktemp("pods")) as stage:
        yield stage


@pytest.fixture(scope="module")
def real(kube: Any, own_stage: "Stage", stream_image: str, part_images: None) -> "Place":
    """A namespace with Kafka, Cassandra and an operator that knows them."""
    from kubernetes import client, utils

    place = own_stage.place()
    for part in images.PARTS:
        path = Path(__file__).parents[1] / "stack" / f"{part}.yaml"
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            utils.create_from_dict(kube, document, namespace=place.namespace)
    apps, until = client.AppsV1Api(kube), time.monotonic() + READY_WITHIN_S
    while not all(
        apps.read_namespaced_deployment(part, place.namespace).status.ready_replicas for part in images.PARTS
    ):
        assert time.monotonic() < until, f"Kafka and Cassandra are not ready after {READY_WITHIN_S:.0f} s"
        time.sleep(1)
    environment = {
        "TICKLOOM_OPERATOR_IMAGE": stream_image,
        "TICKLOOM_OPERATOR_KAFKA": "kafka:9092",
        "TICKLOOM_OPERATOR_CASSANDRA": "cassandra:9042",
    }
    own_stage.operator(place.namespace, environment=environment).start().wait_until_leading()
    return place


@pytest.fixture(scope="module")
def endpoints(kube: Any, real: "Place") -> Endpoints:
    """The addresses of Kafka and Cassandra, as this machine reaches them."""
    from kubernetes import client

    core = client.CoreV1Api(kube)
    found = {}
    for part in images.PARTS:
        spec = core.read_namespaced_service(part, real.namespace).spec
        found[part] = f"{spec.cluster_ip}:{spec.ports[0].port}"
        try:
            socket.create_connection((spec.cluster_ip, spec.ports[0].port), REACHED_WITHIN_S).close()
        except OSError as error:
            pytest.skip(f"needs a cluster whose Services this machine reaches: {found[part]}: {error}")
    return Endpoints(**found)
