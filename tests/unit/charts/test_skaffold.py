"""skaffold.yaml names what is there, every image that it builds is used, and all of it is done without skaffold."""

import stat
import sys

import pytest
import yaml

from scripts import skaffolding
from scripts.skaffolding import Image
from tests.unit.charts.rendering import ROOT

CONFIG = skaffolding.config()
ARTIFACTS = skaffolding.artifacts()
(RELEASE,) = skaffolding.releases()
IMAGES = [Image(it["image"], f"built/{it['image']}", f"tag{number}") for number, it in enumerate(ARTIFACTS)]
PROFILES = {it["name"]: it for it in CONFIG["profiles"]}


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
        assert f"COPY {folder} {rule['dest']}/{folder}" in dockerfile


@pytest.mark.parametrize("release", [RELEASE, *PROFILES["prod"]["deploy"]["helm"]["releases"]], ids=["dev", "prod"])
def test_every_image_of_ours_in_the_release_is_one_that_was_built(charts, release):
    variables = {name: value for image in IMAGES for name, value in image.variables.items()}
    values = nested({key: skaffolding.fill(it, variables) for key, it in release["setValueTemplates"].items()})
    files = tuple(path.rsplit("/", 1)[1] for path in release["valuesFiles"])
    rendered = charts.render("tickloom", values, files)
    text = yaml.safe_dump_all(rendered)
    for image in IMAGES:
        assert image.name in text
    images = {
        container["image"]
        for it in rendered
        for container in ((it.get("spec") or {}).get("template") or {}).get("spec", {}).get("containers", ())
    }
    named = {it["image"] for it in ARTIFACTS}
    assert not [it for it in images if it.rpartition(":")[0] in named]


def test_the_ports_that_are_forwarded_belong_to_services_of_the_release(charts):
    rendered = charts.render("tickloom", {}, ("values-dev.yaml",))
    services = {it["metadata"]["name"]: it for it in rendered if it["kind"] == "Service"}
    for forward in CONFIG["portForward"]:
        assert forward["port"] in [port["port"] for port in services[forward["resourceName"]]["spec"]["ports"]]


def test_files_are_synchronised_to_a_volume_that_the_process_runs_from(charts):
    (patch,) = PROFILES["sync"]["patches"]
    assert patch["path"] == "/deploy/helm/releases/0/setValues"
    files = tuple(path.rsplit("/", 1)[1] for path in RELEASE["valuesFiles"])
    rendered = charts.render("tickloom", nested(patch["value"]), files)
    for artifact in ARTIFACTS:
        if "sync" not in artifact:
            continue
        pods = [
            it["spec"]["template"]["spec"]
            for it in rendered
            if it["kind"] == "Deployment"
            and it["spec"]["template"]["spec"]["containers"][0]["image"].startswith(f"{artifact['image']}:")
        ]
        assert pods
        for pod in pods:
            (container,) = pod["containers"]
            (mount,) = (it for it in container["volumeMounts"] if it["name"] == "code")
            assert {rule["dest"] for rule in artifact["sync"]["manual"]} == {mount["mountPath"]}
            assert not mount.get("readOnly")
            assert container["securityContext"]["readOnlyRootFilesystem"]
            assert "/opt/tickloom/app/.process" in container["command"][2]
            (after,) = artifact["sync"]["hooks"]["after"]
            assert "/opt/tickloom/app/.process" in after["container"]["command"][2]


def test_the_watch_runs_in_an_image_that_the_profile_retrain_builds(charts):
    added = {it["path"]: it["value"] for it in PROFILES["retrain"]["patches"]}
    artifact = added.pop("/build/artifacts/-")
    assert (ROOT / artifact["docker"]["dockerfile"]).is_file()
    file = ROOT / added.pop("/deploy/helm/releases/0/valuesFiles/-")
    assert file.is_file()

    image = Image(artifact["image"], "built/retrain", "t1")
    templates = {path.removeprefix("/deploy/helm/releases/0/setValueTemplates/"): it for path, it in added.items()}
    values = nested({key: skaffolding.fill(it, image.variables) for key, it in templates.items()})
    for under in ("values-dev.yaml", "values-prod.yaml"):
        rendered = charts.render("tickloom", values, (under, file.name))
        (clock,) = (it for it in rendered if it["kind"] == "CronJob" and "watch" in it["metadata"]["name"])
        (container,) = clock["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        assert container["image"] == image.name
        assert "http://ml-pipeline.kubeflow.svc:8888" in yaml.safe_dump_all(rendered)


def test_without_sync_no_shell_runs(charts):
    text = charts.text("tickloom", {}, ("values-dev.yaml",))
    assert ".process" not in text


def test_an_image_is_built_by_the_builder_that_is_named_and_known_by_its_registry(tmp_path):
    builder = tmp_path / "builder"
    builder.write_text(
        f"#!{sys.executable}\nimport sys\nopen({str(tmp_path / 'said')!r}, 'a').write(repr(sys.argv[1:]))"
    )
    builder.chmod(builder.stat().st_mode | stat.S_IXUSR)
    image = skaffolding.build(ARTIFACTS[0], "t1", "reg.example.com/x/", [str(builder)])
    assert image.name == f"reg.example.com/x/{ARTIFACTS[0]['image']}:t1"
    said = (tmp_path / "said").read_text()
    assert said == repr([f"{ARTIFACTS[0]['image']}:t1", str(ROOT / ARTIFACTS[0]["docker"]["dockerfile"]), str(ROOT)])
    with pytest.raises(skaffolding.CommandError, match="/no/such/builder is not on PATH"):
        skaffolding.build(ARTIFACTS[0], "t1", "", ["/no/such/builder"])


def test_a_tag_is_another_one_for_other_files(monkeypatch):
    tag = skaffolding.fingerprint.__wrapped__
    before = tag()
    assert tag() == before
    monkeypatch.setattr(skaffolding, "IN_IMAGES", (*skaffolding.IN_IMAGES, "README.md"))
    assert tag() != before
