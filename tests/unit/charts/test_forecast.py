"""The forecast service: what its pods are told, how many there are, who reaches them, and what is refused."""

import json

import pytest
import yaml

from services.forecast.settings import ServeSettings
from tests.unit.charts.monitoring_files import monitors
from tests.unit.charts.rendering import (
    ARMS,
    EXPERIMENT,
    RefusedError,
    containers,
    environment,
    named,
    of_kind,
    pod_spec,
)
from tickloom.experiment.manifest import parse
from tickloom.experiment.modes import initial
from tickloom.market.calendars import MARKETS, calendar

ALL = "tickloom-forecast"
SETTING = "TICKLOOM_SERVE_"


def pod(charts, values=None, name=ALL):
    return pod_spec(named(charts.render("forecast", values), "Deployment", name))


def told(charts, values=None, name=ALL):
    """Return what a pod's container is told by its environment."""
    (container,) = containers(pod(charts, values, name))
    return environment(container)


def test_the_service_takes_what_it_is_told(charts, monkeypatch):
    values = {
        "workers": 2,
        "drainSeconds": 7,
        "experiments": [EXPERIMENT],
        "redis": {"url": "redis://{{ .Release.Name }}-redis:6379/1"},
        "settings": {"timeout_s": 2.5, "waiting": 100000, "ledger": False, "cache": "off"},
    }
    for name, value in told(charts, values).items():
        if name.startswith(SETTING):
            monkeypatch.setenv(name, value)
            assert name.removeprefix(SETTING).lower() in ServeSettings.model_fields
    found = ServeSettings()
    assert (found.workers, found.drain_s, found.provider, found.arm) == (2, 7, "cpu", None)
    assert (found.timeout_s, found.waiting, found.ledger, found.cache) == (2.5, 100_000, False, "off")
    assert found.redis == "redis://tickloom-redis:6379/1"
    mounts = {it["name"]: it["mountPath"] for it in containers(pod(charts, values))[0]["volumeMounts"]}
    assert str(found.experiments) == mounts["experiments"]


def test_experiments_reach_the_service_as_they_are_and_restart_nothing(charts):
    other = json.loads(json.dumps(EXPERIMENT))
    other["metadata"]["name"], other["spec"]["market"] = "lstm-on-new-york", "XNYS"
    before, after = (charts.render("forecast", {"experiments": it}) for it in ([EXPERIMENT], [EXPERIMENT, other]))
    data = named(after, "ConfigMap", f"{ALL}-experiments")["data"]
    assert [parse(yaml.safe_load(data[f"{it['metadata']['name']}.yaml"])) for it in (EXPERIMENT, other)] == [
        parse(EXPERIMENT),
        parse(other),
    ]
    assert named(before, "Deployment", ALL) == named(after, "Deployment", ALL)


def test_an_experiment_may_say_all_that_its_model_knows(charts):
    more = {"canary": {"arm": "lstm"}, "tickers": ["ATW", "IAM"], "salt": "a", "stickiness": "header:X-Desk"}
    whole = parse({**EXPERIMENT, "spec": {**EXPERIMENT["spec"], **more}})
    document = whole.model_dump(mode="json", by_alias=True)
    data = named(charts.render("forecast", {"experiments": [document]}), "ConfigMap", f"{ALL}-experiments")["data"]
    assert parse(yaml.safe_load(data["lstm-on-casablanca.yaml"])) == whole


