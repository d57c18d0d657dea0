"""Every profile and toggle renders, and renders what Kubernetes and the foreign operators take."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.unit.charts.rendering import CASES, CHARTS, INSTALLABLE, OPERATED, PROFILES, SOURCES, RefusedError, of_bases

pytest.importorskip("kubernetes", reason="needs the package kubernetes: install tickloom[operator]")

from tests.unit.charts.kubernetes_schemas import schema_of

FOREIGN = {
    (it["properties"]["apiVersion"]["const"], it["properties"]["kind"]["const"]): it
    for it in (json.loads(path.read_text()) for path in sorted((Path(__file__).parent / "schemas").glob("*.json")))
}


def schema(api_version, kind):
    """Return the schema of a kind, Kubernetes' own or foreign."""
    return FOREIGN.get((api_version, kind)) or schema_of(api_version, kind)


def leaves(schema, path=()):
    """Return what a schema says of each place below it."""
    own = {key: value for key, value in schema.items() if key not in ("properties", "description")}
    found = {path: own}
    for name, below in schema.get("properties", {}).items():
        found |= leaves(below, (*path, name))
    return found


def test_a_sub_chart_takes_the_same_globals_as_the_umbrella():
    def taken(path):
        return leaves(json.loads(path.read_text())["properties"].get("global", {}))

    whole = taken(CHARTS / "tickloom" / "values.schema.json")
    parts = {path.parent.name: taken(path) for path in CHARTS.glob("*/values.schema.json")}
    for name, part in parts.items():
        assert not {path: said for path, said in part.items() if path and whole.get(path) != said}, name
    assert len({path for part in parts.values() for path in part}) == len(whole)


@pytest.mark.parametrize("chart", INSTALLABLE)
def test_helm_finds_nothing_wrong(charts, chart):
    assert "0 chart(s) failed" in charts.helm("lint", "--strict", chart)


@pytest.mark.parametrize("profile", list(PROFILES)[1:])
def test_helm_finds_nothing_wrong_with_a_profile(charts, profile):
    files = [part for name in PROFILES[profile] for part in ("-f", f"tickloom/{name}")]
    assert "0 chart(s) failed" in charts.helm("lint", "--strict", "tickloom", *files)


@pytest.mark.parametrize(("values", "files"), CASES.values(), ids=CASES)
def test_manifests_are_as_their_schemas_say(charts, values, files):
    manifests = charts.render("tickloom", values, files)
    assert manifests
    for manifest in manifests:
        validator = jsonschema.Draft7Validator(schema(manifest["apiVersion"], manifest["kind"]))
        wrong = [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(manifest)]
        assert not wrong, f"{manifest['kind']} {manifest['metadata']['name']}: {wrong}"


@pytest.mark.parametrize(("values", "files"), CASES.values(), ids=CASES)
def test_no_two_manifests_have_one_name(charts, values, files):
    names = [
        (it["apiVersion"], it["kind"], it["metadata"].get("namespace"), it["metadata"]["name"])
        for it in charts.render("tickloom", values, files)
    ]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("values", "files"), CASES.values(), ids=CASES)
def test_an_upgrade_that_changes_nothing_renders_the_same(charts, values, files):
    def stable(text):
        documents = [it for it in yaml.safe_load_all(text) if it]
        # without a server there is nothing to look the Secret up in; that it is put back is tested where it is made
        return [it for it in documents if (it["kind"], it["metadata"]["name"]) != ("Secret", "tickloom-mlflow")]

    assert stable(charts.text("tickloom", values, files)) == stable(charts.text("tickloom", values, files))


