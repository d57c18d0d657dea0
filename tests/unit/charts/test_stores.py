"""Kafka and Cassandra: settings, names, rights, and what is asked for in each mode."""

import importlib.util
import os
import re
import shutil
import subprocess
import time

import pytest
import yaml
from typer.testing import CliRunner

from tests.authority import encryption
from tests.unit.charts.rendering import CHARTS, OPERATED, RefusedError, environment, named, of_kind, pod_spec
from tests.unit.operator.api_server import ApiServer
from tickloom.bus.roles import ROLES
from tickloom.bus.topics import PARTITIONS
from tickloom.cli.main import group

STRIMZI = {"mode": "strimzi"}
WITH_TLS = {**OPERATED, "global": {"cassandra": {**OPERATED["global"]["cassandra"], "certificatesSecret": "client"}}}


def acls(user):
    """Return what a KafkaUser may do, as (kind, name, operation)."""
    return {
        (acl["resource"]["type"], acl["resource"]["name"], operation)
        for acl in user["spec"]["authorization"]["acls"]
        for operation in acl["operations"]
    }


def test_topics_are_those_that_the_application_would_make(charts):
    topics = of_kind(charts.render("kafka", STRIMZI), "KafkaTopic")
    assert {it["spec"]["topicName"] for it in topics} == set(ROLES)
    for it in topics:
        role = ROLES[it["spec"]["topicName"]]
        assert {name: str(value) for name, value in it["spec"]["config"].items()} == role.config(3)
        assert (it["spec"]["partitions"], it["spec"]["replicas"]) == (PARTITIONS, 3)
        assert it["metadata"]["labels"]["strimzi.io/cluster"] == "tickloom-kafka"
        assert it["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_kafka_stays_when_the_release_goes(charts):
    """A new one would have another id, which brokers refuse on the old volumes."""
    manifests = charts.render("kafka", STRIMZI)
    for it in of_kind(manifests, "Kafka") + of_kind(manifests, "KafkaNodePool"):
        assert it["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep", it["metadata"]["name"]


def test_a_topic_takes_another_name_and_rights_follow(charts):
    values = {
        **STRIMZI,
        "global": {"kafka": {"topicPrefix": "morocco-"}},
        "topics": {"names": {"prices": "morocco_Stock.prices"}},
    }
    manifests = charts.render("kafka", values)
    names = {it["spec"]["topicName"]: it["metadata"]["name"] for it in of_kind(manifests, "KafkaTopic")}
    assert names["morocco_Stock.prices"] == "morocco-stock.prices"
    assert set(names) == {"morocco_Stock.prices", *(f"morocco-{role}" for role in ROLES if role != "prices")}
    ingest, stream = (named(manifests, "KafkaUser", f"tickloom-kafka-{who}") for who in ("ingest", "stream"))
    assert ("topic", "morocco_Stock.prices", "Write") in acls(ingest)
    assert ("topic", "morocco_Stock.prices", "Read") in acls(stream)
    # a job says so in source.topic, and then nobody makes the usual one
    assert not {it for it in acls(stream) if it[1] == "morocco-prices" or it[2] == "Create"}


@pytest.fixture
def upgraded(charts):
    """Return what a chart renders with a size, where the cluster holds its StatefulSet with another one."""
    server = ApiServer()
    groups = []
    for api, kind in {
        "v1": "Service",
        "apps/v1": "StatefulSet",
        "batch/v1": "Job",
        "policy/v1": "PodDisruptionBudget",
        "networking.k8s.io/v1": "NetworkPolicy",
    }.items():
        plural = f"{re.sub('y$', 'ie', kind.lower())}s"
        resource = {"name": plural, "kind": kind, "namespaced": True, "verbs": ["get"]}
        listed = {"kind": "APIResourceList", "groupVersion": api, "resources": [resource]}
        server.objects[f"/apis/{api}" if "/" in api else f"/api/{api}"] = listed
        if "/" in api:
            version = {"groupVersion": api, "version": "v1"}
            groups.append({"name": api.removesuffix("/v1"), "versions": [version], "preferredVersion": version})
    server.objects |= {
        "/version": {"major": "1", "minor": "34", "gitVersion": "v1.34.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "groups": groups},
    }

    def run(chart, was, size):
        claim = {"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": was}}}}
        body = {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": f"tickloom-{chart}", "namespace": "demo"},
            "spec": {"volumeClaimTemplates": [claim]},
        }
        server.add("/apis/apps/v1", "statefulsets", body)
        options = ("-n", "demo", "--dry-run=server", "--is-upgrade", "--take-ownership")
        options += ("--disable-openapi-validation", "--kube-apiserver", server.address)
        text = charts.helm("template", "tickloom", chart, *options, "--set", f"dev.storage.size={size}")
        path = f"/apis/apps/v1/namespaces/demo/statefulsets/tickloom-{chart}"
        assert path in server.asked
        return next(it for it in yaml.safe_load_all(text) if it and it["kind"] == "StatefulSet")

    yield run
    server.close()