def test_secrets_are_mounted_or_referred_to(charts):
    values = {
        "auth": {"keysSecret": "keys", "issuer": "https://login.example.com", "audience": "us"},
        "redis": {"existingSecret": "redis"},
        "global": {"kafka": {"credentialsSecret": "kafka"}, "cassandra": {"credentialsSecret": "cassandra"}},
        "judge": {"enabled": True, "credentialsSecret": "editor"},
    }
    found = told(charts, values)
    assert found["TICKLOOM_SERVE_REDIS"] == {"secretKeyRef": {"name": "redis", "key": "url"}}
    assert found["MLFLOW_TRACKING_PASSWORD"] == {"secretKeyRef": {"name": "tickloom-mlflow", "key": "password"}}
    assert (found["TICKLOOM_SERVE_ISSUER"], found["TICKLOOM_SERVE_AUDIENCE"]) == ("https://login.example.com", "us")
    spec = pod(charts, values)
    mounts = {it["name"]: it["mountPath"] for it in containers(spec)[0]["volumeMounts"]}
    assert found["TICKLOOM_SERVE_KEYS"] == f"{mounts['keys']}/keys.yaml"
    assert (found["TICKLOOM_KAFKA_CREDENTIALS"], found["TICKLOOM_CASSANDRA_CREDENTIALS"]) == (
        mounts["kafka"],
        mounts["cassandra"],
    )
    secrets = {it["name"]: it["secret"]["secretName"] for it in spec["volumes"] if "secret" in it}
    assert secrets == {"kafka": "kafka", "cassandra": "cassandra", "keys": "keys"}
    judge = told(charts, values, f"{ALL}-judge")
    assert judge["MLFLOW_TRACKING_PASSWORD"]["secretKeyRef"]["name"] == "editor"
    assert "TICKLOOM_SERVE_KEYS" not in judge
    without = told(charts, {"mlflow": {"credentialsSecret": ""}})
    assert "MLFLOW_TRACKING_PASSWORD" not in without


def test_without_stores_nothing_points_to_one(charts):
    values = {
        "stores": False,
        "settings": {"data": "/prices"},
        "global": {"kafka": {"credentialsSecret": "kafka"}, "cassandra": {"credentialsSecret": "cassandra"}},
    }
    found = told(charts, values)
    assert not [it for it in found if it.startswith(("TICKLOOM_KAFKA", "TICKLOOM_CASSANDRA"))]
    assert found["TICKLOOM_SERVE_DATA"] == "/prices"
    assert [it["name"] for it in pod(charts, values)["volumes"]] == ["tmp"]
    policy = named(charts.render("forecast", values), "NetworkPolicy", ALL)["spec"]
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == {53, 5000}


def test_a_pod_goes_only_after_another_one_is_ready_and_has_time_to_end(charts):
    manifests = charts.render("forecast", {"drainSeconds": 30})
    spec = named(manifests, "Deployment", ALL)["spec"]
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    longest = ServeSettings.model_fields["timeout_s"].default
    # answers on, gives what it has begun twenty seconds, writes for twenty more, and the inference process outlasts it
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] >= 30 + 20 + 20 + longest
    assert named(manifests, "PodDisruptionBudget", ALL)["spec"]["maxUnavailable"] == 1
    ((term,),) = (it["preferredDuringSchedulingIgnoredDuringExecution"] for it in pod(charts)["affinity"].values())
    assert term["podAffinityTerm"]["labelSelector"]["matchLabels"] == spec["selector"]["matchLabels"]
    assert pod(charts, {"placement": {"affinity": {}}}).get("affinity") is None


