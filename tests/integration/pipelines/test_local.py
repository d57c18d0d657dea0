"""The pipeline as a user runs it on one machine: real prices, real MLflow, the real gate, each step a process."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from pipelines.runtime import MARK
from tests.pipelining import ROOT, pipelines, require_environment
from tickloom.forecast import package
from tickloom.forecast.registry import Registry, local_uri
from tickloom.forecast.versions import CHAMPION
from tickloom.retrain import steps
from tickloom.retrain.division import case

SESSIONS = 900
SMALL = (
    "--folds",
    2,
    "--test",
    60,
    "--option",
    "lstm.epochs=3",
    "--option",
    "lstm.shrink=false",
    "--param",
    "least=800",
    "--cache",
)


@pytest.fixture(scope="module")
def data(market_data, tmp_path_factory):
    """The last sessions of two tickers, and too few of a third."""
    require_environment()
    folder = tmp_path_factory.mktemp("data")
    for ticker, sessions in (("AAPL", SESSIONS), ("MSFT", SESSIONS), ("CAT", 30)):
        head, *rows = (market_data / "us_daily" / f"{ticker}.csv").read_text().splitlines()
        (folder / f"{ticker}.csv").write_text("\n".join([head, *rows[-sessions:]]) + "\n")
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def run(data, home):
    """A run of two tickers and two models, of which one training is killed when it has a checkpoint."""
    words = (
        "run",
        "retrain",
        "--local",
        "--tickers",
        "AAPL,MSFT,CAT",
        "--data",
        data,
        *SMALL,
        "--home",
        home,
        "--json",
    )
    command = [sys.executable, "-m", "tickloom.cli.main", "pipelines", *map(str, words)]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
    )
    killed = None
    try:
        while killed is None and process.poll() is None:
            states = [it for it in (home / "pipelines" / "checkpoints").glob("*/*") if it.is_file()]
            killed = kill(process.pid) if states else None
            time.sleep(0.05)
        said, _ = process.communicate(timeout=900)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, said
    return {**json.loads(said), "killed": killed}


def kill(parent):
    """Kill one process that trains, as a lost node does, and return its id; None where there is none."""
    for child in psutil.Process(parent).children(recursive=True):
        try:
            words = child.cmdline()
        except psutil.Error:
            continue
        if "kfp.dsl.executor_main" in words and words[words.index("--function_to_execute") + 1] == "train":
            child.kill()
            return child.pid
    return None


def test_each_ticker_and_model_comes_to_its_end(run):
    rows = {(it["ticker"], it["model"]): it for it in run["rows"]}
    assert set(rows) == {("AAPL", "lstm"), ("AAPL", "ridge"), ("MSFT", "lstm"), ("MSFT", "ridge"), ("CAT", None)}
    assert rows["CAT", None]["outcome"] == "skipped"
    assert "only 30 sessions; 800 are needed" in rows["CAT", None]["why"]
    judged = [it for it in run["rows"] if it["model"]]
    assert {it["outcome"] for it in judged} <= {"registered", "refused"}
    assert all(it["verdict"] in {"beats_naive", "indistinguishable", "worse"} for it in judged)
    page = Path(run["report"]).read_text(encoding="utf-8")
    assert "only 30 sessions" in page
    assert "naive_test" in page


def test_a_training_that_was_killed_was_tried_again(run):
    assert run["killed"] is not None
    said = [it.partition(MARK)[2] for it in Path(run["log"]).read_text(encoding="utf-8").splitlines() if MARK in it]
    told = [json.loads(it) for it in said]
    trained = [(it["ticker"], it["state"]) for it in told if it["step"] == "train" and it["model"] == "lstm"]
    assert [state for _, state in trained].count("begins") == 3
    assert sorted(ticker for ticker, state in trained if state == "done") == ["AAPL", "MSFT"]


def test_the_training_that_was_killed_ends_with_the_same_model(run, home, tmp_path):
    said = {(it["step"], it.get("ticker"), it.get("model")): folder for folder, it in results(home)}
    bars, plan = said["extract", None, None], said["split", None, None]
    for ticker in ("AAPL", "MSFT"):
        told = steps.train(
            ticker=ticker, model="lstm", market="XNYS", extracted=bars, plan=plan,
            tuned=said["tune", ticker, "lstm"], out=tmp_path / ticker,
        )  # fmt: skip
        assert len(told["epochs"]) == 3
        found = case(ticker, bars, plan, "XNYS")
        rows = np.arange(SESSIONS - 60, SESSIONS)
        whole, theirs = (
            package.read(it)[0].predict(found.frame, rows).mean
            for it in (tmp_path / ticker, said["train", ticker, "lstm"])
        )
        np.testing.assert_allclose(theirs, whole, rtol=0, atol=1e-6)
        assert np.abs(whole).max() > 1e-6  # and they are forecasts


def results(home):
    """Yield the folder and the result of each step of the first run."""
    for path in sorted((home / "pipelines" / "artifacts").rglob("result.json")):
        yield path.parent, json.loads(path.read_text(encoding="utf-8"))


def test_what_passed_is_registered_beside_the_champion(run, home):
    registry = Registry(local_uri(home))
    for ticker in ("AAPL", "MSFT"):
        passed = {it["version"] for it in run["rows"] if it["ticker"] == ticker and it["outcome"] == "registered"}
        versions = registry.versions("XNYS", ticker)
        assert {it.number for it in versions if it.model != "random_walk"} == passed
        assert [it.model for it in versions if CHAMPION in it.aliases] == (["random_walk"] if passed else [])


def test_what_is_there_is_not_done_again_and_a_failure_leaves_the_others(run, data, home):
    before = {it: Registry(local_uri(home)).versions("XNYS", it) for it in ("AAPL", "MSFT")}
    words = (
        "--tickers",
        "AAPL,MSFT,CAT",
        "--data",
        data,
        *SMALL,
        "--home",
        home,
        "--models",
        "ridge,lstm,bilstm",
        "--option",
        "bilstm.window=5000",
    )
    done = pipelines("run", "retrain", "--local", *words, "--json")
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    outcomes = {(it["ticker"], it["model"]): it["outcome"] for it in told["rows"]}
    assert outcomes["AAPL", "bilstm"] == outcomes["MSFT", "bilstm"] == "failed"
    same = {(it["ticker"], it["model"]): it["outcome"] for it in run["rows"] if it["model"]}
    assert {key: outcomes[key] for key in same} == same
    assert "2 of 6 models failed" in done.stderr.strip().splitlines()[-1]
    for step in ("validate", "split", "evaluate", "train"):  # taken from the cache, or left out
        assert f"{step:9} AAPL ridge" not in done.stderr
        assert f"{step:9} " + " " * 16 not in done.stderr
    for ticker, versions in before.items():
        now = Registry(local_uri(home)).versions("XNYS", ticker)
        assert [it for it in now if CHAMPION in it.aliases] == [it for it in versions if CHAMPION in it.aliases]


def test_features_are_made_anew(data, home):
    done = pipelines(
        "run", "backfill", "--local", "--tickers", "AAPL", "--data", data, "--home", home, "--param", "least=800"
    )
    assert done.returncode == 0, done.stderr
    assert len(list((home / "pipelines" / "artifacts").glob("tickloom-backfill-*/features/frames/AAPL.parquet"))) == 1


def test_a_backfill_of_a_file_that_cannot_be_read_says_so_and_alone_fails(data, home):
    words = ("run", "backfill", "--local", "--data", data, "--home", home, "--param", "least=800")
    some = pipelines(*words, "--tickers", "AAPL,JPM")
    assert some.returncode == 0, some.stderr
    assert "SKIPPED 1 of 2 tickers: JPM" in some.stdout.splitlines()[-1]
    none = pipelines(*words, "--tickers", "JPM")
    assert none.returncode == 1
    assert "no ticker has features: JPM" in none.stderr.splitlines()[-1]


def test_a_run_without_anything_to_learn_from_ends_with_the_reason_and_a_report(data, home):
    done = pipelines(
        "run",
        "evaluate-only",
        "--local",
        "--tickers",
        "CAT",
        "--data",
        data,
        "--home",
        home,
        "--models",
        "ridge",
        "--json",
    )
    assert done.returncode == 1
    assert "no ticker can be learned from: CAT: only 30 sessions; 750 are needed" in done.stderr
    told = json.loads(done.stdout)
    assert "only 30 sessions" in Path(told["report"]).read_text(encoding="utf-8")