@pytest.mark.parametrize("chart", ["kafka", "cassandra"])
def test_a_larger_volume_of_a_release_that_is_there_is_refused_with_the_way_to_it(upgraded, chart):
    name = f"tickloom-{chart}"
    with pytest.raises(RefusedError) as refusal:
        upgraded(chart, "4Gi", "8Gi")
    said = str(refusal.value)
    assert f"{chart}: dev.storage.size is 8Gi, but the StatefulSet {name} was made with 4Gi" in said
    patch = """'{"spec": {"resources": {"requests": {"storage": "8Gi"}}}}'"""
    assert f"kubectl -n demo patch pvc data-{name}-0 -p {patch} && kubectl" in said
    assert f"kubectl -n demo delete statefulset {name} --cascade=orphan" in said


@pytest.mark.parametrize("size", ["2Gi", "4G", "900M"])
def test_a_smaller_one_is_refused_with_no_way(upgraded, size):
    with pytest.raises(RefusedError, match=f"is {size}, .* leave it at 4Gi: a volume never shrinks"):
        upgraded("kafka", "4Gi", size)


@pytest.mark.parametrize(
    ("was", "size"), [("4Gi", "4Gi"), ("4Gi", "4096Mi"), ("8Mi", "8192Ki"), ("5G", "5000M"), ("1E", "1000P")]
)
def test_a_size_that_is_the_same_in_other_words_is_taken(upgraded, was, size):
    (claim,) = upgraded("kafka", was, size)["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == size


def test_users_may_do_what_they_must_and_no_more(charts):
    manifests = charts.render("kafka", STRIMZI)
    seen = {"Describe", "DescribeConfigs"}
    ingest = acls(named(manifests, "KafkaUser", "tickloom-kafka-ingest"))
    assert ingest == {("topic", role, do) for role in ("prices", "news") for do in (*seen, "Write")}
    stream = acls(named(manifests, "KafkaUser", "tickloom-kafka-stream"))
    assert {(name, do) for _, name, do in stream if do not in seen} == {
        *((role, "Read") for role in ("prices", "news")),
        *((role, "Write") for role in ("bars", "anomalies", "sentiment", "dead-letters")),
        ("spark-kafka-source", "Read"),
    }
    assert {name for kind, name, do in stream if kind == "topic" and do == "Describe"} == set(ROLES)
    for user in of_kind(manifests, "KafkaUser"):
        assert user["spec"]["authentication"] == {"type": "scram-sha-512"}


def test_the_strimzi_cluster_survives_a_rack(charts):
    manifests = charts.render("kafka", STRIMZI)
    kafka = named(manifests, "Kafka", "tickloom-kafka")["spec"]["kafka"]
    assert kafka["rack"] == {"topologyKey": "topology.kubernetes.io/zone"}
    (listener,) = kafka["listeners"]
    assert (listener["tls"], listener["authentication"]) == (True, {"type": "scram-sha-512"})
    assert (kafka["config"]["default.replication.factor"], kafka["config"]["min.insync.replicas"]) == (3, 2)
    largest = max(role.max_message_bytes for role in ROLES.values())
    assert kafka["config"]["message.max.bytes"] >= largest
    pools = {tuple(it["spec"]["roles"]): it["spec"] for it in of_kind(manifests, "KafkaNodePool")}
    assert {roles: pool["replicas"] for roles, pool in pools.items()} == {("broker",): 3, ("controller",): 3}
    for pool in pools.values():
        rules = {
            it["topologyKey"]: it["whenUnsatisfiable"] for it in pool["template"]["pod"]["topologySpreadConstraints"]
        }
        assert rules["kubernetes.io/hostname"] == "DoNotSchedule"
        assert pool["storage"]["volumes"][0]["deleteClaim"] is False


@pytest.mark.parametrize(
    ("key", "rack", "spread"),
    [
        ("", None, {"kubernetes.io/hostname": "DoNotSchedule"}),
        (
            "kubernetes.io/hostname",
            {"topologyKey": "kubernetes.io/hostname"},
            {"kubernetes.io/hostname": "DoNotSchedule"},
        ),
        (
            "rack",
            {"topologyKey": "rack"},
            {"kubernetes.io/hostname": "DoNotSchedule", "rack": "ScheduleAnyway"},
        ),
    ],
)
def test_brokers_need_no_label_of_nodes_that_values_do_not_name(charts, key, rack, spread):
    manifests = charts.render("kafka", {**STRIMZI, "strimzi": {"rackTopologyKey": key}})
    assert named(manifests, "Kafka", "tickloom-kafka")["spec"]["kafka"].get("rack") == rack
    for pool in of_kind(manifests, "KafkaNodePool"):
        rules = pool["spec"]["template"]["pod"]["topologySpreadConstraints"]
        assert {it["topologyKey"]: it["whenUnsatisfiable"] for it in rules} == spread


def test_own_settings_of_the_brokers_go_first(charts):
    values = {**STRIMZI, "strimzi": {"config": {"message.max.bytes": 9000000, "log.cleaner.threads": 2}}}
    config = named(charts.render("kafka", values), "Kafka", "tickloom-kafka")["spec"]["kafka"]["config"]
    assert (config["message.max.bytes"], config["log.cleaner.threads"]) == (9000000, 2)
    assert config["min.insync.replicas"] == 2


def test_clients_find_the_broker_at_the_address_that_it_tells(charts):
    manifests = charts.render("kafka", release="demo", namespace="here")
    broker = named(manifests, "StatefulSet", "demo-kafka")
    (container,) = pod_spec(broker)["containers"]
    said = environment(container)
    assert said["KAFKA_ADVERTISED_LISTENERS"] == "PLAINTEXT://demo-kafka.here.svc:9092"
    assert int(said["KAFKA_MESSAGE_MAX_BYTES"]) >= max(role.max_message_bytes for role in ROLES.values())
    service = named(manifests, "Service", "demo-kafka")["spec"]
    assert service["selector"].items() <= broker["spec"]["template"]["metadata"]["labels"].items()
    assert service["ports"][0]["port"] == 9092
    (job,) = of_kind(manifests, "Job")
    assert environment(pod_spec(job)["containers"][0])["TICKLOOM_KAFKA"] == "demo-kafka.here.svc:9092"
    # Kafka calls anything that is no partition in its log's folder a fault, also a volume's lost+found
    assert said["KAFKA_LOG_DIRS"].startswith("/var/lib/kafka/data/")


@pytest.mark.parametrize("chart", ["kafka", "cassandra"])
def test_a_job_is_new_only_when_what_it_does_is_new(charts, chart):
    def name(values=None):
        (job,) = of_kind(charts.render(chart, values), "Job")
        return job["metadata"]["name"]

    assert name() == name({"dev": {"storage": {"size": "9Gi"}}})
    assert name() != name({"global": {"stream": {"image": {"tag": "0.2.0"}}}})
    assert len(name({"fullnameOverride": "x" * 60})) <= 63


@pytest.mark.parametrize(
    ("chart", "values"),
    [("kafka", {}), ("cassandra", {}), ("cassandra", {"migrate": {"datacenters": {"dc1": 3, "dc2": 2}}})],
)
def test_jobs_call_verbs_that_there_are(charts, chart, values):
    (job,) = of_kind(charts.render(chart, values), "Job")
    verb, *options = pod_spec(job)["containers"][0]["args"]
    page = CliRunner().invoke(group, [verb, "--help"], terminal_width=200)
    assert page.exit_code == 0
    for option in options:
        if option.startswith("--"):
            assert option.partition("=")[0] in page.output


def test_a_keyspace_is_made_in_the_data_centres_that_values_name(charts):
    (job,) = of_kind(charts.render("cassandra", {"migrate": {"datacenters": {"dc1": 3}}}), "Job")
    assert "--data-center=dc1=3" in pod_spec(job)["containers"][0]["args"]


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({}, []),
        (OPERATED, ["--data-center=dc1=1"]),
        (
            {**OPERATED, "migrate": {"datacenters": {"dc1": 3, "far": 2}}},
            ["--data-center=dc1=3", "--data-center=far=2"],
        ),
    ],
)
def test_a_keyspace_lies_in_the_data_centre_that_the_chart_makes(charts, values, wanted):
    (job,) = of_kind(charts.render("cassandra", values), "Job")
    assert [it for it in pod_spec(job)["containers"][0]["args"] if "data-center" in it] == wanted


