"""Ingestion, Spark, MLflow and the chart of third-party operators."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from textwrap import dedent, indent

import pytest
import yaml

from operators.streamjob.access import accesses
from operators.streamjob.actions import Apply, Start
from operators.streamjob.seen import Installation
from operators.streamjob.settings import OperatorSettings
from services.ingest.config import KINDS, parse
from tests.unit.charts.rendering import (
    CHARTS,
    PROFILES,
    ROOT,
    SOURCES,
    RefusedError,
    environment,
    named,
    of_kind,
    pod_spec,
)
from tests.unit.charts.test_operator import rules
from tests.unit.operator.world import World
from tickloom.errors import ConfigurationError
from tickloom.store.schema import MIGRATIONS
from tickloom.stream.job import StreamJob


def configuration(manifests, name):
    return yaml.safe_load(named(manifests, "ConfigMap", name)["data"]["ingest.yaml"])


def test_each_source_runs_as_it_says_with_its_own_configuration(charts):
    manifests = charts.render("ingest", {"sources": SOURCES, "topic": "morocco-stock-prices"})
    kinds = {it["metadata"]["name"]: it["kind"] for it in of_kind(manifests, "Deployment", "CronJob")}
    assert kinds == {"tickloom-ingest-always": "Deployment", "tickloom-ingest-nightly": "CronJob"}
    (job,) = of_kind(manifests, "Job")
    assert job["metadata"]["name"].startswith("tickloom-ingest-replay-")
    for source in SOURCES:
        wanted = {name: value for name, value in source.items() if name != "pod"}
        found = configuration(manifests, f"tickloom-ingest-{source['name']}")
        assert found == {"topic": "morocco-stock-prices", "sources": [wanted]}


def test_what_ends_is_told_to_end_and_what_stays_says_when_it_is_ready(charts):
    manifests = charts.render("ingest", {"sources": SOURCES})
    for it in of_kind(manifests, "Deployment", "CronJob", "Job"):
        (container,) = pod_spec(it)["containers"]
        stays = it["kind"] == "Deployment"
        assert ("--until-finished" in container["args"]) is not stays
        assert ("readinessProbe" in container) is stays
        assert container["args"][:2] == ["--config", "/etc/tickloom/ingest.yaml"]
        assert {"name": "config", "mountPath": "/etc/tickloom", "readOnly": True} in container["volumeMounts"]


def test_a_change_of_one_source_restarts_it_alone(charts):
    def sums(sources):
        found = of_kind(charts.render("ingest", {"sources": sources}), "Deployment")
        return {
            it["metadata"]["name"]: it["spec"]["template"]["metadata"]["annotations"]["checksum/config"] for it in found
        }

    first, second = ({"name": name, "kind": "gbm", "tickers": ["AAPL"]} for name in "ab")
    before, after = sums([first, second]), sums([first, {**second, "rate": 9}])
    assert before["tickloom-ingest-a"] == after["tickloom-ingest-a"]
    assert before["tickloom-ingest-b"] != after["tickloom-ingest-b"]


MADE = {"name": "a", "kind": "gbm", "tickers": ["AAPL"]}
YAHOO = {**MADE, "kind": "yahoo"}


@pytest.mark.parametrize(
    ("source", "place"),
    [
        (MADE | {"kind": "yaho"}, "/sources/0/kind"),
        ({"name": "a", "kind": "gbm", "ticker": ["AAPL"]}, "'ticker' not allowed"),
        (YAHOO | {"market": "NYSE"}, "/sources/0/market"),
        (YAHOO | {"interval": "1min"}, "/sources/0/interval"),
        (MADE | {"interval": "1m"}, "'interval' not allowed"),
        (MADE | {"backoff": {"first": "1"}}, "/sources/0/backoff/first"),
        ({"name": "a", "kind": "replay"}, "missing property 'files'"),
        ({"name": "a", "kind": "replay", "files": ["x"], "market": "NYSE"}, "/sources/0/market"),
    ],
)
def test_a_source_that_the_service_would_refuse_is_refused_with_its_place(charts, source, place):
    with pytest.raises(ConfigurationError):
        parse({"sources": [source]})
    with pytest.raises(RefusedError, match=place):
        charts.text("ingest", {"sources": [source]})


def test_a_source_may_say_all_that_the_service_knows(charts):
    """Each field of each model, with its default where it has one."""
    wanted = {"name": "a", "tickers": ["AAPL"], "files": ["/data"], "jitter": "5s", "start": {"AAPL": 3}}
    for kind, model in KINDS.items():
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        least = {name: wanted[name] for name in fields if name in wanted} | {"kind": kind}
        source = model.model_validate(least).model_dump(mode="json", by_alias=True)
        assert set(source) == set(fields)
        assert configuration(charts.render("ingest", {"sources": [source]}), "tickloom-ingest-a")["sources"] == [source]


def test_two_sources_of_one_name_are_refused(charts):
    with pytest.raises(RefusedError, match="sources a and a would both be the workload tickloom-ingest-a"):
        charts.text("ingest", {"sources": [MADE, YAHOO]})


def test_what_charts_hold_of_the_code_is_current_and_what_is_not_is_told(tmp_path):
    def run(root, *options):
        command = [sys.executable, root / "scripts" / "chart-schema", *options]
        place = {"cwd": ROOT, "env": {**os.environ, "PYTHONPATH": str(ROOT)}}
        return subprocess.run(command, **place, capture_output=True, text=True, check=False)

    assert run(ROOT, "--check").returncode == 0
    changes = {
        "charts/ingest/values.schema.json": ('"15m",', ""),
        "charts/forecast/values.schema.json": ('"thompson",', ""),
        "charts/forecast/files/sessions.yaml": ("0 8 ", "0 9 "),
    }
    for name in ("scripts/chart-schema", *changes):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for name, change in changes.items():
        file = tmp_path / name
        right = file.read_text()
        file.write_text(right.replace(*change))
        assert file.read_text() != right
        done = run(tmp_path, "--check")
        assert (done.returncode, done.stderr) == (1, f"{name}: is not what the code says; run scripts/chart-schema\n")
        assert run(tmp_path).returncode == 0
        assert file.read_text() == right


@pytest.mark.parametrize("profile", ["values-dev.yaml", "values-prod.yaml"])
def test_the_service_takes_the_profiles_sources(charts, profile):
    maps = of_kind(charts.render("tickloom", {}, (profile,)), "ConfigMap")
    documents = [yaml.safe_load(it["data"]["ingest.yaml"]) for it in maps if "ingest.yaml" in it["data"]]
    assert documents
    for document in documents:
        assert len(parse(document).sources) == 1


def test_credentials_of_strimzi_come_together_as_the_code_reads_them(charts):
    values = {"sources": SOURCES[:1], "global": {"kafka": {"strimziCluster": "{{ .Release.Name }}-kafka"}}}
    (deployment,) = of_kind(charts.render("ingest", values), "Deployment")
    spec = pod_spec(deployment)
    (volume,) = (it for it in spec["volumes"] if it["name"] == "kafka")
    assert volume["projected"]["sources"] == [
        {"secret": {"name": "tickloom-kafka-ingest"}},
        {"secret": {"name": "tickloom-kafka-cluster-ca-cert", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
    ]
    (container,) = spec["containers"]
    assert environment(container)["TICKLOOM_KAFKA_CREDENTIALS"] == "/etc/tickloom-kafka"
    assert {"name": "kafka", "mountPath": "/etc/tickloom-kafka", "readOnly": True} in container["volumeMounts"]


def test_one_secret_with_all_credentials_goes_before_strimzis(charts):
    values = {"sources": SOURCES[:1], "global": {"kafka": {"strimziCluster": "x", "credentialsSecret": "mine"}}}
    (deployment,) = of_kind(charts.render("ingest", values), "Deployment")
    volumes = pod_spec(deployment)["volumes"]
    assert {"name": "kafka", "secret": {"secretName": "mine"}} in volumes


@pytest.mark.parametrize("chart", ["ingest", "operator"])
@pytest.mark.parametrize(
    "named",
    [
        {},
        {"instruments": "{{ .Release.Name }}-ours"},
        {"holidays": "days"},
        {"instruments": "ours", "holidays": "days"},
    ],
    ids=lambda named: ",".join(named) or "none",
)
def test_further_instruments_and_holidays_are_files_whose_variables_are_set_where_they_are_named(charts, chart, named):
    sources = {"sources": SOURCES} if chart == "ingest" else {}
    workloads = [it for it in charts.render(chart, {"global": {"market": named}, **sources}) if pod_spec(it)]
    assert len(workloads) == (3 if sources else 1)
    for it in workloads:
        spec = pod_spec(it)
        (container,) = spec["containers"]
        said = environment(container)
        wanted = {f"TICKLOOM_{name.upper()}": f"/etc/tickloom-market/{name}.csv" for name in named}
        assert {name: said[name] for name in ("TICKLOOM_INSTRUMENTS", "TICKLOOM_HOLIDAYS") if name in said} == wanted
        volumes = [volume for volume in spec["volumes"] if volume["name"] == "market"]
        mounts = [mount for mount in container["volumeMounts"] if mount["name"] == "market"]
        assert mounts == [{"name": "market", "mountPath": "/etc/tickloom-market", "readOnly": True}] * bool(named)
        assert [source["configMap"] for volume in volumes for source in volume["projected"]["sources"]] == [
            {
                "name": config.replace("{{ .Release.Name }}", "tickloom"),
                "items": [{"key": f"{name}.csv", "path": f"{name}.csv"}],
            }
            for name, config in named.items()
        ]


@pytest.mark.parametrize(("credentials", "certificates"), [("", ""), ("a", ""), ("a", "b"), ("", "b")])
def test_charts_and_operator_mount_credentials_in_the_same_way(charts, credentials, certificates):
    named = {"credentialsSecret": credentials, "certificatesSecret": certificates}
    values = {"ingest": {"sources": SOURCES[:1]}, "cassandra": {}}
    secrets = (credentials or None, certificates or None)
    wanted = accesses({}, Installation("image", kafka_secrets=secrets, cassandra_secrets=secrets))
    for access, chart, kind in zip(wanted, ("ingest", "cassandra"), ("Deployment", "Job"), strict=True):
        shared = {"global": {"kafka": named, "cassandra": named}}
        (workload,) = of_kind(charts.render(chart, values[chart] | shared), kind)
        spec = pod_spec(workload)
        volume = next((it for it in spec["volumes"] if it["name"] == access.part), None)
        assert volume == access.volume()
        (container,) = spec["containers"]
        mounts = {it["name"]: it["mountPath"] for it in container["volumeMounts"]}
        assert mounts.get(access.part) == environment(container).get(access.variable)
        assert mounts.get(access.part) == (access.folder if access.names else None)


def test_a_driver_may_make_executors_and_their_network_policy(charts):
    manifests = charts.render("spark", {"namespaces": ["a", "b"]})
    for place in ("a", "b"):
        (role,) = (it for it in of_kind(manifests, "Role") if it["metadata"]["namespace"] == place)
        granted = rules(role)
        for resource in ("pods", "services", "configmaps", "persistentvolumeclaims"):
            assert {("", resource, verb) for verb in ("create", "list", "delete", "deletecollection")} <= granted
        assert ("networking.k8s.io", "networkpolicies", "create") in granted
        assert not {it for it in granted if it[1] in ("secrets", "serviceaccounts", "roles", "pods/exec")}


def test_the_page_shows_the_drivers_rights_as_the_chart_gives_them(charts):
    page = (CHARTS.parent / "docs" / "operating.md").read_text(encoding="utf-8")
    (text,) = (it for it in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "kind: ServiceAccount" in it)
    shown = {it["kind"]: it for it in yaml.safe_load_all(text)}
    made = charts.render("spark", {"namespaces": ["tickloom"]})
    for kind, field in (("Role", "rules"), ("RoleBinding", "subjects"), ("RoleBinding", "roleRef")):
        assert shown[kind][field] == named(made, kind, "tickloom-driver")[field]


def test_who_submits_may_make_the_network_policy(charts):
    manifests = charts.render("spark", {"submitters": [{"name": "controller", "namespace": "spark"}]})
    binding = named(manifests, "RoleBinding", "tickloom-spark-submit")
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "controller", "namespace": "spark"}]
    assert {resource for _, resource, _ in rules(named(manifests, "Role", "tickloom-spark-submit"))} == {
        "networkpolicies"
    }


def with_profile(charts, name, files=()):
    """Return what is made of a StreamJob below whose `spec.runtime` a profile is pasted, as the chart's README says."""
    manifests = charts.render("tickloom", {}, files)
    text = named(manifests, "ConfigMap", "tickloom-spark-profiles")["data"][f"{name}.yaml"]
    head = "metadata: {name: atw}\nspec:\n  tickers: [ATW]\n  market: XCAS\n  runtime:\n    executor: {}\n"
    document = yaml.safe_load(f"apiVersion: tickloom.dev/v1alpha1\nkind: StreamJob\n{head}{indent(text, ' ' * 4)}")
    runtime = StreamJob.model_validate(document).spec.runtime.model_dump(by_alias=True, exclude_unset=True)
    world = World(installed=frozenset({"SparkApplication"}))
    world.edit(replicas=2, **{f"runtime__{key}": value for key, value in runtime.items()})
    applied = [it.manifest for it in world.look() if isinstance(it, Apply | Start)]
    spec = named(applied, "SparkApplication", "atw-e1")["spec"]
    return spec["driver"]["template"]["spec"], spec["executor"]["template"]["spec"]


