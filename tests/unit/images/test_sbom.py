"""The bills of materials say what the locks and the image say, and nothing else."""

import importlib.util
import json
import re
import subprocess
import sys
from importlib.machinery import SourceFileLoader

import pytest

from tests.unit.charts.rendering import ROOT
from tickloom.local import jarsets

SCRIPT = ROOT / "scripts" / "sbom"
RUNNER = """#!/bin/bash
[ "$2" = registry.example.com/tickloom/stream:7 ] || exit 9
case $1 in
  dpkg-query) printf 'ii \\tlibc6:amd64\\t2.36-9+deb12u10\\tamd64\\nrc \\tgone\\t1:1.0\\tall\\n';;
  cat) printf 'IMPLEMENTOR="Debian"\\nJAVA_VERSION="17.0.19"\\n';;
esac
"""


def run(*arguments):
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("sbom")
    done = run("--out", made)
    assert done.returncode == 0, done.stderr
    return made


def bill(folder, image):
    return json.loads((folder / f"tickloom-{image}.cdx.json").read_text(encoding="utf-8"))


def urls(found, kind):
    return {it["purl"] for it in found["components"] if it["purl"].startswith(f"pkg:{kind}/")}


@pytest.mark.parametrize("dockerfile", sorted(ROOT.glob("images/*/Dockerfile")), ids=lambda path: path.parent.name)
def test_every_image_has_a_bill_of_what_it_installs(folder, dockerfile):
    image = dockerfile.parent.name
    found, text = bill(folder, image), dockerfile.read_text(encoding="utf-8")
    (lock,) = re.findall(r"^COPY (requirements/\S+\.txt) ", text, re.MULTILINE)
    lines = (ROOT / lock).read_text(encoding="utf-8").splitlines()
    pins = {line.split()[0].replace("==", "@") for line in lines if "==" in line}
    own = {url for url in urls(found, "pypi") if url.startswith("pkg:pypi/tickloom@")}
    assert urls(found, "pypi") - own == {f"pkg:pypi/{pin}" for pin in pins}
    assert bool(own) == ("COPY tickloom " in text)
    assert found["metadata"]["component"]["name"] == f"tickloom/{image}"
    everything = {it["bom-ref"] for it in found["components"]}
    assert set(found["dependencies"][0]["dependsOn"]) == everything


def test_the_driver_s_jars_have_coordinates_and_checksums(folder):
    found = bill(folder, "stream")
    locked = jarsets.parse_lock(jarsets.lock_file("spark").read_text(encoding="utf-8"), "spark.txt")
    jars = {
        (it["group"], it["name"], it["version"]): it["hashes"][0]["content"]
        for it in found["components"]
        if it["purl"].startswith("pkg:maven/")
    }
    assert jars == {(jar.group, jar.name, jar.version): digest for jar, digest in locked.items()}
    assert not urls(bill(folder, "operator"), "maven")


def test_the_same_locks_give_the_same_bytes(folder, tmp_path):
    assert run("--out", tmp_path, "operator").returncode == 0
    name = "tickloom-operator.cdx.json"
    assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
    assert [it.name for it in tmp_path.iterdir()] == [name]


def test_an_image_tells_what_no_lock_names(tmp_path):
    runner = tmp_path / "runner"
    runner.write_text(RUNNER)
    runner.chmod(0o755)
    done = run("--out", tmp_path, "--run", runner, "--registry", "registry.example.com", "--tag", "7", "stream")
    assert done.returncode == 0, done.stderr
    found = bill(tmp_path, "stream")
    assert urls(found, "deb") == {"pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64"}
    assert urls(found, "generic") == {"pkg:generic/openjdk@17.0.19"}


def test_what_cannot_be_is_refused(tmp_path):
    done = run("--out", tmp_path, "nothing")
    assert done.returncode == 2
    assert "there is no images/nothing; known: forecast, ingest, mlflow, operator, retrain, stream" in done.stderr
    done = run("--out", tmp_path, "--run", "false", "operator")
    assert done.returncode == 1
    assert "false dpkg-query tickloom/operator:" in done.stderr
    assert not list(tmp_path.glob("*.json"))


def test_what_is_not_cyclonedx_is_not_written(folder):
    loader = SourceFileLoader("sbom", str(SCRIPT))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("sbom", loader))
    loader.exec_module(module)
    good = bill(folder, "operator")
    assert json.loads(module.checked(good, "operator")) == good
    good["components"][0]["type"] = "thing"
    with pytest.raises(SystemExit, match=r"the bill of operator is not CycloneDX: .*thing"):
        module.checked(good, "operator")
