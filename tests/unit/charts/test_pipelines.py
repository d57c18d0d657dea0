"""The chart of what the Kubeflow pipelines need beside them."""

import pytest
import yaml

from pipelines.settings import read
from tests.unit.charts.rendering import RefusedError, named, of_kind, pod_spec
from tests.unit.charts.test_operator import rules

NAME = "tickloom-retrain"


def settings_of(manifests, tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text(named(manifests, "ConfigMap", NAME)["data"]["settings.yaml"], encoding="utf-8")
    return read(path)


def test_the_settings_name_what_the_chart_makes(charts, tmp_path):
    values = {
        "global": {"imageRegistry": "reg", "imagePullSecrets": ["a"]},
        "image": {"repository": "tickloom/retrain", "tag": "9"},
        "mlflow": {"uri": "http://m.{{ .Release.Namespace }}:5000"},
        "cassandra": {"contactPoints": "c:9042", "keyspace": "k"},
        "settings": {"retries": 4, "parallelism": 2, "backoffS": 5},
    }
    manifests = charts.render("pipelines", values)
    found = settings_of(manifests, tmp_path)
    assert found.image == "reg/tickloom/retrain:9"
    assert found.image_pull_secrets == ("a",)
    assert found.volume == named(manifests, "PersistentVolumeClaim", NAME)["metadata"]["name"]
    assert (found.config_map, found.retries, found.parallelism, found.backoff_s) == (NAME, 4, 2, 5)
    data = named(manifests, "ConfigMap", NAME)["data"]
    assert {key: data[key] for key in ("mlflow", "cassandra", "keyspace")} == {
        "mlflow": "http://m.demo:5000",
        "cassandra": "c:9042",
        "keyspace": "k",
    }


def test_no_address_that_is_unknown_is_told(charts):
    assert set(named(charts.render("pipelines"), "ConfigMap", NAME)["data"]) == {"settings.yaml"}


@pytest.mark.parametrize(
    ("volume", "claim"), [({"existingClaim": "ours"}, "ours"), ({"enabled": False}, None), ({}, NAME)]
)
def test_a_volume_is_made_named_or_left_out(charts, tmp_path, volume, claim):
    manifests = charts.render("pipelines", {"volume": volume})
    assert settings_of(manifests, tmp_path).volume == claim
    made = [it["metadata"] for it in of_kind(manifests, "PersistentVolumeClaim")]
    assert [it["name"] for it in made] == ([NAME] if not volume else [])
    assert all(it["annotations"] == {"helm.sh/resource-policy": "keep"} for it in made)


def test_the_upload_is_made_anew_when_the_settings_change_and_only_then(charts):
    def job(values):
        (found,) = of_kind(charts.render("pipelines", values), "Job")
        return found["metadata"]["name"]

    assert job({}) == job({"volume": {"size": "50Gi"}})
    assert job({}) != job({"settings": {"retries": 3}})
    assert job({}) != job({"kubeflow": {"endpoint": "http://kfp.example.com"}})
    assert not of_kind(charts.render("pipelines", {"upload": {"enabled": False}}), "Job")


def test_a_kubeflow_that_is_not_shared_is_shown_no_token_and_binds_nobody(charts):
    manifests = charts.render("pipelines", {"submitters": [{"name": "a", "namespace": "b"}]})
    assert not of_kind(manifests, "Role", "RoleBinding")
    (job,) = of_kind(manifests, "Job")
    assert "token" not in yaml.safe_dump(pod_spec(job)["volumes"])


def test_in_a_shared_kubeflow_submitters_submit_and_the_upload_uploads(charts):
    values = {"kubeflow": {"shared": True}, "submitters": [{"name": "a", "namespace": "b"}]}
    manifests = charts.render("pipelines", values)
    uploads = rules(named(manifests, "Role", f"{NAME}-upload"))
    assert {resource for _, resource, _ in uploads} == {"pipelines", "pipelines/versions"}
    runs = rules(named(manifests, "Role", f"{NAME}-runs"))
    assert ("pipelines.kubeflow.org", "runs", "create") in runs
    assert {verb for _, resource, verb in runs if resource != "runs"} == {"get", "list"}
    assert {verb for _, _, verb in runs | uploads} == {"get", "list", "create"}
    (submitter,) = named(manifests, "RoleBinding", f"{NAME}-runs")["subjects"]
    assert (submitter["name"], submitter["namespace"]) == ("a", "b")
    (job,) = of_kind(manifests, "Job")
    (token,) = [it for it in pod_spec(job)["volumes"] if it["name"] == "token"]
    (source,) = token["projected"]["sources"]
    assert source["serviceAccountToken"]["audience"] == "pipelines.kubeflow.org"
    (said,) = pod_spec(job)["containers"][0]["args"]
    assert "--namespace demo" in said


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"settings": {"volume": "x"}}, "settings"),
        ({"settings": {"retries": 11}}, "retries"),
        ({"kubeflow": {"endpoint": "ml-pipeline:8888"}}, "endpoint"),
        ({"volume": {"accessMode": "ReadOnlyMany"}}, "accessMode"),
        ({"volume": {"size": "20"}}, r"volume\.size is \"20\""),
    ],
)
def test_values_that_cannot_be_are_refused_with_their_place(charts, values, place):
    with pytest.raises(RefusedError, match=place):
        charts.render("pipelines", values)