def test_kubeconform_takes_every_manifest(charts, tmp_path):
    if shutil.which("kubeconform") is None:
        pytest.skip("needs kubeconform on PATH: https://github.com/yannh/kubeconform")
    manifests = [it for case in CASES.values() for it in charts.render("tickloom", *case)] + of_bases()
    for kind in {(it["apiVersion"], it["kind"]) for it in manifests}:
        group, _, version = kind[0].rpartition("/")
        path = tmp_path / f"{kind[1].lower()}-{group or version}-{version}.json"  # kubeconform takes v1 for a group
        path.write_text(json.dumps(schema(*kind)))
    where = f"{tmp_path}/{{{{.ResourceKind}}}}-{{{{.Group}}}}-{{{{.ResourceAPIVersion}}}}.json"
    done = subprocess.run(
        ["kubeconform", "-strict", "-summary", "-schema-location", where, "-"],
        input=yaml.safe_dump_all(manifests),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Skipped: 0" in done.stdout


if os.environ.get("TICKLOOM_CRDS"):  # whoever has real CRDs may check against them too

    def test_foreign_resources_are_as_real_crds_say(charts):
        known = {}
        for path in Path(os.environ["TICKLOOM_CRDS"]).rglob("*.yaml"):
            for it in yaml.safe_load_all(path.read_text(encoding="utf-8")):
                if it and it.get("kind") == "CustomResourceDefinition":
                    for version in it["spec"]["versions"]:
                        api_version = f"{it['spec']['group']}/{version['name']}"
                        known[api_version, it["spec"]["names"]["kind"]] = strict(version["schema"]["openAPIV3Schema"])
        checked = set()
        for case in CASES.values():
            for manifest in charts.render("tickloom", *case):
                if (kind := (manifest["apiVersion"], manifest["kind"])) in known:
                    jsonschema.validate({**manifest, "metadata": {}}, known[kind])  # a CRD says nothing of metadata
                    checked.add(kind)
        assert checked, f"TICKLOOM_CRDS has none of the CRDs that the charts render: {sorted(FOREIGN)}"


def strict(part):
    """Return a CRD's schema in which unknown fields are wrong, as ``kubectl apply --validate=strict`` has it."""
    if isinstance(part, list):
        return [strict(it) for it in part]
    if not isinstance(part, dict):
        return part
    out = {key: strict(value) for key, value in part.items() if not key.startswith("x-kubernetes")}
    if part.get("x-kubernetes-preserve-unknown-fields"):
        return {}
    if isinstance(pattern := part.get("pattern"), str) and "(?i)" in pattern:
        out["pattern"] = f"(?i){pattern.replace('(?i)', '')}"  # Go's place for it is not Python's
    if part.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    if (
        isinstance(part.get("properties"), dict)
        and part.get("type") == "object"
        and "apiVersion" not in part["properties"]
    ):
        out.setdefault("additionalProperties", False)
    return out


@pytest.mark.parametrize(
    ("chart", "values", "said"),
    [
        ("tickloom", {"kafak": {}}, "kafak"),
        ("kafka", {"mode": "zookeeper"}, "/mode"),
        (
            "kafka",
            {"dev": {"image": {"tag": "latest"}}},
            "image docker.io/apache/kafka:latest .* set its tag to a version",
        ),
        ("tickloom", {"global": {"stream": {"image": {"tag": "latest"}}}}, "tickloom/stream:latest .* such as 0.1.0"),
        ("kafka", {"dev": {"storage": {"size": "1TB"}}}, 'kafka: dev.storage.size is "1TB", no size .* write 1Ti'),
        (
            "kafka",
            {"mode": "strimzi", "strimzi": {"controllers": {"storage": {"size": "20 gb"}}}},
            'strimzi.controllers.storage.size is "20 gb", .* write 20Gi',
        ),
        ("cassandra", {"dev": {"storage": {"size": "lots"}}}, "dev.storage.size .* write 10Gi"),
        ("cassandra", {**OPERATED, "cassOperator": {"storage": {"size": "10K"}}}, "size .* write 10Ki"),
        ("cassandra", {"backup": {"enabled": True, "volume": {"size": "0Gi"}}}, "backup.volume.size"),
        ("mlflow", {"storage": {"size": "5"}}, 'mlflow: storage.size is "5", .* write 5Gi'),
        ("kafka", {"topics": {"names": {"price": "x"}}}, "price"),
        ("kafka", {"strimzi": {"brokers": {"replicas": 2}}}, "/strimzi/brokers/replicas"),
        ("cassandra", {"restore": {"tag": "yesterday"}}, "/restore/tag"),
        ("operator", {"resources": {"limits": {"memory": "lots"}}}, "/resources/limits/memory"),
        ("operator", {"settings": {"polSeconds": 3}}, "polSeconds"),
        ("ingest", {"sources": [{"name": "A b", "kind": "gbm"}]}, "/sources/0/name"),
        ("ingest", {"sources": [{**SOURCES[0], "pod": {"run": "cron"}}]}, "schedule"),
        ("mlflow", {"replicas": 2}, "replicas above 1 need database.existingSecret"),
        ("spark", {"submitters": [{"name": "x"}]}, "namespace"),
        ("spark", {"profiles": {"templates": {"mine": {"spec": {}}}}}, "/profiles/templates/mine"),
    ],
)
def test_wrong_values_are_refused_with_their_place(charts, chart, values, said):
    with pytest.raises(RefusedError, match=said):
        charts.text(chart, values)


@pytest.mark.parametrize("chart", INSTALLABLE)
def test_a_chart_installs_alone(charts, chart):
    values = {"sources": SOURCES} if chart == "ingest" else {}
    assert charts.render(chart, values)


@pytest.mark.parametrize("path", sorted(CHARTS.glob("*/Chart.yaml")), ids=lambda path: path.parent.name)
def test_versions_agree_and_the_main_chart_needs_no_network(path):
    chart = yaml.safe_load(path.read_text())
    assert chart["version"] == "0.1.0"
    for it in chart.get("dependencies", []):
        assert path.parent.name == "platform" or it["repository"].startswith("file://../")
