"""The operator's chart says all settings, and grants what is needed where it watches."""

from pathlib import Path

import pytest
import yaml

from operators.streamjob.settings import OperatorSettings
from tests.unit.charts.rendering import ROOT, environment, named, of_kind, pod_labels, pod_spec
from tickloom.stream.job import Spec

MANIFESTS = ROOT / "manifests"
DIFFERENT = {"own_namespace", "kafka", "cassandra"}
"""Settings whose value follows from the release."""


def rules(*roles):
    """Return what Roles grant, as a set of (group, resource, verb)."""
    return {
        (group, resource, verb)
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def variables(charts, values=None):
    deployment = named(charts.render("operator", values), "Deployment", "tickloom-operator")
    return environment(pod_spec(deployment)["containers"][0])


def test_every_setting_can_be_reached_and_the_defaults_are_the_operators_own(charts, monkeypatch):
    found = variables(charts)
    assert set(found) == {f"TICKLOOM_OPERATOR_{name.upper()}" for name in OperatorSettings.model_fields}
    for name, value in found.items():
        if isinstance(value, str):
            monkeypatch.setenv(name, value)
    read = OperatorSettings()
    for name, info in OperatorSettings.model_fields.items():
        if name not in DIFFERENT:
            assert getattr(read, name) == info.default, name
    assert read.kafka == "tickloom-kafka.demo.svc:9092"
    assert read.cassandra == "tickloom-cassandra.demo.svc:9042"


def test_each_setting_is_passed_on(charts):
    values = {
        "global": {
            "imageRegistry": "reg",
            "imagePullSecrets": ["a", "b"],
            "replication": 3,
            "kafka": {
                "bootstrapServers": "{{ .Release.Name }}-x:1",
                "topicPrefix": "morocco-",
                "credentialsSecret": "kafka",
                "certificatesSecret": "{{ .Release.Name }}-brokers",
            },
            "cassandra": {
                "contactPoints": "c:2",
                "keyspace": "k",
                "credentialsSecret": "{{ .Release.Name }}-superuser",
                "certificatesSecret": "nodes",
            },
            "stream": {"image": {"repository": "stream", "tag": "9"}},
            "spark": {"serviceAccount": "s"},
            "market": {"instruments": "{{ .Release.Name }}-ours", "holidays": "days"},
        },
        "watch": {"namespaces": ["n", "m"]},
        "settings": {"identity": "me", "lease": "l", "leaseSeconds": 20, "workers": 3, "resyncSeconds": 60.5}
        | {"pollSeconds": 7, "pollSettlingSeconds": 0.5, "progressUrl": "http://p", "startsPerSecond": 2.5}
        | {"startsBurst": 4, "serviceAccount": "sa"},
        "port": 9000,
        "kubeflow": {
            "endpoint": "https://kfp.{{ .Release.Namespace }}.svc",
            "certificatesSecret": "authority",
            "namespace": "team",
            "experiment": "markets",
        },
        "mlflow": {"uri": "http://{{ .Release.Name }}-m:5000"},
    }
    found = {
        name.removeprefix("TICKLOOM_OPERATOR_").lower(): value
        for name, value in variables(charts, values).items()
        if name.startswith("TICKLOOM_OPERATOR_")
    }
    assert found == {
        "own_namespace": {"fieldRef": {"fieldPath": "metadata.namespace"}},
        "namespaces": "n,m",
        "identity": "me",
        "lease": "l",
        "lease_seconds": "20",
        "shards": "1",
        "shard": "0",
        "workers": "3",
        "resync_seconds": "60.5",
        "poll_seconds": "7",
        "poll_settling_seconds": "0.5",
        "progress_url": "http://p",
        "starts_per_second": "2.5",
        "starts_burst": "4",
        "health_port": "9000",
        "image": "reg/stream:9",
        "image_pull_secrets": "a,b",
        "service_account": "sa",
        "spark_service_account": "s",
        "kafka": "tickloom-x:1",
        "kafka_credentials": "kafka",
        "kafka_certificates": "tickloom-brokers",
        "cassandra_credentials": "tickloom-superuser",
        "cassandra_certificates": "nodes",
        "cassandra": "c:2",
        "keyspace": "k",
        "topic_prefix": "morocco-",
        "replication": "3",
        "instruments": "tickloom-ours",
        "holidays": "days",
        "kubeflow": "https://kfp.demo.svc",
        "kubeflow_identity": "/etc/tickloom-kubeflow/token",
        "kubeflow_authority": "/etc/tickloom-kubeflow/ca.crt",
        "kubeflow_namespace": "team",
        "kubeflow_experiment": "markets",
        "mlflow": "http://tickloom-m:5000",
    }


def test_kubeflow_is_shown_a_token_of_its_audience_and_what_may_be_done_there_is_submission_alone(charts):
    values = {"kubeflow": {"endpoint": "http://kfp:8888", "namespace": "team", "readNodes": True, "ports": [8888]}}
    manifests = charts.render("operator", values)
    pod = pod_spec(named(manifests, "Deployment", "tickloom-operator"))
    (volume,) = [it for it in pod["volumes"] if it["name"] == "kubeflow"]
    token = {"path": "token", "audience": "pipelines.kubeflow.org", "expirationSeconds": 7200}
    assert volume["projected"]["sources"] == [{"serviceAccountToken": token}]
    mounts = {it["name"]: it["mountPath"] for it in pod["containers"][0]["volumeMounts"]}
    assert mounts["kubeflow"] == "/etc/tickloom-kubeflow"
    runs = next(it for it in of_kind(manifests, "Role") if it["metadata"]["name"] == "tickloom-operator-runs")
    assert runs["metadata"]["namespace"] == "team"
    granted = rules(runs)
    assert ("pipelines.kubeflow.org", "runs", "create") in granted
    assert {verb for _, resource, verb in granted if resource != "runs"} == {"get", "list"}
    nodes = next(it for it in of_kind(manifests, "ClusterRole") if it["metadata"]["name"].endswith("-nodes"))
    assert rules(nodes) == {("", "nodes", "list")}
    (policy,) = of_kind(manifests, "NetworkPolicy")
    assert {"ports": [{"protocol": "TCP", "port": 8888}]} in policy["spec"]["egress"]


def test_without_kubeflow_the_operator_has_no_token_for_it_and_no_right_on_nodes(charts):
    manifests = charts.render("operator", {"kubeflow": {"readNodes": True, "namespace": "team"}})
    pod = pod_spec(named(manifests, "Deployment", "tickloom-operator"))
    assert "kubeflow" not in {it["name"] for it in pod["volumes"]}
    assert not [
        it for it in of_kind(manifests, "ClusterRole", "Role") if it["metadata"]["name"].endswith(("-nodes", "-runs"))
    ]
    assert variables(charts)["TICKLOOM_OPERATOR_MLFLOW"] == ""


def test_named_namespaces_each_get_a_role_and_nothing_reaches_further(charts):
    manifests = charts.render("operator", {"watch": {"namespaces": ["a", "b"]}})
    assert not of_kind(manifests, "ClusterRole", "ClusterRoleBinding")
    granted = {it["metadata"]["namespace"]: it for it in of_kind(manifests, "RoleBinding")}
    assert set(granted) == {"a", "b", "demo"}
    for it in granted.values():
        assert it["subjects"] == [{"kind": "ServiceAccount", "name": "tickloom-operator", "namespace": "demo"}]
    lease = named(manifests, "Role", "tickloom-operator-lease")
    assert rules(lease) == {("coordination.k8s.io", "leases", verb) for verb in ("get", "create", "update")}


@pytest.mark.parametrize("checkpoints", [False, True])
@pytest.mark.parametrize("namespaces", [[], ["a", "b"]])
def test_before_the_release_goes_streamjobs_are_deleted_where_it_watches_and_only_if_that_is_wanted(
    charts, namespaces, checkpoints
):
    values = {"watch": {"namespaces": namespaces}}
    without = charts.render("operator", values)
    assert not [it for it in without if "helm.sh/hook" in it["metadata"].get("annotations", {})]
    manifests = charts.render(
        "operator", {**values, "uninstall": {"deleteStreamJobs": True, "deleteCheckpoints": checkpoints}}
    )
    hooks = [it for it in manifests if it["metadata"].get("annotations", {}).get("helm.sh/hook") == "pre-delete"]
    assert len(manifests) == len(without) + len(hooks)
    (job,) = of_kind(hooks, "Job")
    weights = {it["metadata"]["annotations"]["helm.sh/hook-weight"] for it in hooks if it is not job}
    assert int(job["metadata"]["annotations"]["helm.sh/hook-weight"]) > max(map(int, weights))
    (container,) = pod_spec(job)["containers"]
    assert environment(container) == {"TICKLOOM_OPERATOR_NAMESPACES": ",".join(namespaces)}
    roles = of_kind(hooks, "Role", "ClusterRole")
    assert [it["metadata"].get("namespace") for it in roles] == (namespaces or [None])
    assert rules(*roles) == {
        ("tickloom.dev", "streamjobs", verb) for verb in ("list", "delete", *["patch"] * checkpoints)
    }
    assert container["command"][3:] == ["--checkpoints"] * checkpoints
    account = pod_spec(job)["serviceAccountName"]
    for it in of_kind(hooks, "RoleBinding", "ClusterRoleBinding"):
        assert it["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": "demo"}]