def test_an_autoscaler_has_the_say_or_the_replicas(charts):
    manifests = charts.render("forecast")
    assert "replicas" not in named(manifests, "Deployment", ALL)["spec"]  # an upgrade would put them back
    spec = named(manifests, "HorizontalPodAutoscaler", ALL)["spec"]
    assert spec["scaleTargetRef"]["name"] == ALL
    assert spec["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 70}
    assert spec["behavior"]["scaleUp"]["stabilizationWindowSeconds"] == 0
    manifests = charts.render("forecast", {"autoscaling": {"by": "none"}, "replicas": 3})
    assert named(manifests, "Deployment", ALL)["spec"]["replicas"] == 3
    assert not of_kind(manifests, "HorizontalPodAutoscaler", "ScaledObject")


def triggers(charts, **keda):
    values = {"autoscaling": {"by": "keda", "minReplicas": 0, "keda": keda}}
    manifests = charts.render("forecast", values)
    assert not of_kind(manifests, "HorizontalPodAutoscaler")
    spec = named(manifests, "ScaledObject", ALL)["spec"]
    assert (spec["scaleTargetRef"]["name"], spec["minReplicaCount"]) == (ALL, 0)
    return {it.get("name", it["type"]): it["metadata"] for it in spec["triggers"]}


def test_keda_counts_requests_and_looks_at_the_clock(charts):
    hours = [{"timezone": "UTC", "start": "0 0 * * 6", "end": "0 1 * * 6", "replicas": 5}]
    found = triggers(charts, prometheus="http://p:9090", inFlight=8, markets=["XNYS"], atLeast=3, hours=hours)
    assert found["in-flight"]["threshold"] == "8"
    assert 'tickloom_serve_in_flight{namespace="demo",pod=~"tickloom-forecast-' in found["in-flight"]["query"]
    assert found["hours-0"] == {"timezone": "UTC", "start": "0 0 * * 6", "end": "0 1 * * 6", "desiredReplicas": "5"}
    assert (found["hours-1"]["timezone"], found["hours-1"]["desiredReplicas"]) == ("America/New_York", "3")


@pytest.mark.parametrize("market", MARKETS)
def test_there_are_pods_from_before_every_open_until_after_every_close(charts, market):
    hours = triggers(charts, markets=[market])["hours-0"]
    (first, days), (last, same) = ((int(hours[name].split()[1]), hours[name].split()[4]) for name in ("start", "end"))
    assert days == same
    known = calendar(market).schedule.loc["2024":]
    opens, closes = (known[name].dt.tz_convert(hours["timezone"]) for name in ("open", "close"))
    assert (opens.dt.hour > first).all()
    assert (closes.dt.hour < last).all()
    monday, friday = (int(it) - 1 for it in days.split("-"))
    assert set(known.index.day_of_week) == set(range(monday, friday + 1))


def test_each_arm_has_pods_and_a_service_and_a_route_shares_between_them(charts):
    manifests = charts.render("forecast", ARMS)
    arms = {"champion": 9000, "lstm": 1000}
    assert {it["metadata"]["name"] for it in of_kind(manifests, "Deployment")} == {f"{ALL}-{it}" for it in arms}
    whole = named(manifests, "Service", ALL)["spec"]["selector"]
    for arm in arms:
        deployment = named(manifests, "Deployment", f"{ALL}-{arm}")
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert told(charts, ARMS, f"{ALL}-{arm}")["TICKLOOM_SERVE_ARM"] == arm
        own = named(manifests, "Service", f"{ALL}-{arm}")["spec"]["selector"]
        assert own.items() <= labels.items()
        assert whole.items() <= labels.items()
        assert [it for it in of_kind(manifests, "Deployment") if own.items() <= labels_of(it).items()] == [deployment]
        assert named(manifests, "HorizontalPodAutoscaler", f"{ALL}-{arm}")
    route = named(manifests, "HTTPRoute", ALL)["spec"]
    assert route["parentRefs"] == [{"group": "", "kind": "Service", "name": ALL, "port": 3000}]
    assert {it["name"]: it["weight"] for it in route["rules"][0]["backendRefs"]} == {
        f"{ALL}-{arm}": weight for arm, weight in arms.items()
    }


def labels_of(deployment):
    return deployment["spec"]["template"]["metadata"]["labels"]


@pytest.mark.parametrize(
    ("mode", "shares", "weights"),
    [
        ("fixed", (0.99994, 0.00006), {"champion": 9999, "b": 1}),
        ("fixed", (1, 0), {"champion": 10000, "b": 0}),
        ("championChallenger", (None, None), {"champion": 10000, "b": 0}),
        (None, (0.5, 0.5), {"champion": 10000, "b": 0}),
    ],
)
def test_weights_of_a_route_are_those_that_the_mode_begins_with(charts, mode, shares, weights):
    arms = [
        {"name": name} | ({} if share is None else {"weight": share})
        for name, share in zip(weights, shares, strict=True)
    ]
    spec = {"market": "XCAS", "arms": arms} | ({"mode": mode} if mode else {})
    document = {**EXPERIMENT, "spec": spec}
    route = named(charts.render("forecast", {**ARMS, "experiments": [document]}), "HTTPRoute", ALL)
    found = {it["name"].removeprefix(f"{ALL}-"): it["weight"] for it in route["spec"]["rules"][0]["backendRefs"]}
    assert found == weights
    assert found == {arm: round(share * 10000) for arm, share in initial(parse(document).spec).values.items()}


def test_the_world_comes_in_by_tls_and_to_the_forecasts_alone(charts):
    values = {"ingress": {"enabled": True, "host": "f.example.com", "tlsSecret": "tls", "className": "nginx"}}
    spec = named(charts.render("forecast", values), "Ingress", ALL)["spec"]
    assert spec["tls"] == [{"hosts": ["f.example.com"], "secretName": "tls"}]
    (path,) = spec["rules"][0]["http"]["paths"]
    assert (path["path"], path["pathType"]) == ("/v1", "Prefix")  # not /metrics
    assert path["backend"]["service"] == {"name": ALL, "port": {"name": "http"}}


def test_a_pod_with_a_gpu_asks_for_it_and_is_told(charts):
    spec = pod(charts, {"gpu": {"enabled": True, "count": 2}})
    (container,) = containers(spec)
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert spec["runtimeClassName"] == "nvidia"
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in spec["tolerations"]
    assert environment(container)["TICKLOOM_SERVE_PROVIDER"] == "cuda"


def test_the_judge_is_alone_and_nobody_reaches_it(charts):
    manifests = charts.render("forecast", {"judge": {"enabled": True, "arguments": ["--every", "30"]}})
    deployment = named(manifests, "Deployment", f"{ALL}-judge")
    assert (deployment["spec"]["replicas"], deployment["spec"]["strategy"]["type"]) == (1, "Recreate")
    (container,) = containers(pod_spec(deployment))
    assert container["command"][-2:] == ["experiment", "run"]
    assert container["args"] == ["--every", "30"]
    assert not named(manifests, "Service", ALL)["spec"]["selector"].items() <= labels_of(deployment).items()
    policy = named(manifests, "NetworkPolicy", f"{ALL}-judge")["spec"]
    assert "ingress" not in policy
    assert not of_kind(charts.render("forecast"), "Deployment")[1:]


@pytest.mark.parametrize(
    ("values", "ports"),
    [
        ({"mlflow": {"uri": "https://mlflow.example.com/x"}}, {443}),
        ({"mlflow": {"uri": "http://mlflow.example.com"}, "networkPolicy": {"ports": [8443]}}, {80, 8443}),
        ({"redis": {"url": "rediss://me:pass@redis:6380/0"}}, {5000, 6380}),
        ({"redis": {"existingSecret": "redis"}}, {5000, 6379}),
    ],
)
def test_pods_are_let_out_to_what_they_ask(charts, values, ports):
    policy = named(charts.render("forecast", values), "NetworkPolicy", ALL)["spec"]
    out = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    assert out == {53, 9042, 9092} | ports


def changed(**spec):
    return {"experiments": [{**EXPERIMENT, "spec": {**EXPERIMENT["spec"], **spec}}]}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (changed(mode="bandit"), "/experiments/0/spec/mode"),
        (changed(arms=[{"name": "champion", "wieght": 1}]), "wieght"),
        (changed(arms=[{"name": "champion"}]), "/experiments/0/spec/arms"),
        (changed(guardrails={"p99": "60 ms"}), "/experiments/0/spec/guardrails/p99"),
        ({"experiments": [{"kind": "Experiment"}]}, "/experiments/0"),
        (changed(arms=[{"name": "champion", "weight": 0.9}, {"name": "b", "weight": 0.2}]), "sum to 1.1, and must"),
        (changed(arms=[{"name": "a"}, {"name": "b"}]), "no arm has the name champion, .* there are: a, b"),
        (changed(arms=[{"name": "champion"}, {"name": "b"}, {"name": "b"}]), "two arms have the name b"),
        ({"experiments": [EXPERIMENT, EXPERIMENT]}, "two of the name lstm-on-casablanca"),
        ({"settings": {"timeuot_s": 3}}, "timeuot_s"),
        ({"settings": {"workers": 3}}, "workers"),
        ({"settings": {"timeout_s": 0}}, "/settings/timeout_s"),
        ({"serviceMode": "perArm"}, "one experiment, and experiments has 0"),
        ({"route": {"enabled": True}}, "set serviceMode to perArm"),
        ({**ARMS, **changed(arms=[{"name": "champion"}, {"name": "b"}])}, "arm champion has no weight"),
        ({**ARMS, **changed(mode="thompson")}, "mode thompson moves its weights .* take mode fixed"),
        ({"ingress": {"enabled": True, "host": "a.example.com"}}, "needs ingress.tlsSecret"),
        ({"autoscaling": {"minReplicas": 0}}, "which an HPA cannot do"),
        ({"autoscaling": {"minReplicas": 3, "maxReplicas": 2}}, "maxReplicas is 2, below minReplicas, 3"),
        ({"autoscaling": {"by": "keda", "minReplicas": 0}}, "none would ever come"),
        ({"autoscaling": {"by": "keda", "keda": {"markets": ["XPAR"]}}}, "XPAR is unknown; known: XCAS, XNYS"),
        ({"autoscaling": {"by": "vpa"}}, "/autoscaling/by"),
        ({"autoscaling": {"keda": {"hours": [{"start": "0 8 * * *"}]}}}, "/autoscaling/keda/hours/0"),
        ({"redis": {"url": "redis:6379"}}, "/redis/url"),
        ({"stores": False, "judge": {"enabled": True}}, "needs the ledger"),
        ({"gpu": {"count": 0}}, "/gpu/count"),
        ({"image": {"tag": "latest"}}, "tickloom/forecast:latest .* such as 0.1.0"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(charts, values, said):
    with pytest.raises(RefusedError, match=f"(?s){said}"):
        charts.text("forecast", values)


def test_the_whole_refuses_a_secret_that_nobody_makes(charts):
    values = {"forecast": {"enabled": True}, "mlflow": {"auth": {"existingSecret": "admin"}}}
    with pytest.raises(RefusedError, match=r"forecast\.mlflow\.credentialsSecret is tickloom-mlflow, .* is admin"):
        charts.text("tickloom", values)
    values["forecast"]["mlflow"] = {"credentialsSecret": "reader"}
    assert charts.render("tickloom", values)


def test_strimzis_user_of_the_service_writes_forecasts_and_nothing_else(charts):
    prod = charts.render("tickloom", {}, ("values-prod.yaml",))
    user = named(prod, "KafkaUser", "tickloom-kafka-forecast")
    acls = {(it["resource"]["name"], *it["operations"]) for it in user["spec"]["authorization"]["acls"]}
    assert {it[0] for it in acls} == {"forecasts"}
    assert all("Read" not in it for it in acls)
    spec = pod_spec(named(prod, "Deployment", ALL))
    (kafka,) = (it for it in spec["volumes"] if it["name"] == "kafka")
    assert {"secret": {"name": "tickloom-kafka-forecast"}} in kafka["projected"]["sources"]


def test_prometheus_reads_the_pods_and_is_let_in(charts):
    reader = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    manifests = charts.render("forecast", {"judge": {"enabled": True}, "global": {"metricsFrom": [reader]}})
    spec = monitors()["forecast"]["spec"]
    (endpoint,) = spec["podMetricsEndpoints"]
    for it in of_kind(manifests, "Deployment"):
        assert spec["selector"]["matchLabels"].items() <= labels_of(it).items()
    read = [
        it["metadata"]["name"]
        for it in of_kind(manifests, "Deployment")
        for container in containers(pod_spec(it))
        if endpoint["port"] in [port["name"] for port in container.get("ports", ())]
    ]
    assert read == [ALL]
    rules = named(manifests, "NetworkPolicy", ALL)["spec"]["ingress"]
    assert {"from": [reader], "ports": [{"protocol": "TCP", "port": "http"}]} in rules
