"""What holds for every workload: restricted, limited, probed, closed, and without secrets in the open."""

import re

import pytest

from tests.unit.charts.rendering import CASES, PROFILES, containers, environment, of_kind, pod_labels, pod_spec

WITH_TOKEN = {"operator", "uninstall", "backup", "watch"}
"""Those that talk to the API server."""
SECRET = re.compile("(PASSWORD|SECRET|TOKEN|_KEY)$")


@pytest.fixture(params=list(CASES))
def manifests(charts, request):
    return charts.render("tickloom", *CASES[request.param])


@pytest.fixture
def workloads(manifests):
    """Workloads with the pods that they make."""
    return [(it, spec) for it in manifests if (spec := pod_spec(it))]


def test_pods_keep_to_the_restricted_standard(workloads):
    for it, spec in workloads:
        name = it["metadata"]["name"]
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] > 0, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), name
        for container in containers(spec):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "runAsNonRoot": True,
                "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            }, f"{name} {container['name']}"
        for volume in spec.get("volumes", []):
            assert set(volume) <= {"name", "emptyDir", "configMap", "secret", "projected", "persistentVolumeClaim"}, (
                name
            )
            assert "sizeLimit" in volume.get("emptyDir", {"sizeLimit": ""}), name


def test_images_have_a_version_and_are_not_pulled_again(workloads):
    for it, spec in workloads:
        for container in containers(spec):
            where = f"{it['metadata']['name']} {container['name']}: {container['image']}"
            version = container["image"].rpartition("/")[2]
            assert "@sha256:" in version or (":" in version and not version.endswith(":latest")), where
            assert container["imagePullPolicy"] == "IfNotPresent", where


def test_containers_ask_for_what_they_need_and_have_limits(workloads):
    for it, spec in workloads:
        for container in containers(spec):
            for part in ("requests", "limits"):
                assert set(container["resources"][part]) >= {"cpu", "memory"}, f"{it['metadata']['name']} {part}"


def test_what_runs_on_is_probed(workloads):
    for it, spec in workloads:
        if pod_labels(it)["app.kubernetes.io/component"] == "judge":
            assert not any("ports" in container for container in spec["containers"])
        elif it["kind"] in ("Deployment", "StatefulSet"):
            for container in spec["containers"]:
                for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                    assert probe in container, f"{it['metadata']['name']} {probe}"


def test_a_token_is_mounted_only_where_it_is_needed(workloads):
    for it, spec in workloads:
        component = pod_labels(it)["app.kubernetes.io/component"].rstrip("-0123456789")
        assert spec["automountServiceAccountToken"] is (component in WITH_TOKEN), it["metadata"]["name"]
        assert spec["enableServiceLinks"] is False, it["metadata"]["name"]


def test_secrets_come_by_reference(manifests, workloads):
    for it, spec in workloads:
        for container in containers(spec):
            for name, value in environment(container).items():
                if SECRET.search(name):
                    assert "secretKeyRef" in value, f"{it['metadata']['name']} {name}"
    for it in of_kind(manifests, "ConfigMap"):
        assert "password" not in str(it["data"]).lower(), it["metadata"]["name"]


def test_every_pod_is_closed_by_a_policy_in_both_directions(charts):
    for name, (values, files) in CASES.items():
        if name == "open":
            assert not of_kind(charts.render("tickloom", values, files), "NetworkPolicy")
            continue
        manifests = charts.render("tickloom", values, files)
        policies = of_kind(manifests, "NetworkPolicy")
        for policy in policies:
            assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        for it in manifests:
            if pod_spec(it):
                labels = pod_labels(it).items()
                closing = [p for p in policies if p["spec"]["podSelector"]["matchLabels"].items() <= labels]
                assert len(closing) == 1, it["metadata"]["name"]