def test_shards_are_deployments_of_their_own(charts):
    manifests = charts.render("operator", {"shards": 3, "replicas": 2})
    deployments = of_kind(manifests, "Deployment")
    said = [environment(pod_spec(it)["containers"][0]) for it in deployments]
    assert [it["TICKLOOM_OPERATOR_SHARD"] for it in said] == ["0", "1", "2"]
    assert {it["TICKLOOM_OPERATOR_SHARDS"] for it in said} == {"3"}
    labels = [pod_labels(it) for it in deployments]
    assert len({tuple(sorted(it.items())) for it in labels}) == 3
    chosen = named(manifests, "Service", "tickloom-operator-metrics")["spec"]["selector"]
    assert all(chosen.items() <= it.items() for it in labels)


def test_two_releases_of_one_name_do_not_meet_in_what_has_no_namespace(charts):
    names = {
        of_kind(charts.render("operator", namespace=place), "ClusterRole")[0]["metadata"]["name"] for place in "ab"
    }
    assert len(names) == 2


def test_the_deployment_starts_alone_and_answers_where_it_says(charts):
    deployment = named(charts.render("operator", {"port": 9000}), "Deployment", "tickloom-operator")
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    (container,) = pod_spec(deployment)["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": 9000}]
    paths = {probe: container[probe]["httpGet"]["path"] for probe in ("readinessProbe", "livenessProbe")}
    assert paths == {"readinessProbe": "/readyz", "livenessProbe": "/healthz"}


@pytest.mark.parametrize("path", sorted((MANIFESTS / "crds").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_crd_is_the_generated_one_and_stays(charts, path: Path):
    copy = ROOT / "charts" / "crds" / "files" / path.name
    assert copy.read_text() == path.read_text(), f"cp {path.relative_to(ROOT)} {copy.relative_to(ROOT)}"
    (rendered,) = charts.render("crds")
    generated = yaml.safe_load(path.read_text())
    assert rendered["spec"] == generated["spec"]
    assert rendered["metadata"]["name"] == generated["metadata"]["name"]
    assert rendered["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_default_driver_is_what_the_laptop_profile_counts_with():
    driver = Spec(tickers=("AAPL",), market="XNYS").runtime.driver
    assert (driver.cores, driver.memory, driver.memory_overhead) == (2, "1g", "1536m")
