"""The bases for kustomize are what the charts render, and stand without Helm."""

import shutil
import subprocess
import sys

import pytest
import yaml

from tests.unit.charts.rendering import PROFILES, ROOT, of_bases

BASES = sorted(path.parent for path in (ROOT / "manifests" / "base").glob("*/kustomization.yaml"))
OVERLAY = ROOT / "manifests" / "overlays" / "registry"


def script(root, *options, **more):
    command = [sys.executable, root / "scripts" / "manifests", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, **more)


def kustomize(folder):
    if shutil.which("kubectl") is None:
        pytest.skip("needs kubectl on PATH: https://kubernetes.io/docs/tasks/tools/")
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [it for it in yaml.safe_load_all(done.stdout) if it]


def names(manifests):
    return sorted((it["kind"], it["metadata"].get("namespace", ""), it["metadata"]["name"]) for it in manifests)


@pytest.fixture
def copy(tmp_path):
    """A copy of what the script reads and writes."""
    if shutil.which("helm") is None:
        pytest.skip("needs helm on PATH: https://helm.sh/docs/intro/install")
    for part in ("charts", "manifests"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("*.tgz"))
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "manifests", tmp_path / "scripts")
    return tmp_path


def test_the_bases_are_current(copy):
    done = script(copy, "--check")
    assert done.returncode == 0, done.stderr


def test_what_is_not_current_is_told_and_written_anew(copy):
    values = copy / "charts" / "kafka" / "values.yaml"
    values.write_text(values.read_text().replace("heap: 2g", "heap: 3g"))
    stranger = copy / "manifests" / "base" / "dev" / "old.yaml"
    stranger.write_text("")
    crd = copy / "manifests" / "base" / "crds" / "crds.yaml"
    right = crd.read_text()
    crd.write_text(right.replace("StreamJob", "StremJob"))
    done = script(copy, "--check")
    assert done.returncode == 1
    assert "manifests/base/crds/crds.yaml is not what the charts render; run: make manifests" in done.stderr
    assert "manifests/base/prod/kafka.yaml is not what" in done.stderr
    assert "manifests/base/dev/kafka.yaml" not in done.stderr
    assert "manifests/base/dev/old.yaml belongs to no base" in done.stderr
    assert stranger.exists()
    assert script(copy).returncode == 0
    assert crd.read_text() == right
    assert not stranger.exists()
    assert script(copy, "--check").returncode == 0


def test_a_secret_in_a_base_is_refused(copy):
    code = copy / "scripts" / "manifests"
    code.write_text(code.read_text().replace('"mlflow-admin"', '""'))
    done = script(copy, "--check")
    assert done.returncode == 1
    assert "base dev: Secret tickloom-mlflow" in done.stderr


def test_without_helm_nothing_is_checked_and_that_is_said(tmp_path):
    bare = {"env": {"PATH": str(tmp_path)}}
    done = script(ROOT, "--check", **bare)
    assert (done.returncode, "helm is not on PATH: manifests/base is NOT CHECKED" in done.stderr) == (0, True)
    assert script(ROOT, **bare).returncode == 1


@pytest.mark.parametrize("base", BASES, ids=lambda path: path.name)
def test_kustomize_builds_every_base_and_nothing_of_helm_is_in_it(base):
    found = kustomize(base)
    beside = of_bases("crds") if base.name != "crds" else []
    assert names(found) == names(of_bases(base.name) + beside)
    assert len(set(names(found))) == len(found)
    text = yaml.safe_dump_all(found)
    assert "helm.sh" not in text
    assert "managed-by" not in text


@pytest.mark.parametrize("profile", ["dev", "prod"])
def test_a_base_of_a_profile_holds_what_helm_would_install(charts, profile):
    rendered = charts.render("tickloom", {}, PROFILES[profile], namespace="tickloom")
    release = [it for it in rendered if "helm.sh/hook" not in it["metadata"].get("annotations", {})]
    helms_own = {("Namespace", "", "tickloom"), ("Secret", "tickloom", "tickloom-mlflow")}
    made = set(names(of_bases(profile) + of_bases("crds")))
    assert made - helms_own == set(names(release)) - helms_own


def test_one_overlay_names_every_image_of_ours():
    text = yaml.safe_dump_all(kustomize(OVERLAY))
    for image in ("operator", "stream", "ingest", "mlflow", "forecast"):
        assert f"REGISTRY/tickloom/{image}:0.1.0" in text
    assert "value: REGISTRY/tickloom/stream:0.1.0" in text
    assert ": tickloom/" not in text
