"""Kubeflow Pipelines asked over its own protocol: what is understood, and what is made of faults."""

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

pytest.importorskip("aiohttp", reason="needs the package aiohttp: install tickloom[operator]")

from operators.streamjob.actions import Submit
from operators.streamjob.courier import Courier
from operators.streamjob.kfp import Kfp
from operators.streamjob.kfp_answers import KfpError, expiry, fitted, parameter_types
from operators.streamjob.planner.submission import parameters
from operators.streamjob.retrained import Run
from operators.streamjob.seen import Installation, Seen
from operators.streamjob.validate import read
from tests.unit.operator.kubeflow import TOKEN, TYPES, Kubeflow

KEY = ("default", "atw")
NAME = "retrain-atw-0123456789"
TOLD = {"tickers": ["AAPL"], "market": "XNYS", "gpus": 1, "node_selector": {"gpu": "l4"}}


@asynccontextmanager
async def served(tmp_path, server=None, **more):
    server = server or Kubeflow()
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n", encoding="utf-8")
    address = await server.start()
    client = Kfp(address, token, timeout_s=0.3, **more)
    try:
        yield server, client
    finally:
        await client.close()
        await server.stop()


def told(kfp_coroutine):
    return asyncio.run(kfp_coroutine)


def test_a_run_is_made_found_and_followed(tmp_path):
    async def go():
        async with served(tmp_path) as (server, kfp):
            assert await kfp.find(NAME) is None
            made = await kfp.create(NAME, "tickloom-retrain", TOLD, "why")
            assert (made.run.id, made.run.state) == ("run-0", "Pending")
            assert made.run.finished_at is None, "1970 is no time"
            assert (await kfp.find(NAME)).run == made.run
            server.change(NAME, state="SUCCEEDED", finished_at="2024-03-01T22:30:00Z")
            done = (await kfp.get("run-0")).run
            assert (done.state, done.finished_at - done.created_at) == ("Succeeded", 3600)
            return server.runs

    (run,) = told(go())
    assert run["pipeline_version_reference"] == {"pipeline_id": "p-tickloom-retrain", "pipeline_version_id": "v-2"}
    assert run["runtime_config"] == {"parameters": {**TOLD, "gpus": "1"}}, "the pipeline takes GPUs as text"
    assert (run["display_name"], run["description"]) == (NAME, "why")


def test_a_name_in_other_capitals_is_another_run(tmp_path):
    async def go():
        async with served(tmp_path) as (_, kfp):
            await kfp.create(NAME.upper(), "tickloom-retrain", TOLD)
            return await kfp.find(NAME)

    assert told(go()) is None


def test_a_run_that_was_deleted_is_none(tmp_path):
    async def go():
        async with served(tmp_path) as (_, kfp):
            return await kfp.get("nobody")

    assert told(go()) is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"state_history": [{"state": "FAILED", "error": {"code": 13, "message": "no node fits"}}]}, "no node fits"),
        (
            {"run_details": {"task_details": [{"display_name": "train", "error": {"code": 9, "message": "killed"}}]}},
            "train: killed",
        ),
        ({}, "Kubeflow Pipelines tells no reason; the report of its step conclude does"),
    ],
)
def test_what_a_run_says_of_its_failure_is_told(tmp_path, body, words):
    async def go():
        async with served(tmp_path) as (server, kfp):
            await kfp.create(NAME, "tickloom-retrain", TOLD)
            server.change(NAME, state="FAILED", **body)
            return await kfp.find(NAME)

    found = told(go())
    assert (found.run.state, found.text) == ("Failed", words)


@pytest.mark.parametrize(
    ("fault", "kind", "made"),
    [
        ("timeout", "unknown", 1),
        ("unmade", "unknown", 0),
        ("reset", "unknown", 1),
        ("unmade-reset", "unknown", 0),
        ("made-500", "unknown", 1),
        ("garbage", "unknown", 1),
        (500, "unknown", 0),
        (503, "unknown", 0),
        (409, "unknown", 0),
        (400, "refused", 0),
        (401, "denied", 0),
        (403, "denied", 0),
    ],
)
def test_of_each_fault_it_is_known_whether_the_run_may_be_there(tmp_path, fault, kind, made):
    async def go():
        async with served(tmp_path, Kubeflow(faults=[fault])) as (server, kfp):
            with pytest.raises(KfpError) as error:
                await kfp.create(NAME, "tickloom-retrain", TOLD)
            return error.value.kind, len(server.runs)

    assert told(go()) == (kind, made)


def test_nobody_who_listens_is_no_unknown_answer(tmp_path):
    async def go():
        kfp = Kfp("http://127.0.0.1:1")
        with pytest.raises(KfpError) as error:
            await kfp.create(NAME, "tickloom-retrain", TOLD)
        await kfp.close()
        return error.value.kind

    assert told(go()) == "unreachable"


@pytest.mark.parametrize(
    ("server", "more", "words"),
    [
        (Kubeflow(pipelines=[]), {}, "there is no pipeline 'tickloom-retrain'"),
        (Kubeflow(parameters={"tickers": "LIST", "market": "STRING"}), {}, "has no parameter 'gpus'"),
        (Kubeflow(), {"experiment": "markets"}, "there is no experiment 'markets'"),
    ],
)
def test_what_is_not_there_is_named(tmp_path, server, more, words):
    async def go():
        async with served(tmp_path, server, **more) as (_, kfp):
            with pytest.raises(KfpError, match=words):
                await kfp.create(NAME, "tickloom-retrain", TOLD)
            return len(server.runs)

    assert told(go()) == 0


