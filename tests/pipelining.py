"""Verbs of pipelines as a user calls them: they go on in the environment that holds kfp."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def require_environment():
    """Return the Python of the environment with kfp; skip where there is none."""
    folder = Path(os.environ.get("TICKLOOM_PIPELINES") or Path(sys.prefix).with_name(".venv-pipelines"))
    if not (folder / "bin" / "python").is_file():
        pytest.skip(f"{folder} does not hold kfp: `make setup-pipelines` makes it")
    return folder / "bin" / "python"


def pipelines(*words, env=None, timeout=900):
    """Call ``tickloom pipelines`` and return what it ended with."""
    command = [sys.executable, "-m", "tickloom.cli.main", "pipelines", *map(str, words)]
    chosen = {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])), **(env or {})}
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **chosen}, capture_output=True, text=True, timeout=timeout, check=False
    )
