"""Retraining at its edges: facts, other jobs, nodes, and the whole loop with its servers in memory."""

import asyncio
import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

pytest.importorskip("kubernetes", reason="needs the package kubernetes: install tickloom[operator]")
pytest.importorskip("aiohttp", reason="needs the package aiohttp: install tickloom[operator]")

from operators.streamjob import around, facts, names, read
from operators.streamjob.apply import Hand, Pace
from operators.streamjob.claims import policies
from operators.streamjob.cluster import Refused
from operators.streamjob.courier import Courier
from operators.streamjob.kfp import Kfp
from operators.streamjob.metrics import Metrics
from operators.streamjob.observe import see
from operators.streamjob.reconcile import Reconciler
from operators.streamjob.seen import Installation
from operators.streamjob.watched import Watched
from tests.unit.operator.kubeflow import TOKEN, Kubeflow
from tickloom.stream.facts import KEY

NOW = 1_710_000_000.0
CREATED = "2024-01-01T00:00:00Z"
HERE = Installation("stream:1", kubeflow="http://kfp", mlflow="http://mlflow")


def job(name="atw", namespace="default", tickers=("ATW",), created=CREATED, retrain=True, runs=(), version=1, **policy):
    meta = {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-{namespace}-{name}",
        "resourceVersion": str(version),
        "creationTimestamp": created,
        "generation": 1,
        "annotations": {names.RETRAIN: "now"},
    }
    spec = {
        "tickers": list(tickers),
        "market": "XCAS",
        "sinks": {"cassandra": {"keyspace": f"{namespace}_{name}".replace("-", "_")}},
        **({"retrain": policy} if retrain else {}),
    }
    status = {"retraining": {"since": CREATED, "runs": list(runs)}} if runs else {}
    return {"apiVersion": names.API_VERSION, "kind": "StreamJob", "metadata": meta, "spec": spec, "status": status}


def config_map(document, name="tickloom-facts-atw"):
    text = document if isinstance(document, str) else json.dumps(document)
    return {"kind": "ConfigMap", "metadata": {"name": name}, "data": {KEY: text}}


GOOD = {
    "v": 1,
    "made": "2024-03-01T22:10:00Z",
    "tickers": {
        "ATW": {
            "drift": {"found": True, "id": "2024-02-28", "what": "volatility", "since_then": 3},
            "loss": {"ratio": 1.08, "sessions": 22, "id": "2024-02-27"},
            "trained": "2023-11-30",
            "sessions": 61,
        },
        "IAM": {},
    },
}


def test_facts_are_read_and_unknown_fields_left_out():
    found = facts.read([config_map(GOOD)])
    assert not found.problem
    atw = found.tickers["ATW"]
    assert (atw.drift.found, atw.loss.ratio, str(atw.trained), atw.sessions) == (True, 1.08, "2023-11-30", 61)
    assert (found.tickers["IAM"].drift.found, found.tickers["IAM"].trained) == (False, None)
    # of Friday night; Casablanca's next session closes on Monday at 14:30 UTC
    monday = datetime(2024, 3, 4, 14, 30, tzinfo=UTC).timestamp()
    assert found.fresh(monday + 86_399, "XCAS")
    assert not found.fresh(monday + 86_400, "XCAS")
    assert not found.fresh(found.made + 400 * 86_400, "XCAS")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("{", "Invalid JSON"),
        ({**GOOD, "v": 2}, "v: "),
        ({"v": 1, "tickers": {}}, "made: "),
        ({**GOOD, "tickers": {"ATW": {"loss": {"ratio": "NaN"}}}}, "tickers.ATW.loss.ratio"),
        ({**GOOD, "tickers": {"ATW": {"trained": "yesterday"}}}, "tickers.ATW.trained"),
    ],
)
def test_facts_that_cannot_be_read_name_the_place_and_start_nothing(document, words):
    found = facts.read([config_map(document)])
    assert "tickloom-facts-atw" in found.problem
    assert words in found.problem
    assert not found.fresh(0.0, "XCAS")


