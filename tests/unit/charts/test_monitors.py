"""Monitors find the pods that there are, policies let their readers in, and the chart brings the files as they are."""

import json

import jsonschema
import pytest

pytest.importorskip("kubernetes", reason="needs the package kubernetes: install tickloom[operator]")
pytest.importorskip("promql_parser", reason="needs the package promql-parser: install tickloom[dev]")

import yaml

from operators.streamjob import names
from tests.unit.charts.monitoring_files import alerts, dashboards, monitors, rules
from tests.unit.charts.rendering import PROFILES, ROOT, SOURCES, RefusedError, named, of_kind, pod_labels, pod_spec
from tests.unit.charts.test_render import schema
from tests.unit.operator.test_render import made

GROUP = "monitoring.coreos.com/v1"
KINDS = ("ServiceMonitor", "PodMonitor", "PrometheusRule")


def ports(pod):
    """Return the ports of a pod by name."""
    return {it["name"]: it["containerPort"] for container in pod["containers"] for it in container.get("ports", [])}


def port(monitor):
    (endpoint,) = monitor["spec"].get("endpoints") or monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["path"] == "/metrics"
    return endpoint["port"]


def selects(monitor, labels):
    return monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()


@pytest.fixture
def prod(charts):
    return charts.render("tickloom", {}, PROFILES["prod"])


@pytest.mark.parametrize("document", [*monitors().values(), *rules().values()], ids=lambda it: it["metadata"]["name"])
def test_the_plain_files_are_as_their_schemas_say_and_go_into_any_namespace(document):
    jsonschema.Draft7Validator(schema(document["apiVersion"], document["kind"])).validate(document)
    assert "namespace" not in document["metadata"]


@pytest.mark.parametrize("runtime", ["driverPod", "sparkOperator"])
def test_drivers_of_either_runtime_are_read_and_executors_are_not(runtime):
    changes = {"runtime": {"type": runtime}} | ({"replicas": 2} if runtime == "sparkOperator" else {})
    objects = made(**changes)
    monitor = monitors()["drivers"]
    if runtime == "driverPod":
        pod = objects["Pod", "atw-e1"]
        labels, spec = pod["metadata"]["labels"], pod["spec"]
    else:
        application = objects["SparkApplication", "atw-e1"]["spec"]
        labels, spec = application["driver"]["labels"], application["driver"]["template"]["spec"]
        assert not selects(monitor, application["executor"]["labels"])
    assert selects(monitor, labels)
    assert ports(spec)[port(monitor)] == names.PROGRESS_PORT
    # the label of the target comes from the pod's
    assert labels[names.LABEL_JOB] == "atw"
    (rule,) = (
        it for it in monitor["spec"]["podMetricsEndpoints"][0]["relabelings"] if it["targetLabel"] == "streamjob"
    )
    meta = "".join(it if it.isalnum() else "_" for it in names.LABEL_JOB)
    assert rule["sourceLabels"] == [f"__meta_kubernetes_pod_label_{meta}"]


def test_no_monitor_belongs_to_a_single_job():
    assert not [name for kind, name in made() if kind == "PodMonitor"]


@pytest.mark.parametrize("how", ["plain", "chart"])
@pytest.mark.parametrize("part", ["operator", "ingest"])
def test_operator_and_sources_are_read(charts, part, how):
    manifests = charts.render("tickloom", {"monitoring": {"enabled": True}, "ingest": {"sources": SOURCES}})
    kind = monitors()[part]["kind"]
    monitor = monitors()[part] if how == "plain" else named(manifests, kind, f"tickloom-monitoring-{part}")
    pods = [it for it in manifests if pod_spec(it) and pod_labels(it)["app.kubernetes.io/name"] == f"tickloom-{part}"]
    assert pods
    for it in pods:
        if kind == "PodMonitor":
            assert selects(monitor, pod_labels(it))
        assert ports(pod_spec(it))[port(monitor)] == 8080
    others = [it for it in manifests if pod_spec(it) and it not in pods]
    assert not [it for it in others if selects(monitor, pod_labels(it))]
    if kind == "ServiceMonitor":
        (service,) = (it for it in of_kind(manifests, "Service") if selects(monitor, it["metadata"]["labels"]))
        assert [it["targetPort"] for it in service["spec"]["ports"] if it["name"] == port(monitor)] == ["http"]
        assert all(service["spec"]["selector"].items() <= pod_labels(it).items() for it in pods)


@pytest.mark.parametrize("name", ["operator-namespaced", "operator"])
def test_an_operator_without_helm_is_read_too(name):
    documents = list(yaml.safe_load_all((ROOT / "manifests" / "base" / name / "operator.yaml").read_text()))
    (service,), (deployment,) = of_kind(documents, "Service"), of_kind(documents, "Deployment")
    monitor = monitors()["operator"]
    assert selects(monitor, service["metadata"]["labels"])
    assert port(monitor) in [it["name"] for it in service["spec"]["ports"]]
    assert service["metadata"]["namespace"] == deployment["metadata"]["namespace"]
    assert service["spec"]["selector"].items() <= pod_labels(deployment).items()
    assert ports(pod_spec(deployment))[service["spec"]["ports"][0]["targetPort"]] == 8080