def test_the_profile_for_spot_nodes_moves_executors_alone(charts):
    driver, executor = with_profile(charts, "spot")
    assert "tolerations" not in driver
    assert "affinity" not in driver
    assert {"key": "spot", "operator": "Exists", "effect": "NoSchedule"} in executor["tolerations"]
    wanted = executor["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert {it["preference"]["matchExpressions"][0]["key"] for it in wanted} >= {"karpenter.sh/capacity-type"}


def test_the_profile_for_gpus_gives_the_driver_one(charts):
    driver, executor = with_profile(charts, "gpu", ("values-gpu.yaml",))
    (container,) = driver["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in str(executor["containers"])
    assert {it["key"] for it in driver["tolerations"]} == {"nvidia.com/gpu"}


def test_executors_push_nobody_out(charts):
    manifests = charts.render("spark", {"priorityClasses": {"create": True}})
    found = {it["metadata"]["name"]: it for it in of_kind(manifests, "PriorityClass")}
    assert found["demo-tickloom-spark-executor"]["preemptionPolicy"] == "Never"
    assert found["demo-tickloom-spark-driver"]["value"] > found["demo-tickloom-spark-executor"]["value"]


def test_mlflow_asks_who_one_is_and_keeps_its_password(charts):
    manifests = charts.render("mlflow")
    secret = named(manifests, "Secret", "tickloom-mlflow")
    assert secret["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert len(base64.b64decode(secret["data"]["password"])) == 32
    (container,) = pod_spec(named(manifests, "Deployment", "tickloom-mlflow"))["containers"]
    assert "--app-name basic-auth" in container["args"][0]
    assert environment(container)["ADMIN_PASSWORD"] == {"secretKeyRef": {"name": "tickloom-mlflow", "key": "password"}}
    # the Secret is looked up by the name under which it is made, and each value of it is put back
    text = (CHARTS / "mlflow" / "templates" / "kept.yaml").read_text()
    assert 'lookup "v1" "Secret" .Release.Namespace $name' in text
    for key in secret["data"]:
        assert f"$there.{key} | default" in text or f'get $there "{key}" | default' in text


def test_mlflow_in_production_has_no_volume_and_every_secret_from_outside(charts):
    values = {
        "auth": {"existingSecret": "admin"},
        "database": {"existingSecret": "db"},
        "artifacts": {"destination": "s3://b/m", "existingSecret": "s3"},
        "replicas": 2,
    }
    manifests = charts.render("mlflow", values)
    assert not of_kind(manifests, "Secret", "PersistentVolumeClaim")
    said = environment(pod_spec(named(manifests, "Deployment", "tickloom-mlflow"))["containers"][0])
    assert said["MLFLOW_BACKEND_STORE_URI"] == {"secretKeyRef": {"name": "db", "key": "uri"}}
    assert said["AUTH_DATABASE"] == {"secretKeyRef": {"name": "db", "key": "auth-uri"}}
    assert said["MLFLOW_ARTIFACTS_DESTINATION"] == "s3://b/m"
    assert said["AWS_SECRET_ACCESS_KEY"] == {"secretKeyRef": {"name": "s3", "key": "AWS_SECRET_ACCESS_KEY"}}
    assert "PGSSLROOTCERT" not in said


def test_mlflow_knows_its_database_by_an_authority_of_ones_own(charts):
    values = {"database": {"existingSecret": "db", "certificatesSecret": "authority"}}
    spec = pod_spec(named(charts.render("mlflow", values), "Deployment", "tickloom-mlflow"))
    (container,) = spec["containers"]
    (volume,) = (it for it in spec["volumes"] if it.get("secret", {}).get("secretName") == "authority")
    (mount,) = (it for it in container["volumeMounts"] if it["name"] == volume["name"])
    (item,) = volume["secret"]["items"]
    assert (item["key"], mount["readOnly"]) == ("ca.crt", True)
    assert environment(container)["PGSSLROOTCERT"] == f"{mount['mountPath']}/{item['path']}"


def test_platform_brings_each_operator_by_a_condition_at_a_version(charts):
    chart = yaml.safe_load((CHARTS / "platform" / "Chart.yaml").read_text())
    values = yaml.safe_load((CHARTS / "platform" / "values.yaml").read_text())
    schema = json.loads((CHARTS / "platform" / "values.schema.json").read_text())
    conditions = {it["condition"] for it in chart["dependencies"]}
    assert conditions == {f"enable.{name}" for name in values["enable"]}
    assert set(schema["properties"]["enable"]["properties"]) == set(values["enable"])
    table = (CHARTS / "README.md").read_text()
    for it in chart["dependencies"]:
        assert it["version"].count(".") == 2
        assert f"| {it['name']} | {it['version']} | {it['repository']} |" in table


def test_platform_renders_what_its_conditions_say(charts, tmp_path):
    """Stand-ins take the places of the operators' charts, which are fetched over the network."""
    here = tmp_path / "platform"
    shutil.copytree(CHARTS / "platform", here)
    chart = yaml.safe_load((here / "Chart.yaml").read_text())
    for it in chart["dependencies"]:
        folder = here / "charts" / it["name"] / "templates"
        folder.mkdir(parents=True)
        (folder.parent / "Chart.yaml").write_text(f"apiVersion: v2\nname: {it['name']}\nversion: {it['version']}\n")
        (folder / "it.yaml").write_text("kind: ConfigMap\napiVersion: v1\nmetadata: {name: {{ .Chart.Name }}}\n")

    def brought(*options):
        text = charts.helm("template", "platform", str(here), *options)
        return {it["metadata"]["name"] for it in yaml.safe_load_all(text) if it}

    everything = {it["name"] for it in chart["dependencies"]}
    assert brought() == everything - {"keda"}
    assert brought("--set", "enable.keda=true,enable.strimzi=false") == everything - {"strimzi-kafka-operator"}
    said = charts.helm("install", "platform", str(here), "--dry-run=client").split("NOTES:")[1]
    (page,) = re.findall(r"docs/\S+\.md", said)
    assert (ROOT / page).exists()
    assert "helm install tickloom" not in said  # which wants Secrets and values that only the page knows


def test_mlflow_reads_its_administrator_whatever_signs_the_password_has(charts, tmp_path):
    (container,) = pod_spec(named(charts.render("mlflow"), "Deployment", "tickloom-mlflow"))["containers"]
    (tmp_path / "mlflow").write_text('#!/bin/sh\necho "$@" "${ADMIN_PASSWORD:-gone}"\n')
    (tmp_path / "mlflow").chmod(0o755)
    given = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "MLFLOW_AUTH_CONFIG_PATH": str(tmp_path / "auth.ini"),
        "DEFAULT_PERMISSION": "READ",
        "ADMIN_USERNAME": "admin",
        "ADMIN_PASSWORD": "50% of $HOME\\'\"",
        "AUTH_DATABASE": "postgresql://u:p%40x@h/db",
        "CACHE_SECONDS": environment(container)["CACHE_SECONDS"],
    }
    done = subprocess.run(
        [*container["command"], *container["args"]], env=given, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[-1] == "gone"
    read = ConfigParser()
    read.read(tmp_path / "auth.ini")
    assert read["mlflow"]["admin_password"] == given["ADMIN_PASSWORD"]
    assert read["mlflow"]["database_uri"] == given["AUTH_DATABASE"]
    assert read["mlflow"]["auth_cache_ttl_seconds"] == "60"
    assert (tmp_path / "auth.ini").stat().st_mode & 0o077 == 0


def installation(given):
    """Return what the operator makes of its variables."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            if isinstance(value, str):
                patch.setenv(name, value)
        return OperatorSettings().installation()


@pytest.mark.parametrize("profile", list(PROFILES))
def test_what_is_said_after_an_installation_can_be_done(charts, profile):
    files = [part for name in PROFILES[profile] for part in ("-f", f"tickloom/{name}")]
    said = charts.helm("install", "tickloom", "tickloom", "-n", "demo", "--dry-run=client", *files).split("NOTES:")[1]
    (manifest,) = re.findall(r"<<YAML\n(.*?)\n *YAML\n", said, re.DOTALL)
    job = StreamJob.model_validate(yaml.safe_load(dedent(manifest)))
    manifests = charts.render("tickloom", {}, PROFILES[profile])
    (operator,) = (it for it in of_kind(manifests, "Deployment") if it["metadata"]["name"] == "tickloom-operator")
    given = environment(pod_spec(operator)["containers"][0])
    secrets = [
        name for access in accesses(job.spec.model_dump(by_alias=True), installation(given)) for name in access.names
    ]
    listed = re.search(r"mount these Secrets .*:\n\n  (.*)\n", said)
    assert (listed[1].split(", ") if listed else []) == secrets
    made = {"tickloom-cassandra-superuser", "tickloom-kafka-cluster-ca-cert"}  # by cass-operator, and by Strimzi
    made |= {it["metadata"]["name"] for it in of_kind(manifests, "KafkaUser")}
    assert set(secrets) <= made
    assert bool(secrets) == (profile in ("prod", "gpu"))
    for columns, table in re.findall(r"SELECT (.*) FROM tickloom\.(\w+)", said):
        (made,) = (text for it in MIGRATIONS for text in it.statements if f"TABLE IF NOT EXISTS {table} (" in text)
        assert all(re.search(rf"\b{column}\b", made) for column in columns.split(", "))
