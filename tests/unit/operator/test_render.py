"""Manifests of what a job has of its own."""

import json
import re

import pytest
import yaml

from operators.streamjob import names
from operators.streamjob.actions import Apply, Start
from operators.streamjob.names import child
from operators.streamjob.planner.children import difference
from operators.streamjob.render_driver import mebibytes, merged
from operators.streamjob.seen import Child
from tests.unit.operator.world import World
from tickloom.bus.roles import ROLES
from tickloom.stream.job import parse

ALL = frozenset({"SparkApplication", "KafkaTopic"})


def made(**changes):
    world = World(installed=ALL)
    world.edit(**changes)
    actions = world.look()
    objects = [it.manifest for it in actions if isinstance(it, Apply | Start)]
    return {(it["kind"], it["metadata"]["name"]): it for it in objects}


def test_owned_objects_name_their_owner_and_shared_ones_do_not():
    objects = made(source__createTopics={"cluster": "kafka", "partitions": 6, "replicas": 3})
    for (kind, _), body in objects.items():
        shared = kind in ("PersistentVolumeClaim", "KafkaTopic")
        assert ("ownerReferences" in body["metadata"]) != shared, kind
        assert body["metadata"]["namespace"] == "default"
        if not shared:
            (owner,) = body["metadata"]["ownerReferences"]
            assert owner["uid"] == "uid-atw"
    topics = [body for (kind, _), body in objects.items() if kind == "KafkaTopic"]
    assert [it["spec"]["topicName"] for it in topics] == ["prices", "bars", "anomalies", "dead-letters"]
    assert all(it["metadata"]["labels"]["strimzi.io/cluster"] == "kafka" for it in topics)
    assert {it["spec"]["partitions"] for it in topics} == {6}


def test_topics_that_are_there_are_left_alone():
    world = World(installed=ALL)
    world.edit(source__createTopics={"cluster": "kafka"})
    world.children[("KafkaTopic", "prices")] = Child("KafkaTopic", "prices", "uid-prices", {"spec": {"partitions": 1}})
    names_made = {it.manifest["metadata"]["name"] for it in world.look() if isinstance(it, Apply)}
    assert "prices" not in names_made
    assert "bars" in names_made


def test_the_configuration_is_the_manifest_that_tickloom_runs():
    objects = made(processors__prices__threshold=3.5)
    config = yaml.safe_load(objects[("ConfigMap", "atw-e1-config")]["data"]["job.yaml"])
    job = parse(config)
    assert job.metadata.name == "atw"
    assert job.spec.processors.prices.threshold == 3.5
    assert job.spec.checkpoint.path == "/var/lib/tickloom/jobs/default/atw/checkpoint"


