"""Verbs that talk to Kubeflow, with its own client, against a server that speaks its protocol."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.pipelining import pipelines, require_environment

TOKEN = "s3cret"
BASE = "/apis/v2beta1"


class Kubeflow(ThreadingHTTPServer):
    """Pipelines, versions, runs and schedules in memory."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.there = {"pipelines": [], "versions": [], "experiments": [], "runs": [], "recurringruns": []}
        self.uploads = 0

    @property
    def host(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, status, body):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def refused(self):
        if self.headers.get("Authorization") == f"Bearer {TOKEN}":
            return False
        self.body()
        self.answer(401, {"code": 16, "message": "Review.Status.Authenticated is false"})
        return True

    def do_GET(self):
        if self.refused():
            return
        url = urlsplit(self.path)
        there, path, query = self.server.there, url.path.removeprefix(BASE), parse_qs(url.query)
        if path == "/healthz":
            self.answer(200, {"multi_user": False})
        elif path.endswith("/versions"):
            self.answer(200, {"pipeline_versions": there["versions"]})
        else:
            kind = path.strip("/")
            items = there[kind]
            if "filter" in query:
                (predicate,) = json.loads(query["filter"][0])["predicates"]
                items = [
                    it
                    for it in items
                    if it["display_name"] == (predicate.get("stringValue") or predicate["string_value"])
                ]
            self.answer(200, {{"recurringruns": "recurringRuns"}.get(kind, kind): items, "total_size": len(items)})

    def do_POST(self):
        if self.refused():
            return
        url = urlsplit(self.path)
        there, path, query = self.server.there, url.path.removeprefix(BASE), parse_qs(url.query)
        content = self.body()
        if path.startswith("/pipelines/upload"):
            self.server.uploads += 1
            assert b"tickloom-" in content
            made = {"pipeline_id": "p1", "display_name": query["name"][0]}
            if path.endswith("upload_version"):
                made |= {"pipeline_id": query["pipelineid"][0], "pipeline_version_id": f"v{self.server.uploads}"}
                there["versions"].append(made)
            else:
                there["pipelines"].append(made)
        else:
            kind = path.strip("/")
            made = {**json.loads(content), "created_at": "2024-03-01T21:30:00Z"}
            key = {"experiments": "experiment_id", "runs": "run_id", "recurringruns": "recurring_run_id"}[kind]
            made[key] = f"{kind}-{len(there[kind])}"
            there[kind].append(made)
        self.answer(200, made)


@pytest.fixture
def kubeflow():
    require_environment()
    server = Kubeflow()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def call(server, *words, token=TOKEN):
    return pipelines(*words, "--host", server.host, env={"TICKLOOM_KFP_TOKEN": token}, timeout=120)


def test_a_run_is_submitted_and_the_same_pipeline_is_uploaded_once(kubeflow):
    words = ("submit", "retrain", "--tickers", "AAPL,MSFT", "--pool", "gke-spot", "--limit", "ratio=1.02", "--json")
    first = call(kubeflow, *words, "--name", "mine")
    assert first.returncode == 0, first.stderr
    told = json.loads(first.stdout)
    assert told["name"] == "mine"
    assert told["page"].endswith(told["run"])
    uploads = kubeflow.uploads
    assert [it["display_name"] for it in kubeflow.there["pipelines"]] == ["tickloom-retrain"]
    assert call(kubeflow, *words).returncode == 0
    assert kubeflow.uploads == uploads
    run, again = kubeflow.there["runs"]
    assert run["display_name"] == "mine"
    assert re.fullmatch(r"retrain-\d{8}T\d{6}Z", again["display_name"])
    assert run["pipeline_version_reference"]["pipeline_id"] == "p1"
    given = run["runtime_config"]["parameters"]
    assert (given["tickers"], given["market"]) == (["AAPL", "MSFT"], "XNYS")
    assert given["gpus"] == "1"
    assert given["limits"] == {"ratio": 1.02}
    assert given["node_selector"] == {"cloud.google.com/gke-spot": "true"}


def test_gpus_without_a_pool_are_sent_and_it_is_said_where_they_may_be(kubeflow):
    words = ("submit", "retrain", "--tickers", "AAPL", "--gpus", "2", "--json")
    done = call(kubeflow, *words)
    assert (done.returncode, json.loads(done.stdout)["name"][:7]) == (0, "retrain")
    assert "2 GPUs of any node that offers nvidia.com/gpu and has no taint; --pool" in done.stderr
    assert kubeflow.there["runs"][0]["runtime_config"]["parameters"]["gpus"] == "2"
    named = call(kubeflow, *words, "--param", 'node_selector={"gpu": "l4"}')
    assert (named.returncode, "GPUs of any node" in named.stderr) == (0, False)


