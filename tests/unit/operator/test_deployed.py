"""`tickloom plan` goes by the settings of the operator in the cluster that it asks."""

import json
import os
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

pytest.importorskip("kubernetes", reason="needs the package kubernetes: install tickloom[operator]")

from operators.streamjob.cluster import Cluster
from operators.streamjob.deployed import LABEL, settings_for
from operators.streamjob.planner.target import asked, dumped
from operators.streamjob.seen import Installation, Seen
from operators.streamjob.status import Status, dump
from tests.unit.operator.api_server import ApiServer
from tickloom.cli.plan import app
from tickloom.errors import TickloomError

ROOT = Path(__file__).parents[3]
SPEC = {"tickers": ["ATW"], "market": "XCAS"}
THERE = {
    "NAMESPACES": "",
    "IMAGE": "registry.example.com/tickloom/stream:0.1.0",
    "KAFKA": "demo-kafka.tickloom.svc:9092",
    "KAFKA_CREDENTIALS": "kafka-user",
    "KAFKA_CERTIFICATES": "kafka-ca",
    "CASSANDRA": "demo-cassandra.tickloom.svc:9042",
    "CASSANDRA_CREDENTIALS": "cassandra-superuser",
    "CASSANDRA_CERTIFICATES": "",
    "A_LATER_RELEASES": "1",
}
"""As the chart `operator` sets them, where it knows all Secrets."""


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Yield an API server with the Secrets that the operator's settings name; a kubeconfig leads there."""
    for name in [name for name in os.environ if name.startswith("TICKLOOM_OPERATOR_")]:
        monkeypatch.delenv(name)
    made = ApiServer()
    path = made.kubeconfig(tmp_path / "kubeconfig")
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(path))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    for name in ("kafka-user", "kafka-ca", "cassandra-superuser"):
        keys = dict.fromkeys(("username", "password", "ca.crt"), "eA==")
        made.add("/api/v1", "secrets", {"metadata": {"namespace": "markets", "name": name}, "data": keys})
    yield made
    made.close()


def deployment(name="tickloom-operator", namespace="tickloom", more=(), **values):
    """Return a Deployment of an operator; ``more`` are variables with another origin than a value."""
    env = [{"name": f"TICKLOOM_OPERATOR_{key}", "value": value} for key, value in {**THERE, **values}.items()]
    own = {
        "name": "TICKLOOM_OPERATOR_OWN_NAMESPACE",
        "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}},
    }
    container = {"name": "operator", "env": [own, *env, *more]}
    meta = {"namespace": namespace, "name": name, "labels": {"app.kubernetes.io/name": "tickloom-operator"}}
    return {"metadata": meta, "spec": {"template": {"spec": {"containers": [container]}}}}


def deploy(server, *bodies):
    for body in bodies:
        server.add("/apis/apps/v1", "deployments", body)


def running(server):
    """Put in a job that the operator of `THERE` runs with SPEC."""
    there = Installation(
        THERE["IMAGE"],
        kafka=THERE["KAFKA"],
        cassandra=THERE["CASSANDRA"],
        kafka_secrets=("kafka-user", "kafka-ca"),
        cassandra_secrets=("cassandra-superuser", None),
    )
    keys = frozenset({"username", "password", "ca.crt"})
    secrets = dict.fromkeys(("kafka-user", "kafka-ca", "cassandra-superuser"), keys)
    target, problems = asked(Seen(0.0, "atw", "markets", "uid", 1, there, raw_spec=SPEC, secrets=secrets))
    assert not problems
    status = Status(phase="Running", epoch=1, last_reconciled_spec=dumped(target.spec))
    meta = {"namespace": "markets", "name": "atw", "uid": "uid", "resourceVersion": "1", "generation": 1}
    meta["creationTimestamp"] = "2024-01-02T03:04:05Z"
    body = {"metadata": meta, "spec": SPEC, "status": dump(status)}
    server.add("/apis/tickloom.dev/v1alpha1", "streamjobs", body)


@pytest.fixture
def planned(tmp_path):
    """Return what the command says of the job: its changes by field, and standard error."""

    def run(*options, spec=SPEC, refused=False):
        path = tmp_path / "job.yaml"
        head = {"apiVersion": "tickloom.dev/v1alpha1", "kind": "StreamJob"}
        path.write_text(json.dumps({**head, "metadata": {"name": "atw", "namespace": "markets"}, "spec": spec}))
        done = CliRunner().invoke(app, ["-f", str(path), "--json", *options])
        assert done.exit_code == int(refused), done.output
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        found = json.loads(done.stdout)
        return {item["field"]: item["after"] for item in found["changes"]}, done.stderr, found

    return run


def test_an_unchanged_manifest_of_a_real_installation_changes_nothing(server, planned):
    deploy(server, deployment())
    running(server)
    changes, said, found = planned()
    assert (changes, found["problems"]) == ({}, [])
    assert said == "settings for namespace markets: those of the operator tickloom/tickloom-operator\n"
    assert "/apis/apps/v1/deployments?labelSelector=app.kubernetes.io%2Fname%3Dtickloom-operator" in server.asked


