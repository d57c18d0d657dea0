"""What the tests against a cluster share: the API server of KUBECONFIG with this repository's CRDs, and namespaces."""

import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.clearing import delete_namespace

CRDS = Path(__file__).parents[2] / "manifests" / "crds"
PATIENCE_S = 60


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def kube() -> Iterator[Any]:
    """Return a client of the API server that KUBECONFIG names, once it serves the CRDs of this repository."""
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("needs a cluster: set KUBECONFIG to the path of a kubeconfig")
    kubernetes = pytest.importorskip("kubernetes", reason="needs the package kubernetes: install tickloom[operator]")
    with kubernetes.config.new_client_from_config(os.environ["KUBECONFIG"]) as api:
        for path in sorted(CRDS.glob("*.yaml")):
            _apply(kubernetes.client.ApiextensionsV1Api(api), yaml.safe_load(path.read_text(encoding="utf-8")))
        yield api


def _apply(api: Any, crd: dict[str, Any]) -> None:
    """Apply a CRD and wait until the API server goes by it."""
    name = crd["metadata"]["name"]
    api.patch_custom_resource_definition(
        name, crd, field_manager="tests", force=True, _content_type="application/apply-patch+yaml"
    )
    until = time.monotonic() + PATIENCE_S
    while not _established(api, name):
        assert time.monotonic() < until, f"CRD {name} is not established after {PATIENCE_S} s"
        time.sleep(0.1)
    time.sleep(1)  # a changed schema takes some 0.05 s to be gone by, and nothing tells when it is


def _established(api: Any, name: str) -> bool:
    status = api.read_custom_resource_definition(name).status
    return any(item.type == "Established" and item.status == "True" for item in (status and status.conditions) or ())


@pytest.fixture
def namespace(kube: Any) -> Iterator[str]:
    """Return a fresh namespace, which goes with all that is in it after the test."""
    from kubernetes import client

    name = f"test-{uuid.uuid4().hex[:12]}"
    client.CoreV1Api(kube).create_namespace({"metadata": {"name": name}})
    yield name
    delete_namespace(kube, name)
