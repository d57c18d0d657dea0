"""What skaffold.yaml says, done without skaffold: its artifacts are built and its releases installed.

`scripts/cluster-demo` and the release's test on a cluster both go this way, so that what the file says is run.
"""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
IN_IMAGES = ("tickloom/", "operators/", "services/", "requirements/", "images/", "pyproject.toml")
"""What Dockerfiles copy."""


class CommandError(Exception):
    """A command failed; the text is its own."""


@dataclass(frozen=True)
class Image:
    """An image that a cluster can be told of: REPOSITORY:TAG, and the name of its artifact."""

    artifact: str
    repository: str
    tag: str

    @property
    def name(self) -> str:
        """What a pod names it."""
        return f"{self.repository}:{self.tag}"

    @property
    def variables(self) -> dict[str, str]:
        """What skaffold calls it in templates of values."""
        key = re.sub(r"[^A-Za-z0-9]", "_", self.artifact)
        parts = {"REPO": self.repository, "TAG": self.tag, "DIGEST": ""}
        return {f"IMAGE_{part}_{key}": value for part, value in parts.items()}


def config() -> dict[str, Any]:
    """Return skaffold.yaml."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "skaffold.yaml").read_text(encoding="utf-8"))
    return found


def artifacts() -> list[dict[str, Any]]:
    """Return what is built."""
    return list(config()["build"]["artifacts"])


def releases() -> list[dict[str, Any]]:
    """Return what is installed."""
    return list(config()["deploy"]["helm"]["releases"])


def build(artifact: Mapping[str, Any], tag: str, registry: str = "", builder: Sequence[str] = ()) -> Image:
    """Build an artifact and make it known to the cluster of KUBECONFIG.

    Parameters
    ----------
    registry
        What stands before the name in the cluster.
    builder
        A command that is called with NAME:TAG DOCKERFILE CONTEXT and does all of it; without one docker builds, and
        kind or minikube loads, or docker pushes to the registry.
    """
    dockerfile = ROOT / artifact["docker"]["dockerfile"]
    image = Image(artifact["image"], "/".join(it for it in (registry.strip("/"), artifact["image"]) if it), tag)
    if builder:
        run([*builder, f"{artifact['image']}:{tag}", str(dockerfile), str(ROOT)])
        return image
    run(["docker", "build", "-q", "-t", image.name, "-f", str(dockerfile), str(ROOT)])
    context = run(["kubectl", "config", "current-context"]).strip()
    if context.startswith("kind-"):
        run(["kind", "load", "docker-image", image.name, "--name", context.removeprefix("kind-")])
    elif context == "minikube":
        run(["minikube", "image", "load", image.name])
    elif registry:
        run(["docker", "push", image.name])
    return image


@cache
def fingerprint() -> str:
    """Return a tag that is another one whenever a file of the images is."""
    listed = run(["git", "ls-files", "-co", "--exclude-standard"])
    digest = hashlib.sha256()
    for path in sorted(path for path in listed.splitlines() if path.startswith(IN_IMAGES) and (ROOT / path).is_file()):
        digest.update(path.encode() + b"\0" + (ROOT / path).read_bytes())
    return digest.hexdigest()[:12]


def install(
    release: Mapping[str, Any],
    images: Sequence[Image],
    namespace: str | None = None,
    values: Mapping[str, Any] | None = None,
) -> str:
    """Install or upgrade a release as skaffold would, and return what helm says.

    Parameters
    ----------
    namespace
        Another one than the release's own.
    values
        Laid over its files.
    """
    chart = ROOT / release["chartPath"]
    command = ["helm", "upgrade", "--install", release["name"], str(chart), "-n", namespace or release["namespace"]]
    command += ["--create-namespace"] if release.get("createNamespace") else []
    for path in release.get("valuesFiles", ()):
        command += ["-f", str(ROOT / path)]
    command += ["-f", "-"] if values else []
    for key, value in release.get("setValues", {}).items():
        command += ["--set", f"{key}={json.dumps(value)}"]
    variables = {name: value for image in images for name, value in image.variables.items()}
    for key, template in release.get("setValueTemplates", {}).items():
        command += ["--set-string", f"{key}={fill(template, variables)}"]
    if not release.get("skipBuildDependencies"):
        run(["helm", "dependency", "build", str(chart)])
    return run(command, given=json.dumps(values) if values else None)


def fill(template: str, variables: Mapping[str, str]) -> str:
    """Fill each ``{{.NAME}}`` in."""
    return re.sub(r"\{\{\s*\.(\w+)\s*\}\}", lambda match: variables[match[1]], template)


def run(command: Sequence[str], given: str | None = None) -> str:
    """Run a command in the repository, telling of it, and return what it prints.

    Raises
    ------
    CommandError
        It is not there, or it fails.
    """
    print(f"+ {' '.join(command)}", file=sys.stderr, flush=True)
    try:
        done = subprocess.run(command, cwd=ROOT, input=given, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise CommandError(f"{command[0]} is not on PATH") from None
    if done.returncode:
        raise CommandError(f"{' '.join(command[:3])} failed:\n{done.stdout}{done.stderr}")
    return done.stdout