def test_of_several_facts_the_newest_count():
    newer = {**GOOD, "made": "2024-03-02T22:10:00Z", "tickers": {}}
    assert facts.read([config_map(GOOD), config_map(newer), config_map("{")]).tickers == {}
    assert (
        facts.read([{"kind": "ConfigMap", "metadata": {"name": "x"}}]).problem == "ConfigMap x has no key 'facts.json'"
    )
    assert facts.read([]) is None


L4, T4 = {"gpu": "l4", "zone": "a"}, {"gpu": "t4", "zone": "b"}
OFFER = {"nvidia.com/gpu": "2"}


@pytest.mark.parametrize(
    ("labels", "gpus", "nodes", "words"),
    [
        ({"gpu": "l4"}, 0, [around.Node(L4, {})], None),
        ({"gpu": "l4"}, 2, [around.Node(L4, OFFER)], None),
        ({}, 1, [around.Node(L4, OFFER)], None),
        ({"gpu": "a100"}, 1, [around.Node(L4, OFFER)], "no node has the label gpu=a100 (there is l4)"),
        ({"pool": "x"}, 1, [around.Node(L4, OFFER)], "no node has the label pool=x"),
        ({"gpu": "l4"}, 1, [], "no node has the label gpu=l4"),
        (
            {"gpu": "l4", "zone": "b"},
            1,
            [around.Node(L4, OFFER), around.Node(T4, OFFER)],
            "no node has all of the labels gpu=l4, zone=b",
        ),
        ({"gpu": "l4"}, 3, [around.Node(L4, OFFER)], "no node with gpu=l4 offers 3 nvidia.com/gpu"),
        ({}, 1, [around.Node(L4, {})], "no node offers 1 nvidia.com/gpu"),
    ],
)
def test_what_no_node_has_is_named(labels, gpus, nodes, words):
    assert around.missing(labels, gpus, "nvidia.com/gpu", nodes) == words


class Api:
    """An API server in memory that refuses a status whose version is old."""

    def __init__(self, *jobs, nodes=()):
        self.objects = {("StreamJob", it["metadata"]["namespace"], it["metadata"]["name"]): it for it in jobs}
        self.nodes, self.version, self.events, self.lock = nodes, 100, [], threading.Lock()

    def get(self, kind, namespace, name):
        return self.objects.get((kind, namespace, name))

    def list(self, kind, namespace, selector=None):
        if kind == "Node":
            if isinstance(self.nodes, Exception):
                raise self.nodes
            return list(self.nodes)
        return []

    def apply(self, manifest, *, subresource=""):
        meta = manifest["metadata"]
        key = (manifest["kind"], meta["namespace"], meta["name"])
        with self.lock:
            old = self.objects.get(key)
            if "resourceVersion" in meta and old["metadata"]["resourceVersion"] != meta["resourceVersion"]:
                raise Refused(409, "it was changed")
            self.version += 1
            body = json.loads(json.dumps(manifest))
            if old is not None and subresource:
                body = {**old, "status": body["status"]}
            elif old is not None and manifest["kind"] == "StreamJob":
                body = {**old, "metadata": {**old["metadata"], "finalizers": meta["finalizers"]}}
            body["metadata"] = {
                "uid": f"uid-{self.version}", **body["metadata"], "resourceVersion": str(self.version),
            }  # fmt: skip
            self.objects[key] = body
            return body

    def create(self, manifest):
        self.events.append((manifest["reason"], manifest["message"]))
        return {}

    def delete(self, *_):
        pass

    def installed(self):
        return frozenset()

    def status(self, name="atw"):
        return self.objects[("StreamJob", "default", name)].get("status") or {}

    def retraining(self, name="atw"):
        return next((it for it in self.status(name).get("conditions", ()) if it["type"] == "Retraining"), None)