def test_a_driver_pod_is_confined_and_knows_its_epoch():
    pod = made()[("Pod", "atw-e1")]
    spec, (container,) = pod["spec"], pod["spec"]["containers"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["restartPolicy"] == "Never"
    assert not spec["automountServiceAccountToken"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    environment = {it["name"]: it["value"] for it in container["env"]}
    assert environment["TICKLOOM_EPOCH"] == "1"
    assert container["resources"]["limits"]["memory"] == "2560Mi"
    assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_the_pod_template_lies_below_what_the_operator_sets():
    template = {
        "metadata": {"labels": {"team": "quant", names.LABEL_JOB: "other"}, "annotations": {"a": "b"}},
        "spec": {
            "priorityClassName": "high",
            "restartPolicy": "Always",
            "containers": [
                {"name": "driver", "env": [{"name": "X", "value": "1"}], "image": "mine"},
                {"name": "sidecar", "image": "other"},
            ],
        },
    }
    pod = made(runtime__podTemplate=template)[("Pod", "atw-e1")]
    assert pod["metadata"]["labels"]["team"] == "quant"
    assert pod["metadata"]["labels"][names.LABEL_JOB] == "atw"
    assert pod["metadata"]["annotations"]["a"] == "b"
    assert pod["spec"]["priorityClassName"] == "high"
    assert pod["spec"]["restartPolicy"] == "Never"
    driver, sidecar = pod["spec"]["containers"]
    assert sidecar["name"] == "sidecar"
    assert driver["image"] == "stream:1"
    assert {"name": "X", "value": "1"} in driver["env"]
    assert any(it["name"] == "TICKLOOM_EPOCH" for it in driver["env"])


def test_placement_credentials_and_resources_reach_the_pod():
    world = World(secrets={"kafka": frozenset({"username", "password"})})
    world.edit(
        source__credentials="kafka",
        runtime={
            "nodeSelector": {"disk": "fast"},
            "tolerations": [{"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}],
            "driver": {"cores": 4, "memory": "3g", "memoryOverhead": "512m"},
            "serviceAccount": "quant",
        },
    )
    (start,) = [it for it in world.look() if isinstance(it, Start)]
    spec = start.manifest["spec"]
    assert spec["nodeSelector"] == {"disk": "fast"}
    assert spec["tolerations"] == [{"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}]
    assert spec["serviceAccountName"] == "quant"
    (container,) = spec["containers"]
    assert container["resources"]["limits"]["memory"] == "3584Mi"
    assert any(it.get("secret") == {"secretName": "kafka"} for it in spec["volumes"])
    assert any(it["name"] == "TICKLOOM_KAFKA_CREDENTIALS" for it in container["env"])


def mounted(spec, part):
    """Return the volume of a part, what the container's variable says, and where it is mounted."""
    volume = next((it for it in spec["volumes"] if it["name"] == part), None)
    (container,) = spec["containers"]
    says = {it["name"]: it["value"] for it in container["env"]}.get(f"TICKLOOM_{part.upper()}_CREDENTIALS")
    mount = next((it for it in container["volumeMounts"] if it["name"] == part), None)
    return volume, says, mount


LOGIN, AUTHORITY = frozenset({"username", "password"}), frozenset({"ca.crt"})
OWN = {"kafka_secrets": ("k", "kt"), "cassandra_secrets": ("c", "ct")}
KEYS = {"k": LOGIN, "kt": AUTHORITY, "c": LOGIN, "ct": AUTHORITY, "mine": LOGIN}


def starts(world, **changes):
    """Return the pods that a manifest makes: a driver's, or driver's and executor's of a SparkApplication."""
    world.installed = ALL
    world.edit(**changes)
    (start,) = [it for it in world.look() if isinstance(it, Start)]
    if start.manifest["kind"] == "Pod":
        return [start.manifest["spec"]]
    return [start.manifest["spec"][role]["template"]["spec"] for role in ("driver", "executor")]


@pytest.mark.parametrize("replicas", [1, 2])
def test_two_secrets_of_a_server_are_one_folder_in_every_pod(replicas):
    for spec in starts(World(secrets=KEYS, **OWN), replicas=replicas):
        volume, says, mount = mounted(spec, "cassandra")
        authority = {"name": "ct", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
        certificate = {
            "name": "ct",
            "items": [{"key": name, "path": name} for name in ("tls.crt", "tls.key")],
            "optional": True,
        }
        assert [it["secret"] for it in volume["projected"]["sources"]] == [{"name": "c"}, authority, certificate]
        assert mount == {"name": "cassandra", "mountPath": says, "readOnly": True}
        volume, says, mount = mounted(spec, "kafka")
        assert [it["secret"]["name"] for it in volume["projected"]["sources"]] == ["k", "kt"]
        assert mount == {"name": "kafka", "mountPath": says, "readOnly": True}


def test_a_manifests_secret_goes_before_the_operators_and_its_own_server_gets_neither():
    (spec,) = starts(World(secrets=KEYS, **OWN), sinks__cassandra__credentials="mine")
    sources = mounted(spec, "cassandra")[0]["projected"]["sources"]
    assert [it["secret"]["name"] for it in sources] == ["mine", "ct", "ct"]
    elsewhere = {"sinks__cassandra__contactPoints": "elsewhere:9042", "source__bootstrapServers": "elsewhere:9092"}
    (spec,) = starts(World(secrets=KEYS, **OWN), **elsewhere)
    assert mounted(spec, "cassandra") == mounted(spec, "kafka") == (None, None, None)
    (spec,) = starts(World(secrets=KEYS, **OWN), **elsewhere, sinks__cassandra__credentials="mine")
    volume, says, _ = mounted(spec, "cassandra")
    assert (volume, says) == ({"name": "cassandra", "secret": {"secretName": "mine"}}, "/etc/tickloom-cassandra")


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize(
    "named",
    [{}, {"instruments": "ours"}, {"holidays": "ours"}, {"instruments": "ours", "holidays": "days"}],
    ids=lambda named: ",".join(named) or "none",
)
def test_further_instruments_and_holidays_reach_every_pod_by_the_variables_of_those_that_are_named(named, replicas):
    for spec in starts(World(**named), replicas=replicas):
        (container,) = spec["containers"]
        says = {it["name"]: it["value"] for it in container["env"]}
        wanted = {f"TICKLOOM_{name.upper()}": f"/etc/tickloom-market/{name}.csv" for name in named}
        assert {
            name: says.get(name) for name in ("TICKLOOM_INSTRUMENTS", "TICKLOOM_HOLIDAYS") if name in says
        } == wanted
        volume, _, mount = mounted(spec, "market")
        if not named:
            assert volume is mount is None
            continue
        assert mount == {"name": "market", "mountPath": "/etc/tickloom-market", "readOnly": True}
        assert [it["configMap"] for it in volume["projected"]["sources"]] == [
            {"name": config, "items": [{"key": f"{name}.csv", "path": f"{name}.csv"}], "optional": True}
            for name, config in named.items()
        ]


@pytest.mark.parametrize("replicas", [1, 3])
def test_topics_have_the_settings_that_the_application_would_give_them(replicas):
    objects = made(source__createTopics={"cluster": "kafka", "replicas": replicas})
    topics = {
        body["spec"]["topicName"]: body["spec"]["config"] for (kind, _), body in objects.items() if kind == "KafkaTopic"
    }
    assert topics == {role: ROLES[role].config(replicas) for role in ("prices", "bars", "anomalies", "dead-letters")}
    assert {config["min.insync.replicas"] for config in topics.values()} == {"2" if replicas == 3 else "1"}


def test_a_spark_application_keeps_its_schema():
    """The rules of sparkoperator.k8s.io/v1beta2 for what is set here."""
    body = made(replicas=3, runtime={"executor": {"cores": 1, "memory": "2g"}})[("SparkApplication", "atw-e1")]
    spec = body["spec"]
    assert body["apiVersion"] == "sparkoperator.k8s.io/v1beta2"
    assert spec["type"] in ("Java", "Python", "Scala", "R")
    assert spec["mode"] in ("cluster", "client")
    assert spec["pythonVersion"] in ("2", "3")
    assert {"driver", "executor", "sparkVersion", "type", "mainApplicationFile"} <= set(spec)
    assert spec["restartPolicy"]["type"] in ("Never", "Always", "OnFailure")
    assert "timeToLiveSeconds" not in spec, "spark-operator would remove it before it is read how it ended"
    assert spec["executor"]["instances"] == 3
    for role in ("driver", "executor"):
        part = spec[role]
        assert isinstance(part["cores"], int)
        assert part["cores"] >= 1
        assert re.fullmatch(r"[0-9]+[kmgtp]b?", part["memory"])
        assert part["labels"][names.LABEL_ROLE] == role
        assert part["labels"][names.LABEL_EPOCH] == "1"
        assert re.fullmatch(r"[0-9]+m", part["coreRequest"])
        assert not {"env", "volumeMounts", "podSecurityContext", "ports"} & set(part), "these take a webhook"
        assert part["template"]["metadata"]["annotations"] == {names.HASH: body["metadata"]["annotations"][names.HASH]}
        inner, (container,) = part["template"]["spec"], part["template"]["spec"]["containers"]
        assert container["name"] == f"spark-kubernetes-{role}"
        assert {mount["name"] for mount in container["volumeMounts"]} <= {it["name"] for it in inner["volumes"]}
        assert {"name": "TICKLOOM_EPOCH", "value": "1"} in container["env"]
        assert inner["securityContext"]["runAsNonRoot"]
        assert ("readinessProbe" in container) == (role == "driver")
    assert spec["driver"]["serviceAccount"] == "tickloom-driver"
    assert "serviceAccount" not in spec["executor"]
    assert spec["driver"]["template"]["spec"]["terminationGracePeriodSeconds"] > 30
    assert spec["executor"]["template"]["spec"]["automountServiceAccountToken"] is False


def test_the_pod_template_reaches_driver_and_executors_of_a_spark_application():
    containers = [
        {"name": "driver", "env": [{"name": "D", "value": "1"}]},
        {"name": "executor", "env": [{"name": "E", "value": "1"}]},
        {"name": "sidecar", "image": "other"},
    ]
    template = {"metadata": {"labels": {"team": "quant"}}, "spec": {"schedulerName": "own", "containers": containers}}
    spec = made(replicas=2, runtime__podTemplate=template)[("SparkApplication", "atw-e1")]["spec"]
    for role, variable in (("driver", "D"), ("executor", "E")):
        body = spec[role]["template"]
        assert body["metadata"]["labels"]["team"] == "quant"
        assert body["spec"]["schedulerName"] == "own"
        main, sidecar = body["spec"]["containers"]
        assert (main["name"], sidecar["name"]) == (f"spark-kubernetes-{role}", "sidecar")
        own = {it["name"] for it in main["env"]}
        assert own & {"D", "E"} == {variable}
        assert "TICKLOOM_EPOCH" in own


def test_the_executors_own_template_lies_over_the_one_for_all_and_leaves_the_driver_alone():
    everywhere = {"spec": {"nodeSelector": {"zone": "a"}, "tolerations": [{"key": "dedicated", "operator": "Exists"}]}}
    spot = {"spec": {"nodeSelector": {"capacity": "spot"}, "tolerations": [{"key": "spot", "operator": "Exists"}]}}
    spec = made(replicas=2, runtime__podTemplate=everywhere, runtime__executorPodTemplate=spot)[
        ("SparkApplication", "atw-e1")
    ]["spec"]
    driver, executor = (spec[role]["template"]["spec"] for role in ("driver", "executor"))
    assert driver["nodeSelector"] == {"zone": "a"}
    assert driver["tolerations"] == [{"key": "dedicated", "operator": "Exists"}]
    assert executor["nodeSelector"] == {"zone": "a", "capacity": "spot"}
    assert executor["tolerations"] == [{"key": "spot", "operator": "Exists"}]
    assert executor["securityContext"]["runAsNonRoot"]


def test_names_of_63_characters_stay_labels_and_differ():
    long, other = "a" * 63, "a" * 62 + "b"
    for suffix in ("e1", "e12345-config", "progress", "checkpoint"):
        one, two = child(long, suffix), child(other, suffix)
        assert len(one) <= 63
        assert one != two
        assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", one)


@pytest.mark.parametrize(("text", "amount"), [("512m", 512), ("2g", 2048)])
def test_memory_is_read_as_java_writes_it(text, amount):
    assert mebibytes(text) == amount


def test_merging_changes_neither_side():
    base, over = {"a": {"b": [1]}, "c": [{"name": "x", "v": 1}]}, {"a": {"d": 2}, "c": [{"name": "y"}]}
    before = json.dumps([base, over])
    assert merged(base, over) == {"a": {"b": [1], "d": 2}, "c": [{"name": "x", "v": 1}, {"name": "y"}]}
    assert json.dumps([base, over]) == before


@pytest.mark.parametrize(
    ("wanted", "found", "where"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, None),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, "a.b"),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": 3}]}, None),
        ({"a": [1]}, {"a": [1, 2]}, "a"),
        ({"a": {}}, {}, None),
        ({"a": {"b": 1}}, {"a": "x"}, "a"),
    ],
)
def test_drift_is_what_was_set_and_is_otherwise(wanted, found, where):
    assert difference(wanted, found) == where