def test_the_token_is_read_anew_for_each_request(tmp_path):
    async def go():
        async with served(tmp_path) as (server, kfp):
            await kfp.find(NAME)
            server.token = "renewed"
            with pytest.raises(KfpError) as error:
                await kfp.find(NAME)
            (tmp_path / "token").write_text("renewed", encoding="utf-8")
            await kfp.find(NAME)
            return error.value

    error = told(go())
    assert error.kind == "denied"
    assert "token has expired" in str(error)


def test_a_token_that_has_ended_is_told_with_its_time(tmp_path):
    claims = base64.urlsafe_b64encode(json.dumps({"exp": 1_700_000_000}).encode()).decode().rstrip("=")

    async def go():
        async with served(tmp_path) as (_, kfp):
            (tmp_path / "token").write_text(f"head.{claims}.signature", encoding="utf-8")
            with pytest.raises(KfpError, match="lasts until 2023-11-14T22:13:20Z"):
                await kfp.find(NAME)

    told(go())
    assert expiry("no token at all") is None


COMPILED = Path(__file__).parents[3] / "pipelines" / "compiled" / "retrain.yaml"


@pytest.mark.skipif(not COMPILED.exists(), reason="needs pipelines/compiled/retrain.yaml")
def test_the_compiled_pipeline_takes_every_parameter_that_the_operator_may_send():
    policy = {"pipeline": {"gpus": 1, "nodeSelector": {"a": "b"}, "tolerations": [{"operator": "Exists"}]}}
    spec = read({"tickers": ["ATW"], "market": "XCAS", "retrain": policy}, "atw")
    here = Installation("stream:1", mlflow="http://mlflow")
    told = parameters(Seen(0.0, "atw", "default", "uid", 1, here), spec, followed(tickers=("ATW",)))
    types = parameter_types(next(yaml.safe_load_all(COMPILED.read_text(encoding="utf-8"))))
    assert told.keys() <= types.keys()
    assert types["tickers"] == "LIST"
    for name, value in fitted(told, types).items():
        assert isinstance(value, TYPES[types[name]]), name


def submit(attempt=1) -> Submit:
    return Submit(NAME, attempt, "tickloom-retrain", TOLD, "", "")


def followed(attempt=1, **more) -> Run:
    return Run(name=NAME, trigger="nightly", due=0.0, state="Submitting", attempt=attempt, sent_at=0.0, **more)


@asynccontextmanager
async def courier(tmp_path, server=None):
    async with served(tmp_path, server) as (server, kfp):
        heard = []
        made = Courier(kfp, lambda key, answer: heard.append(answer), every_s=(0.01, 0.01))
        task = asyncio.create_task(made.run())
        try:
            yield server, made, heard
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(check, seconds=8.0):
    async with asyncio.timeout(seconds):
        while not check():
            await asyncio.sleep(0.01)


def test_ten_of_one_submission_make_one_run(tmp_path):
    async def go():
        async with courier(tmp_path) as (server, made, heard):
            for number in range(10):
                made.send(KEY, submit(number + 1))
                await until(lambda n=number: any(it.attempt == n + 1 for it in heard))
            return server, heard

    server, heard = told(go())
    assert len(server.runs) == 1
    assert {it.run.id for it in heard} == {"run-0"}


@pytest.mark.parametrize("fault", ["timeout", "reset", "made-500", "garbage"])
def test_a_run_whose_answer_was_lost_is_found_by_its_name(tmp_path, fault):
    async def go():
        async with courier(tmp_path, Kubeflow(faults=[fault])) as (server, made, heard):
            made.send(KEY, submit())
            await until(lambda: heard)
            assert (heard[0].kind, heard[0].submitted) == ("unknown", True)
            made.follow(KEY, followed())
            await until(lambda: heard[-1].kind == "found")
            made.send(KEY, submit(2))
            await until(lambda: heard[-1].attempt == 2)
            return server

    server = told(go())
    assert len(server.runs) == 1
    assert sum(method == "POST" for method, _ in server.requests) == 1


def test_a_run_that_was_never_made_is_absent_and_then_sent_again(tmp_path):
    async def go():
        async with courier(tmp_path, Kubeflow(faults=[500])) as (server, made, heard):
            made.send(KEY, submit())
            made.follow(KEY, followed())
            await until(lambda: any(it.kind == "absent" for it in heard))
            made.send(KEY, submit(2))
            await until(lambda: any(it.attempt == 2 and it.kind == "found" for it in heard))
            return server

    assert len(told(go()).runs) == 1


def test_an_attempt_that_was_clearly_refused_is_not_looked_for(tmp_path):
    async def go():
        async with courier(tmp_path, Kubeflow(faults=[400])) as (server, made, heard):
            made.follow(KEY, followed())
            made.send(KEY, submit())
            await until(lambda: any(it.kind == "refused" for it in heard))
            before = len(server.requests)
            await asyncio.sleep(0.8)
            assert heard[-1].kind == "refused"
            return len(server.requests) - before

    assert told(go()) == 0


def test_an_operator_that_does_not_lead_sends_nothing(tmp_path):
    async def go():
        async with courier(tmp_path) as (server, made, heard):
            made.leading = lambda: False
            made.send(KEY, submit())
            await asyncio.sleep(0.6)
            return server, heard

    server, heard = told(go())
    assert not server.runs
    assert not heard


def test_a_server_that_cannot_be_asked_beforehand_is_sent_nothing(tmp_path):
    async def go():
        async with courier(tmp_path, Kubeflow(away=503)) as (server, made, heard):
            made.send(KEY, submit())
            await until(lambda: heard)
            return server, heard[0]

    server, answer = told(go())
    assert (answer.kind, answer.submitted) == ("unreachable", True)
    assert not any(method == "POST" for method, _ in server.requests)
