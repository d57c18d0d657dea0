"""The charts with their dependencies, once for all tests."""

import os
import shutil
from pathlib import Path

import pytest

from tests.unit.charts.rendering import CHARTS, INSTALLABLE, Charts


@pytest.fixture(scope="session")
def charts(tmp_path_factory: pytest.TempPathFactory) -> Charts:
    """Return copies of the charts, so that nothing is built in the working tree."""
    if shutil.which("helm") is None:
        pytest.skip("needs helm on PATH: https://helm.sh/docs/intro/install")
    home = tmp_path_factory.mktemp("helm")
    folder = home / "charts"
    shutil.copytree(CHARTS, folder, ignore=shutil.ignore_patterns("charts", "*.tgz"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HELM_", "KUBE"))}
    homes = {f"HELM_{part}_HOME": str(home / part.lower()) for part in ("CACHE", "CONFIG", "DATA")}
    found = Charts(folder, {**kept, **homes, "KUBECONFIG": str(Path(os.devnull))})
    for chart in INSTALLABLE:
        found.helm("dependency", "build", chart)
    return found