def test_pipelines_are_uploaded_without_a_run_and_once(kubeflow):
    done = call(kubeflow, "upload", "backfill", "evaluate-only", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [it["name"] for it in told] == ["tickloom-backfill", "tickloom-evaluate-only"]
    assert [it["display_name"] for it in kubeflow.there["pipelines"]] == [it["name"] for it in told]
    assert not kubeflow.there["runs"]
    uploads = kubeflow.uploads
    assert call(kubeflow, "upload", "backfill").returncode == 0
    assert kubeflow.uploads == uploads


def test_a_schedule_starts_one_run_at_a_time(kubeflow):
    done = call(kubeflow, "schedule", "backfill", "--cron", "0 30 21 * * 1-5", "--tickers", "ATW", "--json")
    assert done.returncode == 0, done.stderr
    (made,) = kubeflow.there["recurringruns"]
    assert made["trigger"]["cron_schedule"]["cron"] == "0 30 21 * * 1-5"
    assert (int(made["max_concurrency"]), made["no_catchup"]) == (1, True)
    assert made["runtime_config"]["parameters"] == {"tickers": ["ATW"], "market": "XCAS"}


def test_what_there_is_is_listed(kubeflow):
    assert call(kubeflow, "submit", "evaluate-only", "--tickers", "AAPL", "--name", "one").returncode == 0
    done = call(kubeflow, "list", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [it["name"] for it in found["runs"]] == ["one"]
    assert [it["name"] for it in found["pipelines"]] == ["tickloom-evaluate-only"]
    assert found["schedules"] == []


def test_an_expired_token_is_a_sentence(kubeflow):
    done = call(kubeflow, "list", token="old")
    assert done.returncode == 1
    assert "refuses the token (401" in done.stderr
    assert "TICKLOOM_KFP_TOKEN" in done.stderr
    assert "old" not in done.stderr.split()


def test_a_kubeflow_that_is_away_is_a_sentence(kubeflow):
    kubeflow.server_close()
    done = call(kubeflow, "list")
    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("submit", "retrain"), "--tickers is missing"),
        (("submit", "retrain", "--tickers", "AAPL,AAPL"), "each named once"),
        (("submit", "retrain", "--tickers", "AAPL,ATW"), "are of XCAS, XNYS; a run is of one market"),
        (
            ("submit", "backfill", "--tickers", "AAPL", "--models", "ridge"),
            "backfill takes no models; it takes folder,",
        ),
        (("submit", "nightly", "--tickers", "AAPL"), "pipeline 'nightly' is unknown; known: retrain, backfill"),
        (("submit", "retrain", "--tickers", "AAPL", "--pool", "moon"), "pool 'moon' is unknown; known: gke"),
        (("submit", "retrain", "--tickers", "AAPL", "--param", "seed"), "must be NAME=VALUE, such as seed=7"),
        (("schedule", "retrain", "--cron", "0 5 * * *", "--tickers", "AAPL"), "must have six fields"),
        (("schedule", "retrain", "--cron", "0 99 5 * * *", "--tickers", "AAPL"), "minute '99' must be *, 0 to 59"),
        (("run", "retrain", "--tickers", "AAPL"), "say --local to run retrain on this machine"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_sent(words, said):
    require_environment()
    host = () if words[0] == "run" else ("--host", "http://127.0.0.1:1")
    done = pipelines(*words, *host)
    assert done.returncode == 1
    assert said in done.stderr.strip().splitlines()[-1]


def test_without_an_environment_for_kfp_it_is_said_how_to_make_one(tmp_path):
    done = pipelines("list", env={"TICKLOOM_PIPELINES": str(tmp_path)})
    assert done.returncode == 1
    assert "`make setup-pipelines` makes it" in done.stderr


@pytest.mark.parametrize("verb", ["compile", "run", "upload", "submit", "schedule", "list"])
def test_help_needs_no_kfp_and_ends_with_an_example(tmp_path, verb):
    done = pipelines(verb, "--help", env={"TICKLOOM_PIPELINES": str(tmp_path)})
    assert done.returncode == 0
    assert "tickloom pipelines" in done.stdout.split("Example")[-1]
    assert "--json" in done.stdout
