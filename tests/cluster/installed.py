"""Namespaces with releases of this repository's charts."""

import json
import shutil
import subprocess
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml

from tests.cluster.clearing import delete_namespace
from tests.cluster.operator_process import ROOT
from tests.cluster.waiting import until

PATIENCE_S = 300.0


@dataclass
class Namespace:
    """A new namespace, as kubectl and helm see it.

    Parameters
    ----------
    kube
        Client of the API server.
    """

    kube: Any
    namespace: str = field(default_factory=lambda: f"test-release-{uuid.uuid4().hex[:6]}", kw_only=True)

    def __post_init__(self) -> None:
        for tool in ("helm", "kubectl"):
            if not shutil.which(tool):
                pytest.skip(f"needs {tool} on the PATH")
        self.kubectl("create", "namespace", self.namespace)

    def run(self, *command: str, **more: Any) -> str:
        """Return what a command prints; fail where it does."""
        done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
        assert done.returncode == 0, f"{command[:6]}: {done.stdout}{done.stderr}"
        return done.stdout

    def kubectl(self, *arguments: str, **more: Any) -> str:
        """Return what a command in the namespace prints."""
        return self.run("kubectl", "-n", self.namespace, *arguments, **more)

    def get(self, *arguments: str) -> Any:
        """Return objects as the API server has them."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def apply(self, *objects: dict[str, Any]) -> None:
        """Make or change objects."""
        self.kubectl("apply", "-f", "-", input=yaml.safe_dump_all(objects))

    def address(self, service: str, port: int) -> str:
        """Return where this machine reaches a Service."""
        return f"{self.get('svc', service)['spec']['clusterIP']}:{port}"

    def until(self, check: Callable[[], Any], what: str, seconds: float = PATIENCE_S) -> Any:
        """Wait for what a check returns to be true, and return it."""
        return until(check, what, seconds, self.describe, look_s=0.5)

    def describe(self) -> str:
        """Return what pods and events say."""
        events = self.kubectl("get", "events", "--sort-by=.lastTimestamp")
        return self.kubectl("get", "pods,jobs,pvc,streamjobs") + events[-3000:]

    def rolled_out(self, what: str, seconds: float = PATIENCE_S) -> None:
        """Wait until all pods of a Deployment or StatefulSet are new and ready."""
        self.kubectl("rollout", "status", what, f"--timeout={seconds:.0f}s")

    def uninstall(self, release: str) -> None:
        """Take a release away, and wait until its pods are gone."""
        self.run("helm", "uninstall", release, "-n", self.namespace, "--wait", "--cascade=foreground")

    def clear(self) -> None:
        """Delete the namespace, without waiting."""
        delete_namespace(self.kube, self.namespace)


@dataclass
class Installed(Namespace):
    """A namespace for releases of one chart.

    Parameters
    ----------
    chart
        Its folder in charts/.
    values
        What every command says of it.
    """

    chart: str
    values: dict[str, Any]

    def __post_init__(self) -> None:
        super().__post_init__()
        self.run("helm", "dependency", "build", str(ROOT / "charts" / self.chart))

    def helm(self, verb: str, release: str, *options: str, **values: Any) -> str:
        """Install or upgrade with the values, and with further ones for this once."""
        chart = str(ROOT / "charts" / self.chart)
        document = yaml.safe_dump({**self.values, **values})
        return self.run("helm", verb, release, chart, "-n", self.namespace, "-f", "-", *options, input=document)