class Index:
    """What the watching would have put into an index by now, or, where it is late, a while ago."""

    def __init__(self, api, of):
        self.api, self.of, self.late = api, of, None

    def _all(self):
        bodies = [it for (kind, *_), it in self.api.objects.items() if kind == "StreamJob"]
        return self.late if self.late is not None else [pair for body in bodies for pair in self.of(body).items()]

    def freeze(self):
        self.late = self._all()

    def get(self, key, default=()):
        return [value for known, value in self._all() if known == key] or default

    def __contains__(self, key):
        return any(known == key for known, _ in self._all())


def packed(body):
    meta = body["metadata"]
    return {(meta["namespace"], meta["name"]): read.packed(body, meta["name"])}


def underway(body):
    found = around.underway(body)
    return {} if found.run is None else {found.job[0]: found}


def watching(api, **more):
    return Watched(api, Index(api, packed), (), {}, Index(api, policies), Index(api, underway), **more)


def seen(api, name="atw", namespace="default"):
    return see(watching(api), (namespace, name), HERE, None, NOW)


def test_the_older_of_two_policies_for_a_model_is_seen_by_the_younger_alone_in_any_namespace():
    older = job("older", "other", ["ATW", "IAM"], created="2023-01-01T00:00:00Z")
    api = Api(older, job(), job("calm", retrain=False, created="2022-01-01T00:00:00Z"))
    assert seen(api).rivals == {"ATW": "other/older"}
    assert seen(api, "older", "other").rivals == {}
    assert seen(api, "calm").rivals == {}


def test_runs_of_other_jobs_of_the_namespace_count_and_its_own_does_not():
    running = {"name": "retrain-x", "state": "Running"}
    ended = {"name": "retrain-y", "state": "Failed"}
    api = Api(job(runs=[running]), job("b", runs=[running]), job("c", runs=[ended]), job("d", "far", runs=[running]))
    assert seen(api).busy == ("retrain-x",)


@pytest.mark.parametrize(
    ("nodes", "missing"),
    [((), "no node has the label gpu=l4"), (Refused(403, "may not"), None)],
)
def test_nodes_are_asked_where_a_policy_names_them_and_may_be_hidden(nodes, missing):
    api = Api(job(pipeline={"nodeSelector": {"gpu": "l4"}}), nodes=nodes)
    assert seen(api).missing == missing
    assert seen(Api(job(), nodes=nodes)).missing is None


class Loop:
    """The operator's loop, with a Kubeflow beside it that runs in a thread of its own."""

    def __init__(self, tmp_path, api, kubeflow):
        token = tmp_path / "token"
        token.write_text(TOKEN, encoding="utf-8")
        self.kubeflow, self.api, self.token, self._up = kubeflow, api, token, threading.Event()
        metrics, self.watched = Metrics(), watching(api)
        self.reconciler = Reconciler(
            self.watched, Hand(api, self.watched, Pace(100, 100), metrics), HERE, metrics, resync_s=0.2
        )
        self.thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    async def _serve(self):
        self.loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        kfp = Kfp(await self.kubeflow.start(), self.token, timeout_s=0.3)
        courier = Courier(kfp, self.reconciler.heard, every_s=(0.05, 0.05))
        self.reconciler.hand.runs, self.reconciler.follow = courier, courier.follow
        task = asyncio.create_task(courier.run())
        self._up.set()
        await self._end.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await self.kubeflow.stop()

    def __enter__(self):
        self.thread.start()
        assert self._up.wait(5)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self._end.set)
        self.thread.join(5)

    def until(self, check, *jobs):
        for _ in range(200):
            for name in jobs or ("atw",):
                self.reconciler.look(("default", name))
            if check():
                return
            threading.Event().wait(0.02)
        raise AssertionError((self.api.retraining(), self.api.events))