def test_the_operator_of_the_base_is_found_with_its_settings(server, planned):
    documents = yaml.safe_load_all((ROOT / "manifests" / "base" / "operator" / "operator.yaml").read_text())
    (body,) = (it for it in documents if it["kind"] == "Deployment")
    assert body["metadata"]["labels"].items() >= {tuple(LABEL.split("="))}
    deploy(server, body)
    _, said, found = planned()
    assert "those of the operator tickloom-system/tickloom-operator\n" in said
    assert not found["problems"]
    settings, _ = settings_for(Cluster(), "markets")
    assert settings.kafka == "kafka.tickloom-system.svc:9092"
    assert settings.own_namespace == "tickloom-system"
    set_there = {item["name"] for item in body["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert {f"TICKLOOM_OPERATOR_{name.upper()}" for name in settings.model_fields_set} == set_there


def test_a_change_is_still_one(server, planned):
    deploy(server, deployment())
    running(server)
    assert planned(spec={**SPEC, "tickers": ["ATW", "IAM"]})[0] == {"tickers": ["ATW", "IAM"]}


def test_a_change_that_the_server_refuses_is_measured_against_what_stands_there_not_what_runs(server, planned):
    deploy(server, deployment())
    meta = {"namespace": "markets", "name": "atw", "uid": "uid", "resourceVersion": "1", "generation": 1}
    meta["creationTimestamp"] = "2024-01-02T03:04:05Z"
    server.add("/apis/tickloom.dev/v1alpha1", "streamjobs", {"metadata": meta, "spec": SPEC})
    other = {"tickers": ["AAPL"], "market": "XNYS", "upgrade": {"mode": "stateless"}}
    assert planned(spec=other, refused=True)[2]["problems"] == [
        "spec.market: cannot change; put it back, or make another StreamJob for the other market "
        "(given: XNYS, was: XCAS)"
    ]


@pytest.mark.parametrize(
    ("context", "options", "name", "said"),
    [
        ({"namespace": "markets"}, [], "markets/atw", ["namespace of the context: markets"]),
        ({"namespace": "markets"}, ["--context", "here"], "markets/atw", ["namespace of the context: markets"]),
        ({"namespace": "markets"}, ["-n", "other"], "other/atw", []),
        ({}, [], "default/atw", []),
    ],
)
def test_a_manifest_without_namespace_is_in_the_one_that_kubectl_takes(server, tmp_path, context, options, name, said):
    server.kubeconfig(tmp_path / "kubeconfig", **context)
    deploy(server, deployment(KAFKA_CREDENTIALS="", KAFKA_CERTIFICATES="", CASSANDRA_CREDENTIALS=""))
    path = tmp_path / "job.yaml"
    head = {"apiVersion": "tickloom.dev/v1alpha1", "kind": "StreamJob", "metadata": {"name": "atw"}}
    path.write_text(json.dumps({**head, "spec": SPEC}))
    done = CliRunner().invoke(app, ["-f", str(path), "--json", *options])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["streamjob"] == name
    assert [line for line in done.stderr.splitlines() if not line.startswith("settings for")] == said


def test_what_a_new_image_would_change(server, planned):
    deploy(server, deployment())
    running(server)
    assert planned("--image", "stream:0.2.0")[0] == {"runtime.image": "stream:0.2.0"}
    named = planned("--image", "stream:0.2.0", spec={**SPEC, "runtime": {"image": "stream:mine"}})
    assert named[0] == {"runtime.image": "stream:mine"}


def test_what_this_machine_sets_goes_before_it(server, planned, monkeypatch):
    deploy(server, deployment())
    running(server)
    monkeypatch.setenv("TICKLOOM_OPERATOR_IMAGE", "stream:mine")
    changes, said, _ = planned()
    assert changes == {"runtime.image": "stream:mine"}
    assert "tickloom/tickloom-operator, but of this machine: TICKLOOM_OPERATOR_IMAGE\n" in said


def test_without_an_operator_the_defaults_hold_and_that_is_said_with_the_fix(server, planned):
    running(server)
    changes, said, _ = planned()
    assert changes["runtime.image"] == "tickloom/stream:0.1.0"
    assert "no operator that watches namespace markets was found, for the cluster has none" in said
    assert "set TICKLOOM_OPERATOR_IMAGE" in said


def test_a_person_who_may_not_list_deployments_is_told(server, planned):
    deploy(server, deployment())
    running(server)
    server.forbidden |= {"/apis/apps/v1/deployments", "/apis/apps/v1/namespaces/markets/deployments"}
    changes, said, _ = planned()
    assert "runtime.image" in changes
    assert "for you may not list the Deployments of all namespaces (may not list deployments)" in said


def test_an_operator_in_the_jobs_namespace_is_found_by_who_may_list_there_alone(server, planned):
    deploy(server, deployment(namespace="markets"))
    running(server)
    server.forbidden.add("/apis/apps/v1/deployments")
    changes, said, _ = planned()
    assert changes == {}
    assert "those of the operator markets/tickloom-operator\n" in said


def test_the_operator_that_names_the_namespace_goes_before_one_that_watches_all(server, planned):
    deploy(
        server,
        deployment("a-everywhere", IMAGE="stream:everywhere"),
        deployment("b-elsewhere", NAMESPACES="shares", IMAGE="stream:elsewhere"),
        deployment("c-here", NAMESPACES="bonds, markets"),
    )
    running(server)
    changes, said, _ = planned()
    assert changes == {}
    assert "the operator tickloom/c-here; tickloom/a-everywhere watches namespace markets too, with other ones" in said
    assert "b-elsewhere" not in said


def test_shards_share_their_settings_and_none_is_named_as_another(server, planned):
    deploy(server, *(deployment(f"operator-{number}", SHARDS="2", SHARD=str(number)) for number in range(2)))
    running(server)
    changes, said, _ = planned()
    assert changes == {}
    assert said.endswith("those of the operator tickloom/operator-0\n")


def origin(name, **where):
    return {"name": f"TICKLOOM_OPERATOR_{name}", "valueFrom": where}


def test_values_of_a_config_map_are_read_and_those_of_a_secret_are_named(server, planned):
    body = deployment(
        more=[
            origin("IMAGE", configMapKeyRef={"name": "own", "key": "image"}),
            origin("KEYSPACE", configMapKeyRef={"name": "own", "key": "absent", "optional": True}),
            origin("TOPIC_PREFIX", secretKeyRef={"name": "hidden", "key": "prefix"}),
        ]
    )
    container = body["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [it for it in container["env"] if "_CASSANDRA" not in it["name"]]
    container["envFrom"] = [{"configMapRef": {"name": "all"}, "prefix": "TICKLOOM_OPERATOR_"}]
    deploy(server, body)
    held = {"own": {"image": "stream:of-map"}, "all": {"CASSANDRA_CREDENTIALS": "cassandra-superuser", "IMAGE": "x"}}
    for name, data in held.items():
        server.add("/api/v1", "configmaps", {"metadata": {"namespace": "tickloom", "name": name}, "data": data})
    running(server)
    changes, said, _ = planned()
    assert changes == {"runtime.image": "stream:of-map"}
    assert "not read, so the default holds: TICKLOOM_OPERATOR_TOPIC_PREFIX" in said


def test_a_config_map_that_may_not_be_read_is_told_of(server, planned):
    deploy(server, deployment(more=[origin("KEYSPACE", configMapKeyRef={"name": "own", "key": "keyspace"})]))
    running(server)
    server.forbidden.add("/api/v1/namespaces/tickloom/configmaps/own")
    assert "not read, so the default holds: TICKLOOM_OPERATOR_KEYSPACE" in planned()[1]


def test_a_value_that_no_operator_can_have_is_told_with_its_name(server, planned):
    deploy(server, deployment(SHARDS="many"))
    with pytest.raises(TickloomError, match="operator tickloom/tickloom-operator: TICKLOOM_OPERATOR_SHARDS 'many'"):
        planned(refused=True)


def test_a_secret_that_the_cluster_lacks_and_a_runtime_that_it_lacks_are_refused(server, planned):
    deploy(server, deployment())
    spec = {**SPEC, "source": {"credentials": "nosuch"}, "runtime": {"type": "sparkOperator"}}
    problems = planned(spec=spec, refused=True)[2]["problems"]
    assert "there is no Secret 'nosuch' in namespace markets; create it" in problems[0]
    assert "the cluster has no SparkApplication" in problems[1]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({**SPEC, "source": "kafka"}, "spec.source: must be a mapping of fields"),
        ({**SPEC, "sinks": ["cassandra"]}, "spec.sinks: must be a mapping of fields"),
        (["ATW"], "spec: must be a mapping of fields"),
    ],
)
def test_what_has_another_shape_than_a_manifest_is_refused_in_words(server, planned, spec, said):
    deploy(server, deployment())
    running(server)
    changes, _, found = planned(spec=spec, refused=True)
    assert changes == {}
    assert said in found["problems"][0]


def test_a_cluster_that_does_not_answer_leads_to_offline(server, planned):
    server.close()
    with pytest.raises(TickloomError, match=r"the cluster does not answer: .*`tickloom plan --offline` asks none"):
        planned(refused=True)


def test_a_cluster_that_refuses_is_not_called_silent(server, planned):
    deploy(server, deployment())
    running(server)
    server.forbidden.add("/apis/tickloom.dev/v1alpha1/streamjobs")
    with pytest.raises(TickloomError, match="the cluster refuses: 403: may not list streamjobs"):
        planned(refused=True)


def test_no_kubeconfig_leads_to_offline(monkeypatch, tmp_path, server, planned):
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "absent"))
    with pytest.raises(TickloomError, match=r"no cluster: .*set KUBECONFIG.*or ask none with --offline"):
        planned(refused=True)
