"""One chart of this repository in a namespace of its own."""

import json
import shutil
import subprocess
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml

from tests.cluster.operator_process import ROOT

PATIENCE_S = 180.0


@dataclass
class Installed:
    """A release of one chart.

    Parameters
    ----------
    kube
        Client of the API server.
    chart
        Its folder in charts/.
    values
        What every command says of it.
    """

    kube: Any
    chart: str
    values: dict[str, Any]
    namespace: str = field(default_factory=lambda: f"test-chart-{uuid.uuid4().hex[:6]}")

    def __post_init__(self) -> None:
        for tool in ("helm", "kubectl"):
            if not shutil.which(tool):
                pytest.skip(f"needs {tool} on the PATH")
        self._run(["helm", "dependency", "build", str(ROOT / "charts" / self.chart)])
        self.kubectl("create", "namespace", self.namespace)

    def _run(self, command: list[str], **more: Any) -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
        assert done.returncode == 0, f"{command[:6]}: {done.stdout}{done.stderr}"
        return done.stdout

    def helm(self, verb: str, *options: str, release: str = "it", **values: Any) -> str:
        """Install or upgrade with the values, and with further ones for this once."""
        chart = str(ROOT / "charts" / self.chart)
        document = yaml.safe_dump({**self.values, **values})
        return self._run(["helm", verb, release, chart, "-n", self.namespace, "-f", "-", *options], input=document)

    def uninstall(self, release: str = "it") -> None:
        """Take a release away, and wait until its pods are gone."""
        self._run(["helm", "uninstall", release, "-n", self.namespace, "--wait", "--cascade=foreground"])

    def kubectl(self, *arguments: str, **more: Any) -> str:
        """Return what a command in the namespace prints; fail where it does."""
        return self._run(["kubectl", "-n", self.namespace, *arguments], **more)

    def get(self, *arguments: str) -> Any:
        """Return objects as the API server has them."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def apply(self, *objects: dict[str, Any]) -> None:
        """Make or change objects."""
        self.kubectl("apply", "-f", "-", input=yaml.safe_dump_all(objects))

    def until(self, check: Any, what: str, seconds: float = PATIENCE_S) -> Any:
        """Wait for what a check returns to be true, and return it."""
        end = time.monotonic() + seconds
        while not (found := check()):
            assert time.monotonic() < end, f"not after {seconds:.0f} s: {what}\n{self.describe()}"
            time.sleep(0.5)
        return found

    def describe(self) -> str:
        """Return what pods and events say."""
        events = self.kubectl("get", "events", "--sort-by=.lastTimestamp")
        return self.kubectl("get", "pods,jobs,pvc") + events[-2000:]

    def rolled_out(self, what: str, seconds: float = PATIENCE_S) -> None:
        """Wait until all pods of a Deployment or StatefulSet are new and ready."""
        self.kubectl("rollout", "status", what, f"--timeout={seconds:.0f}s")

    def clear(self) -> None:
        """Delete the namespace, without waiting."""
        self.kubectl("delete", "namespace", self.namespace, "--wait=false")
