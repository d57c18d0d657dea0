"""skaffold.yaml names what is there, and every image that it builds is used where it says."""

import importlib.util
from importlib.machinery import SourceFileLoader
from types import ModuleType

import pytest
import yaml

from tests.unit.charts.rendering import ROOT

CONFIG = yaml.safe_load((ROOT / "skaffold.yaml").read_text(encoding="utf-8"))
ARTIFACTS = CONFIG["build"]["artifacts"]
(RELEASE,) = CONFIG["deploy"]["helm"]["releases"]


def _script() -> ModuleType:
    loader = SourceFileLoader("cluster_demo", str(ROOT / "scripts" / "cluster-demo"))
    spec = importlib.util.spec_from_loader("cluster_demo", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


DEMO = _script()


def variables():
    found = {}
    for number, artifact in enumerate(ARTIFACTS):
        key = artifact["image"].replace("/", "_")
        found |= {f"IMAGE_REPO_{key}": f"built/{artifact['image']}", f"IMAGE_TAG_{key}": f"tag{number}"}
    return found


def nested(pairs):
    out = {}
    for path, value in pairs.items():
        *parents, last = path.split(".")
        inner = out
        for part in parents:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return out


@pytest.mark.parametrize("artifact", ARTIFACTS, ids=lambda artifact: artifact["image"])
def test_what_is_built_and_synchronised_is_there(artifact):
    assert (ROOT / artifact["docker"]["dockerfile"]).is_file()
    dockerfile = (ROOT / artifact["docker"]["dockerfile"]).read_text(encoding="utf-8")
    for rule in artifact.get("sync", {}).get("manual", ()):
        folder = rule["src"].split("/")[0]
        assert (ROOT / folder).is_dir()
        assert f"COPY {folder} " in dockerfile


def test_every_image_of_ours_in_the_release_is_one_that_was_built(charts):
    values = nested({key: DEMO.render(text, variables()) for key, text in RELEASE["setValueTemplates"].items()})
    files = tuple(path.rsplit("/", 1)[1] for path in RELEASE["valuesFiles"])
    rendered = charts.render("tickloom", values, files)
    text = yaml.safe_dump_all(rendered)
    for number, artifact in enumerate(ARTIFACTS):
        assert f"built/{artifact['image']}:tag{number}" in text, artifact["image"]
    images = {
        container["image"]
        for it in rendered
        for container in ((it.get("spec") or {}).get("template") or {}).get("spec", {}).get("containers", ())
    }
    assert not [name for name in images if "tickloom/" in name and not name.startswith("built/")]


def test_the_ports_that_are_forwarded_belong_to_services_of_the_release(charts):
    services = {it["metadata"]["name"]: it for it in charts.render("tickloom") if it["kind"] == "Service"}
    for forward in CONFIG["portForward"]:
        assert forward["port"] in [port["port"] for port in services[forward["resourceName"]]["spec"]["ports"]]


def test_profiles_patch_what_is_there():
    for profile in CONFIG["profiles"]:
        for patch in profile.get("patches", ()):
            inner = CONFIG
            for part in patch["path"].strip("/").split("/"):
                inner = inner[int(part)] if isinstance(inner, list) else inner[part]
            for path in patch["value"]:
                assert (ROOT / path).is_file()


def test_a_tag_is_another_one_for_other_files(tmp_path):
    dockerfiles = [ROOT / artifact["docker"]["dockerfile"] for artifact in ARTIFACTS]
    tags = [DEMO._fingerprint(path) for path in dockerfiles]
    assert len(set(tags)) == len(tags)
    assert tags == [DEMO._fingerprint(path) for path in dockerfiles]
