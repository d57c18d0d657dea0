"""A policy in a real cluster, with a Kubeflow Pipelines beside the operator that speaks its protocol."""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

from services.watch.cluster import Cluster
from services.watch.main import once
from tests.unit.charts.rendering import CHARTS
from tests.unit.monitor.made import history, returns
from tests.unit.operator.kubeflow import TOKEN, Kubeflow
from tickloom.errors import TickloomError
from tickloom.monitor.looking import Question

RETRAIN = {"concurrency": 4, "pause": "1s"}
FACTS = {"v": 1, "made": None, "tickers": {"ATW": {"drift": {"found": True, "id": "d1"}}}}


@dataclass
class Server:
    """Kubeflow Pipelines in a thread of its own."""

    kubeflow: Kubeflow = field(default_factory=Kubeflow)
    address: str = ""
    _up: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Server":
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._up.wait(10)
        return self

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self.address = await self.kubeflow.start()
        self._up.set()
        await self._end.wait()
        await self.kubeflow.stop()

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    def named(self, trigger: str) -> list[dict[str, Any]]:
        """Return the runs of a trigger."""
        runs = self.kubeflow.runs
        return [run for run in runs if run["runtime_config"]["parameters"]["trigger"] == trigger]


@pytest.fixture
def kubeflow() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def retraining(stage, kubeflow, tmp_path: Path):
    """Return a namespace whose operator knows Kubeflow Pipelines, and the file with its token."""
    token = tmp_path / "token"
    token.write_text(TOKEN, encoding="utf-8")
    place = stage.place()
    told = {"KUBEFLOW": kubeflow.address, "KUBEFLOW_IDENTITY": str(token), "MLFLOW": "http://mlflow:5000"}
    environment = {f"TICKLOOM_OPERATOR_{name}": value for name, value in told.items()}
    operator = stage.operator(place.namespace, environment=environment).start().wait_until_leading()
    return place, operator, token


def test_an_annotation_starts_one_run_that_is_followed_to_its_end(retraining, kubeflow):
    place, _, _ = retraining
    job = place.job("asked").create(retrain=RETRAIN)
    job.until_condition("Retraining", "False", "NoFacts")
    job.annotate(retrain="one")
    job.until_condition("Retraining", "True", "Pending")
    (run,) = kubeflow.kubeflow.runs
    assert run["display_name"].startswith("retrain-asked-")
    assert run["runtime_config"]["parameters"]["policy"] == f"{place.namespace}/asked"
    kubeflow.kubeflow.change(run["display_name"], state="RUNNING")
    job.until_condition("Retraining", "True", "Running")
    kubeflow.kubeflow.change(run["display_name"], state="SUCCEEDED", finished_at="2024-03-01T22:30:00Z")
    job.until_condition("Retraining", "False", "RunSucceeded")
    assert {"Retraining", "RetrainingStarted", "RetrainingSucceeded"} <= {reason for reason, _ in job.events()}
    assert len(kubeflow.kubeflow.runs) == 1


def test_facts_start_a_run_and_a_killed_operator_sends_it_once(retraining, kubeflow):
    place, operator, _ = retraining
    kubeflow.kubeflow.faults += ["timeout"]
    kubeflow.kubeflow.sleep_s = 5.0
    job = place.job("drifting").create(retrain={**RETRAIN, "agree": "drift"})
    job.until_condition("Retraining", "False", "NoFacts")
    made = job.body()["metadata"]["creationTimestamp"]
    job.core.create_namespaced_config_map(
        place.namespace,
        {
            "metadata": {"name": "facts", "labels": {"tickloom.dev/facts": "drifting"}},
            "data": {"facts.json": json.dumps({**FACTS, "made": made})},
        },
    )
    job.until(lambda: kubeflow.named("drift"), "the run is made, and its answer is on the way")
    operator.kill()
    operator.start().wait_until_leading()
    job.until_condition("Retraining", "True", "Pending")
    assert len(kubeflow.kubeflow.runs) == 1


@dataclass
class Loud:
    """Prices of ATW whose last month is three times as loud as before; those of IAM are away."""

    def history(self, ticker: str) -> Any:
        if ticker != "ATW":
            raise TickloomError(f"{ticker} has no final daily bars")
        moves = returns(700, 5)
        moves[-20:] *= 3
        return history(moves, "XCAS", ticker)

    def ledger(self, ticker: str) -> Any:
        return [], []

    def trained(self, ticker: str) -> None:
        return None