def test_a_flow_has_two_ends(charts):
    """What may be asked at a port is also let out to it by those who ask."""
    manifests = charts.render("tickloom", {}, PROFILES["dev"])
    by_name = {it["metadata"]["name"]: it["spec"] for it in of_kind(manifests, "NetworkPolicy")}

    def out(name):
        return {port["port"] for rule in by_name[name]["egress"] for port in rule.get("ports", [])}

    assert {9092} <= out("tickloom-ingest-demo")
    assert {9092} <= out("tickloom-kafka-topics")
    assert {9042} <= out("tickloom-cassandra-migrate")
    assert {9092, 9042, 6443} <= out("tickloom-spark-stream")
    assert {4040, 6443} <= out("tickloom-operator")
    assert out("tickloom-kafka") == {53, "kafka"}
    assert out("tickloom-cassandra") == {53}


@pytest.mark.parametrize(
    "peers", [[], [{"ipBlock": {"cidr": "169.254.20.10/32"}}, {"namespaceSelector": {"matchLabels": {"a": "dns"}}}]]
)
def test_every_policy_lets_out_to_where_a_cluster_has_its_names_and_its_api(charts, peers):
    there = {"dns": {"peers": peers, "ports": [5353]}, "apiServerPorts": [443, 16443]}
    manifests = charts.render("tickloom", {"global": there}, PROFILES["prod"])
    names = [{"protocol": it, "port": 5353} for it in ("UDP", "TCP")]
    asked = 0
    for policy in of_kind(manifests, "NetworkPolicy"):
        rules = policy["spec"]["egress"]
        ports = {port["port"] for rule in rules for port in rule.get("ports", [])}
        assert not {53, 6443} & ports, policy["metadata"]["name"]
        assert ({"to": peers} if peers else {}) | {"ports": names} in rules, policy["metadata"]["name"]
        asked += 16443 in ports
    assert asked >= 3  # operator, drivers, backups


def test_what_may_run_more_than_once_is_spread_and_has_a_budget(manifests, workloads):
    budgets = [it["spec"]["selector"]["matchLabels"] for it in of_kind(manifests, "PodDisruptionBudget")]
    for it, spec in workloads:
        many = it["spec"].get("replicas", 1) > 1
        if many:
            keys = {rule["topologyKey"] for rule in spec["topologySpreadConstraints"]}
            assert keys == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}, it["metadata"]["name"]
        if many or it["kind"] == "StatefulSet":
            assert any(chosen.items() <= pod_labels(it).items() for chosen in budgets), it["metadata"]["name"]


def test_objects_are_labelled(manifests):
    for it in manifests:
        labels = it["metadata"]["labels"]
        assert labels["app.kubernetes.io/part-of"] == "tickloom"
        assert labels["app.kubernetes.io/instance"] == "tickloom"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert labels["app.kubernetes.io/name"].startswith("tickloom-")


def test_roles_name_every_verb_and_resource(manifests):
    for it in of_kind(manifests, "Role", "ClusterRole"):
        for rule in it["rules"]:
            assert "*" not in str(rule), it["metadata"]["name"]
            assert not {"bind", "escalate", "impersonate"} & set(rule["verbs"])


def test_the_laptop_profile_asks_for_little(charts):
    """Once its Jobs are done, two StreamJobs of the default size have room on two processors and 8 GiB."""
    processors = memory = 0.0
    for it in charts.render("tickloom", {}, PROFILES["dev"]):
        spec = pod_spec(it)
        for container in spec["containers"] if spec and it["kind"] != "Job" else []:
            asked = container["resources"]["requests"]
            processors += _number(asked["cpu"])
            memory += _number(asked["memory"]) / 2**20
    driver_processors, driver_memory = 0.5, 2560  # of runtime.driver: 2 cores, 1g and 1536m
    assert processors + 2 * driver_processors <= 1.6
    assert memory + 2 * driver_memory <= 7.5 * 1024


def _number(quantity):
    units = {"m": 1e-3, "Mi": 2**20, "Gi": 2**30}
    for unit, size in units.items():
        if quantity.endswith(unit):
            return float(quantity.removesuffix(unit)) * size
    return float(quantity)
