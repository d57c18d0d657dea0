"""The images of this working tree, in the cluster of the tests."""

import shutil
import subprocess
from typing import Any

import pytest

from tests.cluster.operator_process import ROOT

TAG = "0.1.0"
PARTS = {"kafka": "docker.io/apache/kafka:4.3.1", "cassandra": "docker.io/library/cassandra:5.0.9"}
_BUILD = ROOT.parent / "shared" / "cluster" / "image"
_STAND_INS = ROOT.parent / "shared" / "cluster" / "stand-ins" / "load"


def held(kube: Any) -> set[str]:
    """Return the names of the images that the cluster's nodes hold."""
    from kubernetes import client

    nodes = client.CoreV1Api(kube).list_node().items
    return {name for node in nodes for image in node.status.images or () for name in image.names or ()}


def own(kube: Any, part: str) -> str:
    """Return the name of one of images/, built of this working tree and loaded into the cluster."""
    name = f"localhost/tickloom/{part}:{TAG}"
    if _BUILD.exists() and shutil.which("buildah"):  # also where there is one: it may be of another working tree
        dockerfile = ROOT / "images" / part / "Dockerfile"
        subprocess.run([_BUILD, name.removeprefix("localhost/"), dockerfile, ROOT], check=True, cwd=ROOT)
    elif name not in held(kube):
        pytest.skip(f"needs the image {name}: build images/{part} and load it into the cluster")
    return name


def parts(kube: Any) -> None:
    """Have the cluster hold the images of Kafka and Cassandra, unless it can pull them."""
    absent = [part for part, image in PARTS.items() if image not in held(kube)]
    if absent and _STAND_INS.exists():
        subprocess.run([_STAND_INS, *absent], check=True)
