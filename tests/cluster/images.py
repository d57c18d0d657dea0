"""The images of this working tree, in the cluster of the tests."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts import skaffolding
from tests.cluster.operator_process import IMAGE, ROOT

TAG = "0.1.0"
REGISTRY = "localhost"
PARTS = {"kafka": "docker.io/apache/kafka:4.3.1", "cassandra": "docker.io/library/cassandra:5.0.9"}
_SHARED = ROOT.parent / "shared" / "cluster"
_BUILD, _STAND_INS = _SHARED / "image", _SHARED / "stand-ins" / "load"


def held(kube: Any) -> set[str]:
    """Return the names of the images that the cluster's nodes hold."""
    from kubernetes import client

    nodes = client.CoreV1Api(kube).list_node().items
    return {name for node in nodes for image in node.status.images or () for name in image.names or ()}


def own(kube: Any, part: str) -> str:
    """Return the name of one of images/, built of this working tree and loaded into the cluster."""
    (artifact,) = (it for it in skaffolding.artifacts() if it["image"] == f"tickloom/{part}")
    return artifact_of(kube, artifact).name


def artifact_of(kube: Any, artifact: dict[str, Any]) -> skaffolding.Image:
    """Return the image of an artifact of skaffold.yaml, built of this working tree and loaded into the cluster."""
    if _builds():  # also where the cluster has one: it may be of another working tree
        return skaffolding.build(artifact, TAG, REGISTRY, [str(_BUILD)])
    image = skaffolding.Image(artifact["image"], f"{REGISTRY}/{artifact['image']}", TAG)
    _needed(kube, image.name, Path(artifact["docker"]["dockerfile"]).parent)
    return image


def stand_in(kube: Any) -> str:
    """Return the name of the stand-in driver, once the cluster has it."""
    return built(kube, IMAGE, ROOT / "tests" / "cluster" / "driver")


def built(kube: Any, name: str, folder: Path) -> str:
    """Return the name of an image of the tests' own, built of a folder and loaded into the cluster."""
    if _builds() and name not in held(kube):
        subprocess.run([_BUILD, name.removeprefix(f"{REGISTRY}/"), folder / "Dockerfile", folder], check=True, cwd=ROOT)
    _needed(kube, name, folder.relative_to(ROOT))
    return name


def _builds() -> bool:
    return _BUILD.exists() and shutil.which("buildah") is not None


def _needed(kube: Any, name: str, folder: Path) -> None:
    if not _builds() and name not in held(kube):
        pytest.skip(f"needs the image {name}: build {folder} and load it into the cluster")


def third_party(kube: Any, image: str) -> None:
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