def test_a_run_goes_from_the_annotation_to_its_end(tmp_path):
    api, kubeflow = Api(job()), Kubeflow()
    with Loop(tmp_path, api, kubeflow) as loop:
        loop.until(lambda: (api.retraining() or {}).get("reason") == "Pending")
        (run,) = kubeflow.runs
        assert run["runtime_config"]["parameters"]["policy"] == "default/atw"
        kubeflow.change(run["display_name"], state="RUNNING")
        loop.until(lambda: api.retraining()["reason"] == "Running")
        kubeflow.change(run["display_name"], state="FAILED", state_history=[{"error": {"message": "out of memory"}}])
        loop.until(lambda: api.retraining()["reason"] == "RunFailed")
    assert "out of memory" in api.retraining()["message"]
    assert [reason for reason, _ in api.events if "Retrain" in reason] == [
        "Retraining", "RetrainingStarted", "RetrainingFailed",
    ]  # fmt: skip


def test_an_expired_token_becomes_the_condition_and_a_new_one_lets_the_run_through(tmp_path, monkeypatch):
    monkeypatch.setattr("operators.streamjob.planner.retraining.FIRST_PAUSE_S", 0.2)
    api, kubeflow = Api(job()), Kubeflow(token="other")
    with Loop(tmp_path, api, kubeflow) as loop:
        loop.until(lambda: (api.retraining() or {}).get("reason") == "Unauthorized")
        assert "token has expired" in api.retraining()["message"]
        loop.token.write_text("other", encoding="utf-8")
        loop.until(lambda: api.retraining()["reason"] == "Pending")
    assert len(kubeflow.runs) == 1


@pytest.mark.parametrize("fault", ["timeout", "reset", "made-500", "unmade", 500, 409])
def test_after_each_fault_there_is_one_run(tmp_path, monkeypatch, fault):
    monkeypatch.setattr("operators.streamjob.planner.retraining.SETTLE_S", 1.0)
    api, kubeflow = Api(job()), Kubeflow(faults=[fault])
    with Loop(tmp_path, api, kubeflow) as loop:
        loop.until(lambda: (api.retraining() or {}).get("reason") == "Pending")
        loop.until(lambda: True)
    assert len(kubeflow.runs) == 1


def test_ten_looks_at_once_from_old_copies_make_one_run(tmp_path):
    api, kubeflow = Api(job()), Kubeflow()
    with Loop(tmp_path, api, kubeflow) as loop:
        loop.watched.jobs.freeze()
        with ThreadPoolExecutor(10) as pool:
            list(pool.map(lambda _: loop.reconciler.look(("default", "atw")), range(10)))
        loop.watched.jobs.late = None
        loop.until(lambda: api.retraining()["reason"] == "Pending")
    assert len(kubeflow.runs) == 1
    assert sum(method == "POST" for method, _ in kubeflow.requests) == 1


def test_of_jobs_that_start_at_once_so_many_run_as_the_policy_allows_even_when_the_watching_is_late(tmp_path):
    jobs = [job(f"job-{number}", tickers=[ticker]) for number, ticker in enumerate(["ATW", "IAM", "BCP", "LHM"])]
    names_ = [it["metadata"]["name"] for it in jobs]
    api, kubeflow = Api(*jobs), Kubeflow()
    with Loop(tmp_path, api, kubeflow) as loop:
        loop.watched.runs.freeze()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda name: loop.reconciler.look(("default", name)), names_))
        loop.until(lambda: len(kubeflow.runs) >= 1, *names_)
        reasons = sorted(api.retraining(name)["reason"] for name in names_)
    assert len(kubeflow.runs) == 1
    assert reasons.count("Queued") == 3


def test_planning_imports_neither_frames_nor_arrays():
    code = (
        "import sys; from tests.unit.operator.test_retraining import world, CLOSE; "
        "made = world(schedule='nightly'); made.now = CLOSE + 3700; made.settle(); assert made.sent; "
    )
    check = "print([name for name in ('pandas', 'exchange_calendars', 'cassandra') if name in sys.modules])"
    # hypothesis and pytest come with the test's module, and bring no frames
    done = subprocess.run([sys.executable, "-c", code + check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