def test_policies_let_the_readers_of_metrics_in_and_nobody_else_by_the_way(prod):
    (reader,) = yaml.safe_load((ROOT / "charts" / "tickloom" / "values-prod.yaml").read_text())["global"]["metricsFrom"]
    policies = {it["metadata"]["name"]: it["spec"] for it in of_kind(prod, "NetworkPolicy")}
    for name, wanted in (
        ("tickloom-operator", {"http"}),
        ("tickloom-ingest-us-minutes", {"http"}),
        ("tickloom-spark-stream", {names.PROGRESS_PORT}),
    ):
        let_in = [it for it in policies[name]["ingress"] if reader in it["from"]]
        assert {port["port"] for it in let_in for port in it["ports"]} == wanted, name
    assert (
        policies["tickloom-spark-stream"]["podSelector"]["matchLabels"].items()
        <= {**monitors()["drivers"]["spec"]["selector"]["matchLabels"]}.items()
    )


def test_monitoring_is_a_choice_and_production_makes_it(charts, prod):
    for profile in ("default", "dev"):
        assert not of_kind(charts.render("tickloom", {}, PROFILES[profile]), *KINDS), profile
    assert {it["kind"] for it in of_kind(prod, *KINDS)} == set(KINDS)
    # kube-prometheus-stack, which that profile counts on, selects all of them
    stack = yaml.safe_load((ROOT / "charts" / "platform" / "values.yaml").read_text())["kube-prometheus-stack"]
    assert set(stack["prometheus"]["prometheusSpec"].values()) == {False}


def test_the_chart_reads_its_own_release_and_all_jobs_or_those_named(charts):
    for values, expected in (({}, {"any": True}), ({"jobNamespaces": ["a", "b"]}, {"matchNames": ["a", "b"]})):
        manifests = charts.render("monitoring", {"monitors": {**values, "interval": "15s", "labels": {"release": "p"}}})
        found = {it["metadata"]["name"].rpartition("-")[2]: it for it in of_kind(manifests, *KINDS[:2])}
        assert found["drivers"]["spec"]["namespaceSelector"] == expected
        for part in ("operator", "ingest"):
            assert found[part]["spec"]["namespaceSelector"] == {"matchNames": ["demo"]}
            assert found[part]["spec"]["selector"]["matchLabels"]["app.kubernetes.io/instance"] == "tickloom"
        for it in found.values():
            assert it["metadata"]["labels"]["release"] == "p"
            (endpoint,) = it["spec"].get("endpoints") or it["spec"]["podMetricsEndpoints"]
            assert endpoint["interval"] == "15s"


def test_the_charts_rules_are_those_of_the_files(charts):
    def rendered(values):
        manifests = of_kind(charts.render("monitoring", {"rules": values}), "PrometheusRule")
        return {
            it["alert"]: it for document in manifests for group in document["spec"]["groups"] for it in group["rules"]
        }

    assert rendered({}) == alerts()
    assert set(alerts()) - set(rendered({"without": ["TickloomStreamJobNoRows"]})) == {"TickloomStreamJobNoRows"}
    somewhere = rendered({"runbooks": "https://git.example.com/tickloom/"})["TickloomOperatorDown"]["annotations"]
    assert somewhere["runbook_url"] == "https://git.example.com/tickloom/docs/monitoring.md#tickloomoperatordown"
    left = [name for name in alerts() if name.startswith("TickloomCassandra")]
    assert len(of_kind(charts.render("monitoring", {"rules": {"without": left}}), "PrometheusRule")) == len(rules()) - 1
    with pytest.raises(RefusedError, match=r"rules.without: there is no alert TickloomNever"):
        rendered({"without": ["TickloomNever"]})
    with pytest.raises(RefusedError, match="/rules/runbooks"):
        rendered({"runbooks": "https://git.example.com/tickloom"})


def test_grafanas_sidecar_finds_the_dashboards(charts):
    maps = of_kind(charts.render("monitoring"), "ConfigMap")
    assert len(maps) == len(dashboards())
    for it in maps:
        assert it["metadata"]["labels"]["grafana_dashboard"] == "1"
        ((file, text),) = it["data"].items()
        name = file.removeprefix("tickloom-").removesuffix(".json")
        assert json.loads(text) == dashboards()[name]
    changed = of_kind(
        charts.render("monitoring", {"dashboards": {"labels": {"grafana_dashboard": None, "mine": "x"}}}), "ConfigMap"
    )
    assert {it["metadata"]["labels"]["mine"] for it in changed} == {"x"}
    assert not any("grafana_dashboard" in it["metadata"]["labels"] for it in changed)
    kustomization = yaml.safe_load((ROOT / "manifests" / "monitoring" / "kustomization.yaml").read_text())
    assert kustomization["generatorOptions"]["labels"]["grafana_dashboard"] == "1"


def test_each_part_can_be_left_out(charts):
    for part, kinds in (("monitors", KINDS[:2]), ("rules", KINDS[2:]), ("dashboards", ("ConfigMap",))):
        assert not of_kind(charts.render("monitoring", {part: {"enabled": False}}), *kinds)