def watching(kube: Any, namespace: str, folder: Path) -> Cluster:
    """Return the API server as the watch's service account sees it, with the rights that the chart gives."""
    core, rights = client.CoreV1Api(kube), client.RbacAuthorizationV1Api(kube)
    text = (CHARTS / "watch" / "templates" / "rbac.yaml").read_text(encoding="utf-8")
    rules = yaml.safe_load(text[text.index("rules:") :].split("---")[0])["rules"]
    core.create_namespaced_service_account(namespace, {"metadata": {"name": "watch"}})
    rights.create_namespaced_role(namespace, {"metadata": {"name": "watch"}, "rules": rules})
    subject = {"kind": "ServiceAccount", "name": "watch", "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "watch"}
    rights.create_namespaced_role_binding(
        namespace, {"metadata": {"name": "watch"}, "roleRef": role, "subjects": [subject]}
    )
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}}
    token = core.create_namespaced_service_account_token("watch", namespace, asked).status.token
    (folder / "account").write_text(token, encoding="utf-8")
    return Cluster(kube.configuration.host, folder / "account", Path(kube.configuration.ssl_ca_cert))


def test_what_the_watch_finds_starts_a_run_and_its_facts_go_with_the_job(retraining, kubeflow, tmp_path: Path):
    place, _, _ = retraining
    job = place.job("loud").create(tickers=["ATW", "IAM"], retrain={**RETRAIN, "onLoss": {"enabled": False}})
    job.until_condition("Retraining", "False", "NoFacts")
    cluster = watching(place.kube, place.namespace, tmp_path)
    done = once(cluster, [place.namespace], lambda market: contextlib.nullcontext(Loud()), Question(features=False))
    assert (done.written, done.failed) == ([f"{place.namespace}/loud"], [])
    job.until(lambda: kubeflow.named("drift"), "the drift starts a run")
    (run,) = kubeflow.kubeflow.runs
    assert run["runtime_config"]["parameters"]["tickers"] == ["ATW"]
    job.until_condition("Retraining", "True", "Pending")
    again = once(cluster, [place.namespace], lambda market: contextlib.nullcontext(Loud()), Question(features=False))
    assert not again.failed, "facts are changed as well as made"
    with pytest.raises(TickloomError, match="403"):
        list(cluster.jobs("kube-system"))
    owner = cluster.config_map(place.namespace, "tickloom-facts-loud")["metadata"]["ownerReferences"][0]
    assert owner["uid"] == job.body()["metadata"]["uid"]


def test_an_expired_token_and_a_pool_that_is_not_there_are_conditions(retraining, kubeflow):
    place, _, token = retraining
    job = place.job("refused").create(retrain=RETRAIN)
    job.until_condition("Retraining", "False", "NoFacts")
    token.write_text("old", encoding="utf-8")
    job.annotate(retrain="one")
    told = job.until_condition("Retraining", "False", "Unauthorized")
    assert "token has expired" in told["message"]
    token.write_text(TOKEN, encoding="utf-8")
    job.until_condition("Retraining", "True", "Pending")
    poor = place.job("poor").create(
        tickers=["IAM"], retrain={**RETRAIN, "pipeline": {"gpus": 1, "nodeSelector": {"pool": "absent"}}}
    )
    poor.annotate(retrain="one")
    told = poor.until_condition("Retraining", "False", "PoolMissing")
    assert "pool=absent" in told["message"]


def test_the_younger_of_two_policies_for_a_ticker_names_both_and_a_suspended_job_waits(retraining, kubeflow):
    place, _, _ = retraining
    older = place.job("older").create(retrain=RETRAIN)
    older.until_condition("Retraining", "False", "NoFacts")
    time.sleep(1.1)  # a creation time has whole seconds
    younger = place.job("younger").create(retrain=RETRAIN)
    told = younger.until_condition("Retraining", "False", "TickerShared")
    assert f"{place.namespace}/older" in told["message"]
    assert f"{place.namespace}/younger" in told["message"]
    older.edit(state="suspended")
    older.annotate(retrain="one")
    older.until_condition("Retraining", "False", "Suspended")
    assert not kubeflow.kubeflow.runs
