"""What an API server makes of a StreamJob: its defaults, and what it refuses, with one case for every rule."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from operators.streamjob import crd, page
from operators.streamjob.status import Condition, Reported, Status, dump
from tickloom.stream.job import parse

WHERE = ("tickloom.dev", "v1alpha1")
SAMPLES = Path(__file__).parents[2] / "manifests" / "samples"
DRIVER_POD = {"type": "driverPod"}
STATELESS = {"mode": "stateless"}


def manifest(spec, name="job") -> dict[str, Any]:
    """Return a StreamJob that no operator starts."""
    return {
        "apiVersion": "tickloom.dev/v1alpha1",
        "kind": "StreamJob",
        "metadata": {"name": name},
        "spec": {"tickers": ["ATW"], "market": "XCAS", "state": "suspended", **spec},
    }


RUNNING = Status(
    phase="Running",
    replicas=2,
    tickers=1,
    selector="tickloom.dev/job=job",
    progress=Reported(lag=5_000_000_000, rows_per_second=1234.5),
    conditions=(Condition(type="Ready", status="True", reason="Running", last_transition_time="2024-01-02T03:04:05Z"),),
)


class Jobs:
    """The StreamJobs of one namespace."""

    def __init__(self, kube, namespace):
        from kubernetes import client

        self.api = client.CustomObjectsApi(kube)
        self.where = (*WHERE, namespace, "streamjobs")

    def create(self, spec, name="job", dry_run=True) -> dict[str, Any]:
        """Create a StreamJob as kubectl does: the API server refuses unknown fields."""
        return self.apply(manifest(spec, name), dry_run)

    def apply(self, body, dry_run=True) -> dict[str, Any]:
        more = {"dry_run": "All"} if dry_run else {}
        return self.api.create_namespaced_custom_object(*self.where, body, field_validation="Strict", **more)

    def change(self, spec, name="job", dry_run=True) -> dict[str, Any]:
        more = {"dry_run": "All"} if dry_run else {}
        return self.api.patch_namespaced_custom_object(*self.where, name, {"spec": spec}, **more)

    def scale(self, replicas, name="job") -> dict[str, Any]:
        """Do what ``kubectl scale`` does."""
        return self.api.patch_namespaced_custom_object_scale(*self.where, name, {"spec": {"replicas": replicas}})

    def write_status(self, status, name="job", **more) -> dict[str, Any]:
        """Write the whole status, in place of one that an operator may have written."""
        patch = [{"op": "add", "path": "/status", "value": status}]
        return self.api.patch_namespaced_custom_object_status(
            *self.where, name, patch, _content_type="application/json-patch+json", **more
        )

    def read(self, name="job") -> dict[str, Any]:
        return self.api.get_namespaced_custom_object(*self.where, name)


@pytest.fixture
def jobs(kube, namespace) -> Jobs:
    return Jobs(kube, namespace)


def refused(call, *arguments, **named) -> dict[str, str]:
    """Return what the API server says of each field when it refuses a call as invalid."""
    from kubernetes.client.exceptions import ApiException

    with pytest.raises(ApiException) as error:
        call(*arguments, **named)
    assert error.value.status == 422, error.value.body
    causes = json.loads(error.value.body)["details"]["causes"]
    return {re.sub(r"\[[0-9]+\]", "[]", cause["field"]): cause["message"] for cause in causes}


@dataclass(frozen=True)
class Case:
    """A rule with a spec that keeps it and one that breaks it; ``before`` is the spec that is changed into them."""

    rule: str
    kept: dict[str, Any]
    broken: dict[str, Any]
    given: str = ""
    before: dict[str, Any] | None = None
    names: tuple[str, str] = field(default=("job", "job"))


def toleration(**fields_):
    return {"runtime": {"tolerations": [fields_]}}


def taint(**fields_):
    return {"retrain": {"pipeline": {"tolerations": [fields_]}}}


CASES = (
    Case("metadata.name", {}, {}, "(given: 9-lives)", names=("lives-9", "9-lives")),
    Case("spec.market", {"market": "XCAS"}, {"market": "XNYS"}, "(given: XNYS, was: XCAS)", before={}),
    Case(
        "spec.source.topic",
        {"source": {"topic": "ticks"}, "upgrade": STATELESS},
        {"source": {"topic": "ticks"}},
        "(given: ticks, was: prices)",
        before={},
    ),
    Case(
        "spec.runtime.statePartitions",
        {"runtime": {"statePartitions": 8}, "upgrade": STATELESS},
        {"runtime": {"statePartitions": 8}},
        "(given: 8, was: 2)",
        before={},
    ),
    Case(
        "spec.checkpoint.path",
        {"checkpoint": {"path": "s3a://b/two"}, "upgrade": STATELESS},
        {"checkpoint": {"path": "s3a://b/two"}},
        "(given: s3a://b/two, was: s3a://b/one)",
        before={"checkpoint": {"path": "s3a://b/one"}},
    ),
    Case(
        "spec.checkpoint.claim.name",
        {"checkpoint": {"claim": {"name": "two"}}, "upgrade": STATELESS},
        {"checkpoint": {"claim": {"name": "two"}}},
        "(given: two, was: one)",
        before={"checkpoint": {"claim": {"name": "one"}}},
    ),
    Case(
        "spec.processors.bars.intervals",
        {"processors": {"bars": {"intervals": ["1m", "5m", "15m", "1h", "1d"]}}},
        {"processors": {"bars": {"intervals": ["1d", "5m", "5m"]}}},
        "(given: 5m)",
    ),
    Case(
        "spec.processors.bars.indicators",
        {"processors": {"bars": {"indicators": [f"sma_{number}" for number in range(2, 202)]}}},
        {"processors": {"bars": {"indicators": ["macd", "obv", "macd"]}}},
        "(given: macd)",
    ),
    Case(
        "spec.replicas",
        {"replicas": 1, "runtime": DRIVER_POD},
        {"replicas": 3, "runtime": DRIVER_POD},
        "(given: 3)",
    ),
    Case(
        "spec.autoscaling.max",
        {"autoscaling": {"max": 1}, "runtime": DRIVER_POD},
        {"autoscaling": {"max": 2}, "runtime": DRIVER_POD},
        "(given: 2)",
    ),
    Case(
        "spec.autoscaling.min", {"autoscaling": {"min": 2, "max": 2}}, {"autoscaling": {"min": 2}}, "(given: 2, max: 1)"
    ),
    Case(
        "spec.runtime.tolerations[].key",
        toleration(operator="Exists"),
        toleration(value="x"),
    ),
    Case(
        "spec.runtime.tolerations[].value",
        toleration(key="k", operator="Equal", value="x"),
        toleration(key="k", operator="Exists", value="x"),
        "(given: x)",
    ),
    Case(
        "spec.runtime.tolerations[].tolerationSeconds",
        toleration(key="k", effect="NoExecute", tolerationSeconds=30),
        toleration(key="k", effect="NoSchedule", tolerationSeconds=30),
        "(given: 30)",
    ),
    Case(
        "spec.retrain.agree",
        {"retrain": {"agree": "drift", "onLoss": {"enabled": False}}},
        {"retrain": {"agree": "drift", "onDrift": {"enabled": False}}},
        "(given: drift)",
    ),
    Case(
        "spec.retrain.quietHours",
        {"retrain": {"quietHours": {"begin": "22:00", "end": "06:00"}}},
        {"retrain": {"quietHours": {"begin": "22:00", "end": "22:00"}}},
    ),
    Case(
        "spec.retrain.pipeline.models",
        {"retrain": {"pipeline": {"models": ["lstm", "ridge"]}}},
        {"retrain": {"pipeline": {"models": ["lstm", "ridge", "lstm"]}}},
        "(given: lstm)",
    ),
    Case("spec.retrain.pipeline.tolerations[].key", taint(operator="Exists"), taint(value="x")),
    Case(
        "spec.retrain.pipeline.tolerations[].value",
        taint(key="k", operator="Equal", value="x"),
        taint(key="k", operator="Exists", value="x"),
        "(given: x)",
    ),
    Case(
        "spec.retrain.pipeline.tolerations[].tolerationSeconds",
        taint(key="k", effect="NoExecute", tolerationSeconds=30),
        taint(key="k", effect="NoSchedule", tolerationSeconds=30),
        "(given: 30)",
    ),
)


def test_every_rule_has_its_case():
    assert [case.rule for case in CASES] == [rule.field for rule in crd.RULES]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_a_rule_accepts_what_keeps_it_and_names_what_breaks_it(jobs, case):
    if case.before is None:
        jobs.create(case.kept, case.names[0])
        told = refused(jobs.create, case.broken, case.names[1])
    else:
        jobs.create(case.before, dry_run=False)
        jobs.change(case.kept)
        told = refused(jobs.change, case.broken)
    (rule,) = [rule for rule in crd.RULES if rule.field == case.rule]
    assert list(told) == [case.rule]
    assert rule.message in told[case.rule]
    assert case.given in told[case.rule]


@pytest.mark.parametrize(
    ("before", "after", "given"),
    [
        ({}, {"checkpoint": {"path": "/two"}}, "(given: /two, was: none)"),
        ({"checkpoint": {"path": "/one"}}, {"checkpoint": {"path": None}}, "(given: none, was: /one)"),
        ({}, {"checkpoint": {"claim": {"name": "two"}}}, "(given: two, was: none)"),
        ({"checkpoint": {"claim": {"name": "one"}}}, {"checkpoint": None}, "(given: none, was: one)"),
    ],
)
def test_a_place_that_appears_or_goes_is_a_change_too(jobs, before, after, given):
    jobs.create(before, dry_run=False)
    (told,) = refused(jobs.change, after).values()
    assert given in told
    jobs.change({**after, "upgrade": STATELESS})


def test_what_a_pod_template_holds_is_kept_as_it_is_written(jobs):
    template = {"metadata": {"annotations": {"team": "markets"}}, "spec": {"containers": [{"name": "driver"}]}}
    assert jobs.create({"runtime": {"podTemplate": template}})["spec"]["runtime"]["podTemplate"] == template


def test_what_a_checkpoint_survives_can_change(jobs):
    jobs.create({"checkpoint": {"path": "/one"}}, dry_run=False)
    jobs.change({"tickers": ["ATW", "BCP"], "replicas": 4, "processors": {"prices": {"window": 60}}})
    jobs.change({"checkpoint": {"claim": {"size": "2Gi"}}})


def tickers(count):
    return {"tickers": [f"T{number}" for number in range(count)]}


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({}, id="shortest"),
        pytest.param(tickers(2000), id="2000 tickers"),
        pytest.param({"tickers": ["BRK.B", "BF-B", "0700"]}, id="dots, dashes and digits"),
        pytest.param({"processors": {"prices": {"threshold": 0.1}}}, id="threshold 0.1"),
        pytest.param({"processors": {"bars": {"intervals": ["1d", "1m"]}}}, id="intervals"),
        pytest.param({"processors": {"bars": {"indicators": []}}}, id="no indicators"),
        pytest.param({"upgrade": {"maxLag": 10**12}}, id="a lag beyond 32 bits"),
        pytest.param({"runtime": {"image": None}, "autoscaling": None}, id="null for absent"),
        pytest.param({"runtime": {"podTemplate": {"spec": {"volumes": [{"name": "x"}]}}}}, id="any pod template"),
        pytest.param(
            {"runtime": {"executorPodTemplate": {"metadata": {"labels": {"a": "b"}}, "spec": {"x": {"y": 1}}}}},
            id="any template of executors",
        ),
    ],
)
def test_accepted(jobs, spec):
    jobs.create(spec)


@pytest.mark.parametrize(
    ("spec", "path", "words"),
    [
        pytest.param(tickers(0), "spec.tickers", "at least 1 items", id="no tickers"),
        pytest.param(tickers(2001), "spec.tickers", "at most 2000 items", id="2001 tickers"),
        pytest.param({"tickers": ["ÉTÉ"]}, "spec.tickers[]", "should match", id="Unicode ticker"),
        pytest.param({"tickers": ["atw"]}, "spec.tickers[]", "should match", id="small letters"),
        pytest.param({"tickers": ["A" * 17]}, "spec.tickers[]", "should match", id="17 characters"),
        pytest.param({"tickers": ["ATW", "BCP", "ATW"]}, "spec.tickers[]", 'Duplicate value: "ATW"', id="twice"),
        pytest.param({"market": "XPAR"}, "spec.market", 'supported values: "XCAS", "XNYS"', id="unknown market"),
        pytest.param({"replicas": 0}, "spec.replicas", "greater than or equal to 1", id="no executors"),
        pytest.param({"replicas": 501}, "spec.replicas", "less than or equal to 500", id="501 executors"),
        pytest.param(
            {"processors": {"prices": {"threshold": -1}}},
            "spec.processors.prices.threshold",
            "greater than 0",
            id="negative threshold",
        ),
        pytest.param(
            {"processors": {"prices": {"threshold": 0}}},
            "spec.processors.prices.threshold",
            "greater than 0",
            id="threshold 0",
        ),
        pytest.param(
            {"processors": {"prices": {"watermark": "10 minutes"}}},
            "spec.processors.prices.watermark",
            "should match",
            id="duration in words",
        ),
        pytest.param(
            {"processors": {"bars": {"intervals": ["7m"]}}},
            "spec.processors.bars.intervals[]",
            'supported values: "1m", "5m", "15m", "1h", "1d"',
            id="unknown interval",
        ),
        pytest.param({"runtime": {"driver": {"memory": "1Gi"}}}, "spec.runtime.driver.memory", "should match", id="Gi"),
        pytest.param(
            {"runtime": {"nodeSelector": {f"k{number}": "x" for number in range(33)}}},
            "spec.runtime.nodeSelector",
            "at most 32 items",
            id="33 labels",
        ),
        pytest.param({"source": {"createTopics": {}}}, "spec.source.createTopics.cluster", "Required", id="no cluster"),
    ],
)
def test_refused(jobs, spec, path, words):
    told = refused(jobs.create, spec)
    assert path in told
    assert words in told[path]


@pytest.mark.parametrize("missing", ["tickers", "market"])
def test_what_is_needed(jobs, missing):
    body = manifest({})
    del body["spec"][missing]
    assert "Required value" in refused(jobs.apply, body)[f"spec.{missing}"]


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"tickerz": ["ATW"]}, "spec.tickerz"),
        ({"processors": {"prices": {"windw": 3}}}, "spec.processors.prices.windw"),
        ({"runtime": {"tolerations": [{"operator": "Exists", "kye": "x"}]}}, "spec.runtime.tolerations[0].kye"),
        ({"runtime": {"podTemplate": {"kind": "Pod"}}}, "spec.runtime.podTemplate.kind"),
        (
            {"runtime": {"executorPodTemplate": {"podTemplate": {"spec": {}}}}},
            "spec.runtime.executorPodTemplate.podTemplate",
        ),
    ],
)
def test_an_unknown_field_is_refused(jobs, spec, path):
    from kubernetes.client.exceptions import ApiException

    with pytest.raises(ApiException) as error:
        jobs.create(spec)
    assert error.value.status == 400
    assert f'unknown field \\"{path}\\"' in error.value.body


@pytest.mark.parametrize("name", ["a", "a" * 63, "a-1"])
def test_a_name_that_pods_can_bear_is_accepted(jobs, name):
    jobs.create({}, name)


@pytest.mark.parametrize("name", ["a" * 64, "1-a", "a.b"])
def test_a_name_that_pods_cannot_bear_is_refused(jobs, name):
    told = refused(jobs.create, {}, name)
    assert f"(given: {name})" in told["metadata.name"]


@pytest.mark.parametrize("text", [page.SHORTEST, page.COMPLETE], ids=["shortest", "complete"])
def test_the_server_fills_in_what_the_model_does(jobs, text):
    document = yaml.safe_load(text)
    made = parse(jobs.apply(document)).spec
    assert made == parse(document).spec
    assert jobs.apply(document)["spec"] == made.model_dump(mode="json", by_alias=True, exclude_none=True)


@pytest.mark.parametrize("path", sorted(SAMPLES.rglob("*.yaml")), ids=lambda path: path.name)
def test_samples_are_accepted(jobs, path):
    jobs.apply(yaml.safe_load(path.read_text(encoding="utf-8")))


def test_a_list_that_was_filled_in_is_replaced_by_the_one_that_is_applied(jobs):
    own = {"processors": {"bars": {"intervals": ["1h"], "indicators": ["obv", "macd"]}}}
    for spec in ({}, own):
        made = jobs.api.patch_namespaced_custom_object(
            *jobs.where,
            "job",
            manifest(spec),
            field_manager="me",
            field_validation="Strict",
            _content_type="application/apply-patch+yaml",
        )
    assert made["spec"]["processors"]["bars"] == {"hours": "regular", **own["processors"]["bars"]}


def test_scaling_writes_the_replicas_and_keeps_their_rules(jobs):
    jobs.create({}, dry_run=False)
    jobs.scale(4)
    assert jobs.read()["spec"]["replicas"] == 4
    assert "greater than or equal to 1" in refused(jobs.scale, 0)["spec.replicas"]
    jobs.create({"runtime": DRIVER_POD}, "pod", dry_run=False)
    assert "(given: 2)" in refused(jobs.scale, 2, "pod")["spec.replicas"]


def test_the_status_is_written_apart(jobs):
    assert "status" not in jobs.apply({**manifest({}), "status": dump(RUNNING)})
    jobs.create({}, dry_run=False)
    assert jobs.write_status(dump(RUNNING), dry_run="All")["status"] == dump(RUNNING)


def test_scale_shows_replicas_and_selector_of_the_status(jobs):
    jobs.create({}, dry_run=False)
    jobs.write_status(dump(RUNNING))
    for _ in range(20):  # an operator may write in between
        job, scale = jobs.read(), jobs.api.get_namespaced_custom_object_scale(*jobs.where, "job")
        if job["metadata"]["resourceVersion"] == scale["metadata"]["resourceVersion"]:
            break
    assert scale["spec"] == {"replicas": job["spec"]["replicas"]}
    assert scale["status"] == {name: job["status"][name] for name in ("replicas", "selector")}


def test_kubectl_get_prints_the_columns(jobs):
    jobs.create({}, dry_run=False)
    as_table = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    status = {**dump(RUNNING), "degraded": "RolledBack"}
    table = jobs.write_status(status, dry_run="All", _headers=as_table)
    names = [item["name"] for item in table["columnDefinitions"]]
    (row,) = table["rows"]
    assert names == ["Name", "Ready", "Phase", "Tickers", "Lag", "Rows/s", "Restarts", "Degraded", "Age"]
    assert row["cells"][:-1] == ["job", "True", "Running", 1, 5_000_000_000, 1234.5, 0, "RolledBack"]


def test_a_condition_stands_in_the_status_once(jobs):
    jobs.create({}, dry_run=False)
    condition = {"type": "Ready", "status": "True", "reason": "Running", "lastTransitionTime": "2024-01-02T03:04:05Z"}
    told = refused(jobs.write_status, {"conditions": [condition, condition]})
    assert "Duplicate value" in told["status.conditions[]"]