def test_the_data_centre_has_three_racks_and_stays(charts):
    found = named(charts.render("cassandra", OPERATED), "CassandraDatacenter", "dc1")
    assert [rack["name"] for rack in found["spec"]["racks"]] == ["rack1", "rack2", "rack3"]
    assert found["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    # cass-operator's Service is CLUSTER-DATACENTRE-service, which the profile for production names
    prod = charts.render("tickloom", {}, ("values-prod.yaml",))
    ingest = next(it for it in of_kind(prod, "Deployment") if "ingest" in it["metadata"]["name"])
    contact = environment(pod_spec(ingest)["containers"][0])["TICKLOOM_CASSANDRA"]
    assert contact == f"{found['spec']['clusterName']}-dc1-service.demo.svc:9042"


def test_a_data_centre_asks_who_one_is_and_clients_say_what_cass_operator_made(charts):
    prod = charts.render("tickloom", {}, ("values-prod.yaml",))
    found = named(prod, "CassandraDatacenter", "dc1")["spec"]
    asked = found["config"]["cassandra-yaml"]
    assert (asked["authenticator"], asked["authorizer"]) == ("PasswordAuthenticator", "CassandraAuthorizer")
    assert "superuserSecretName" not in found
    (job,) = (it for it in of_kind(prod, "Job") if "migrate" in it["metadata"]["name"])
    spec = pod_spec(job)
    # cass-operator's own name for it is CLUSTER-superuser
    secret = {"name": "cassandra", "secret": {"secretName": f"{found['clusterName']}-superuser"}}
    assert secret in spec["volumes"]
    (container,) = spec["containers"]
    assert environment(container)["TICKLOOM_CASSANDRA_CREDENTIALS"] == "/etc/tickloom-cassandra"
    assert {"name": "cassandra", "mountPath": "/etc/tickloom-cassandra", "readOnly": True} in container["volumeMounts"]


def test_users_of_a_data_centre_are_those_that_values_name(charts):
    values = {
        **OPERATED,
        "cassOperator": {"superuserSecret": "root", "users": [{"secretName": "a", "superuser": False}]},
    }
    found = named(charts.render("cassandra", values), "CassandraDatacenter", "dc1")["spec"]
    assert (found["superuserSecretName"], found["users"]) == ("root", [{"secretName": "a", "superuser": False}])


@pytest.mark.parametrize("asks", [True, False])
def test_the_nodes_speak_tls_with_the_certificates_of_cert_manager(charts, asks):
    tls = {"issuer": {"name": "ours", "kind": "ClusterIssuer"}, "clientCertificates": asks}
    manifests = charts.render("cassandra", {**WITH_TLS, "cassOperator": {"clientTls": tls}})
    spec = named(manifests, "CassandraDatacenter", "dc1")["spec"]
    (volume,) = spec["storageConfig"]["additionalVolumes"]
    assert volume["volumeSource"] == {"secret": {"secretName": "tickloom-cassandra-server"}}
    wanted = encryption(volume["mountPath"]) | {"require_client_auth": asks}
    assert spec["config"]["cassandra-yaml"]["client_encryption_options"] == wanted
    server, client = (
        named(manifests, "Certificate", f"tickloom-cassandra-{who}")["spec"] for who in ("server", "client")
    )
    assert server["secretName"] == "tickloom-cassandra-server"
    prod = charts.render("tickloom", {}, ("values-prod.yaml",))
    ingest = next(it for it in of_kind(prod, "Deployment") if "ingest" in it["metadata"]["name"])
    contact = environment(pod_spec(ingest)["containers"][0])["TICKLOOM_CASSANDRA"]
    assert contact.partition(":")[0] in server["dnsNames"]
    assert server["additionalOutputFormats"] == [{"type": "CombinedPEM"}]
    assert server["privateKey"]["encoding"] == "PKCS8"
    assert ("server auth" in server["usages"], "client auth" in client["usages"]) == (True, True)
    assert "server auth" not in client["usages"]


def test_own_settings_of_the_nodes_go_first_and_a_secret_before_an_issuer(charts):
    own = {
        "config": {"client_encryption_options": {"optional": True}},
        "clientTls": {"secret": "{{ .Release.Name }}-mine", "issuer": {"name": "ours"}},
    }
    manifests = charts.render("cassandra", {**WITH_TLS, "cassOperator": own})
    spec = named(manifests, "CassandraDatacenter", "dc1")["spec"]
    options = spec["config"]["cassandra-yaml"]["client_encryption_options"]
    assert (options["optional"], options["enabled"]) == (True, True)
    assert spec["storageConfig"]["additionalVolumes"][0]["volumeSource"]["secret"]["secretName"] == "tickloom-mine"
    assert not of_kind(manifests, "Certificate")


SHIPPED = """\
cluster_name: x
authenticator:
  class_name: AllowAllAuthenticator
# of the next
authorizer: AllowAllAuthorizer
role_manager:
  class_name: CassandraRoleManager
"""


@pytest.mark.parametrize("auth", [True, False])
def test_a_node_for_development_asks_who_one_is_where_values_say_so(charts, tmp_path, auth):
    node = named(charts.render("cassandra", {"dev": {"auth": auth}}), "StatefulSet", "tickloom-cassandra")
    (prepare,) = pod_spec(node)["initContainers"]
    for name in ("etc", "config"):
        (tmp_path / name).mkdir()
    (tmp_path / "etc" / "cassandra.yaml").write_text(SHIPPED)
    *command, text = prepare["command"]
    here = text.replace("/etc/cassandra", str(tmp_path / "etc")).replace("/config", str(tmp_path / "config"))
    subprocess.run([*command, here], check=True)
    made = yaml.safe_load((tmp_path / "config" / "cassandra.yaml").read_text())
    wanted = yaml.safe_load(SHIPPED)
    if auth:
        wanted |= {"authenticator": "PasswordAuthenticator", "authorizer": "CassandraAuthorizer"}
    assert made == wanted


def test_a_backup_finds_the_nodes_of_either_mode(charts):
    for values in ({}, OPERATED):
        backup = {"enabled": True, "volume": {"accessMode": "ReadWriteMany"}}
        manifests = charts.render("cassandra", {**values, "backup": backup})
        (job,) = of_kind(manifests, "CronJob")
        said = environment(pod_spec(job)["containers"][0])["SELECTOR"]
        wanted = dict(pair.split("=") for pair in said.split(","))
        policy = named(manifests, "NetworkPolicy", "tickloom-cassandra")["spec"]["podSelector"]["matchLabels"]
        assert wanted == policy
        (claim,) = of_kind(manifests, "PersistentVolumeClaim")
        assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        assert claim["metadata"]["name"] in str(of_kind(manifests, "StatefulSet", "CassandraDatacenter"))


def block(heading, number=-1):
    """Return commands of a section of the chart's README."""
    page = (CHARTS / "cassandra" / "README.md").read_text()
    return re.findall(r"```sh\n(.*?)```", page.split(f"\n## {heading}\n")[1].split("\n## ")[0], re.DOTALL)[number]


STANDS_IN = """#!/bin/bash
echo "$(basename "$0") $*" >>"$CALLS"
case $* in *"get streamjobs"*) printf 'here one\\nthere two\\n';; esac
"""


@pytest.mark.parametrize("heading", ["Restore", "In production"])
def test_the_way_back_names_what_there_is(charts, tmp_path, heading):
    for name in ("kubectl", "helm"):
        (tmp_path / name).write_text(STANDS_IN)
        (tmp_path / name).chmod(0o755)
    given = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CALLS": str(tmp_path / "calls")}
    subprocess.run(["bash", "-euo", "pipefail", "-c", block(heading)], cwd=tmp_path, env=given, check=True)
    calls = (tmp_path / "calls").read_text().splitlines()
    (waited,) = (re.search(r"wait job/(\S+) ", it)[1] for it in calls if "wait job" in it)
    files = ("values-prod.yaml",) if heading == "In production" else ()
    values = {"cassandra": {"restore": {"tag": "20260102T030405Z"}}}
    manifests = charts.render("tickloom", values, files)
    assert waited in {it["metadata"]["name"] for it in of_kind(manifests, "Job")}
    (pod,) = (re.search(r"exec (\S+) -c cassandra", it)[1] for it in calls if "ls /backup" in it)
    if not files:
        assert pod == f"{named(manifests, 'StatefulSet', 'tickloom-cassandra')['metadata']['name']}-0"
        return
    (found,) = of_kind(manifests, "CassandraDatacenter")
    of = (found["spec"]["clusterName"], found["metadata"]["name"], found["spec"]["racks"][0]["name"])
    assert pod == f"{'-'.join(of)}-sts-0"
    patched = [re.search(r"-n (\w+) patch streamjob (\w+) .*\"state\": \"(\w+)\"", it) for it in calls]
    assert [it.groups() for it in patched if it] == [
        (*job, state) for state in ("suspended", "running") for job in (("here", "one"), ("there", "two"))
    ]
    upgrades = [it for it in calls if it.startswith("helm upgrade")]
    assert ["restore.tag=2026" in it for it in upgrades] == [True, False]


def test_each_tag_has_a_job_of_its_own(charts):
    def name(tag, **more):
        (job,) = (
            it["metadata"]["name"]
            for it in of_kind(charts.render("cassandra", {"restore": {"tag": tag}, **more}), "Job")
            if "restore" in it["metadata"]["name"]
        )
        return job

    assert name("20260102T030405Z") != name("20260102T030406Z")
    assert len(name("20260102T030405Z", fullnameOverride="x" * 60)) <= 63


def test_without_backup_nobody_may_run_anything_in_a_pod(charts):
    manifests = charts.render("cassandra")
    assert not of_kind(manifests, "Role", "ServiceAccount", "CronJob", "PersistentVolumeClaim")


def test_a_backup_goes_elsewhere_before_the_job_ends(charts):
    values = {"backup": {"enabled": True, "upload": {"image": "aws:2", "command": ["aws", "s3"], "secret": "keys"}}}
    (job,) = of_kind(charts.render("cassandra", values), "CronJob")
    spec = pod_spec(job)
    assert [it["name"] for it in spec["initContainers"]] == ["backup"]
    (upload,) = spec["containers"]
    assert (upload["command"], upload["envFrom"]) == (["aws", "s3"], [{"secretRef": {"name": "keys"}}])


@pytest.fixture
def backup(monkeypatch):
    """The script of the chart, as a module."""
    spec = importlib.util.spec_from_file_location("backup", CHARTS / "cassandra" / "files" / "backup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, value in {"KEYSPACE": "tickloom", "KEEP": "7"}.items():
        monkeypatch.setenv(name, value)
    return module


def test_a_backup_has_every_node_before_it_counts(backup):
    done = []

    def run(pod, command):
        done.append((pod, dict(it.split("=", 1) for it in command[1:-3]), command[-1]))
        return "1024\n"

    backup.main(["backup"], ["a", "b"], run)
    assert [pod for pod, _, _ in done] == ["a", "b", "a"]
    assert [text for _, _, text in done] == [backup.BACKUP, backup.BACKUP, backup.DONE]
    tags = {values["TAG"] for _, values, _ in done}
    assert len(tags) == 1
    assert backup.TAG.fullmatch(tags.pop())
    assert done[-1][1]["KEEP"] == "7"


def test_a_backup_that_fails_in_one_node_does_not_count_and_goes(backup):
    done = []

    def run(pod, command):
        if pod == "b":
            raise SystemExit("b: exit code 1")
        done.append((command[1], command[-1]))
        return "1024\n"

    with pytest.raises(SystemExit, match="b: exit code 1"):
        backup.main(["backup"], ["a", "b"], run)
    ((tag, first), (same, last)) = done
    assert (first, last) == (backup.BACKUP, backup.FORGET)
    assert tag == same


def test_no_node_loads_anything_while_one_has_no_archive(backup):
    done = []

    def run(pod, command):
        done.append((pod, command[-1]))
        if pod == "b":
            raise SystemExit("b: there is no backup")
        return ""

    with pytest.raises(SystemExit, match="there is no backup"):
        backup.main(["restore", "20260102T030405Z"], ["a", "b"], run)
    assert done == [("a", backup.CHECK), ("b", backup.CHECK)]


@pytest.mark.parametrize("arguments", [[], ["restore"], ["restore", "../etc"], ["delete", "20260102T030405Z"]])
def test_only_a_tag_is_restored(backup, arguments):
    with pytest.raises(SystemExit, match=re.escape("known: backup, restore 20260102T030405Z")):
        backup.main(arguments, ["a"], lambda *_: "")


def test_nothing_is_done_where_no_node_is_ready(backup):
    with pytest.raises(SystemExit, match="no pod of Cassandra is ready"):
        backup.main(["backup"], [], lambda *_: "")


NODETOOL = """#!/bin/bash
echo "$@" >>"$CALLS"
table=$DATA/tickloom/stock_prices-0a1b
case $1 in
  snapshot) mkdir -p "$table/snapshots/$3" && echo rows >"$table/snapshots/$3/oa-1-big-Data.db"
    for part in Index Filter; do head -c 65536 /dev/urandom >"$table/snapshots/$3/oa-1-big-$part.db"; done;;
  clearsnapshot) rm -rf "$table/snapshots/$3";;
  import) cat "$4"/*-Data.db;;
esac
"""


class Machine:
    """A node's folders and the volume of the backups, where the scripts run with a nodetool that only moves files."""

    def __init__(self, backup, folder):
        self.backup, self.folder = backup, folder
        self.volume, self.data, self.calls = folder / "backup", folder / "node" / "data", folder / "calls"
        for made in (self.volume, self.data / "tickloom" / "empty-2c3d", folder / "bin"):
            made.mkdir(parents=True)
        (folder / "bin" / "nodetool").write_text(NODETOOL)
        (folder / "bin" / "nodetool").chmod(0o755)

    def run(self, text, tag, *, size=None, **more):
        """Run a script; no file may become larger than ``size`` bytes."""
        here = text.replace("/backup", str(self.volume)).replace("/var/lib/cassandra", str(self.data.parent))
        values = {"DATA": str(self.data), "CALLS": str(self.calls), "TAG": tag, "KEYSPACE": "tickloom", **more}
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        command = self.backup.script(here, PATH=path, HOSTNAME="node-0", **values)
        limit = ["prlimit", f"--fsize={size}"] if size else []
        return subprocess.run([*limit, *command], check=True, capture_output=True, text=True).stdout.split()

    def folders(self):
        return sorted(it.name for it in self.volume.iterdir())


@pytest.fixture
def machine(backup, tmp_path):
    if shutil.which("bash") is None:
        pytest.skip("needs bash")
    return Machine(backup, tmp_path)


TAGS = [f"2026010{day}T030405Z" for day in range(1, 5)]


def test_what_a_node_packs_is_what_it_loads_again(backup, machine):
    for tag in TAGS:
        (size,) = machine.run(backup.BACKUP, tag)
        assert int(size) > 0
        machine.run(backup.DONE, tag, KEEP="2")
    assert machine.folders() == TAGS[2:]
    assert not list(machine.data.rglob("snapshots/*"))
    assert machine.run(backup.CHECK, TAGS[3]) == []
    assert machine.run(backup.RESTORE, TAGS[3]) == ["stock_prices", "rows"]
    assert machine.calls.read_text().splitlines()[-1].startswith("import tickloom stock_prices ")
    assert not (machine.data.parent / "restore").exists()


def test_a_tag_without_an_archive_is_told_with_those_that_have_one(backup, machine):
    machine.run(backup.BACKUP, TAGS[0])
    machine.run(backup.DONE, TAGS[0], KEEP="2")
    machine.run(backup.BACKUP, TAGS[1])  # and nothing more: it is a part
    with pytest.raises(subprocess.CalledProcessError) as refused:
        machine.run(backup.CHECK, TAGS[1])
    assert refused.value.stderr == f"there is no backup {TAGS[1]} of node-0; known: {TAGS[0]}\n"


def test_what_does_not_fit_fails_and_leaves_no_snapshot(backup, machine):
    if shutil.which("prlimit") is None:
        pytest.skip("needs prlimit")
    with pytest.raises(subprocess.CalledProcessError):
        machine.run(backup.BACKUP, TAGS[0], size=100_000)
    assert machine.folders() == [f"{TAGS[0]}.part"]
    assert not list(machine.data.rglob("snapshots/*"))
    machine.run(backup.FORGET, TAGS[0])
    assert machine.folders() == []


def test_a_part_goes_when_nobody_has_written_to_it_for_an_hour(backup, machine):
    for tag in TAGS[:2]:
        machine.run(backup.BACKUP, tag)
    old = time.time() - 3700
    for it in (machine.volume / f"{TAGS[0]}.part", *(machine.volume / f"{TAGS[0]}.part").iterdir()):
        os.utime(it, (old, old))
    machine.run(backup.BACKUP, TAGS[2])
    machine.run(backup.DONE, TAGS[2], KEEP="2")
    assert machine.folders() == [f"{TAGS[1]}.part", TAGS[2]]
