"""The images of this working tree, in the cluster of the tests."""

import shutil
import subprocess
from pathlib import Path
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
    return built(kube, f"localhost/tickloom/{part}:{TAG}", ROOT / "images" / part / "Dockerfile", ROOT)


def built(kube: Any, name: str, dockerfile: Path, context: Path) -> str:
    """Return the name of an image, built and loaded into the cluster."""
    if _BUILD.exists() and shutil.which("buildah"):  # also where there is one: it may be of another working tree
        subprocess.run([_BUILD, name.removeprefix("localhost/"), dockerfile, context], check=True, cwd=ROOT)
    elif name not in held(kube):
        pytest.skip(f"needs the image {name}: build {dockerfile.parent} and load it into the cluster")
    return name


def stand_in(kube: Any, image: str) -> None:
    """Have the cluster hold the published image of a third party, or skip the test."""
    if image in held(kube):
        return
    if not _STAND_INS.exists():
        pytest.skip(f"needs the image {image}: load it into the cluster")
    subprocess.run([_STAND_INS, image.rsplit("/", 1)[1].split(":", maxsplit=1)[0]], check=True)


def parts(kube: Any) -> None:
    """Have the cluster hold the images of Kafka and Cassandra, unless it can pull them."""
    absent = [part for part, image in PARTS.items() if image not in held(kube)]
    if absent and _STAND_INS.exists():
        subprocess.run([_STAND_INS, *absent], check=True)
