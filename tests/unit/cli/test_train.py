"""Learn, judge, register: what is written, what is said, and what bad input gets."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tickloom.cli import models, train
from tickloom.errors import TickloomError
from tickloom.forecast import package
from tickloom.forecast.models import BASELINES
from tickloom.forecast.registry import Registry

ROOT = Path(__file__).parents[3]
QUICK = ("--folds", 0, "--horizon", 2)


def test_a_judged_model_is_written_and_registered(prices, mlflow, tmp_path):
    # as a user has it: a process of its own, whose streams hold what was meant to be said and no more
    command = ["train", "TRA", "--data", prices("TRA"), "--model", "ridge", "--folds", 2, "--test", 60, "--horizon", 2]
    command += ["--market", "XNYS"]
    run = subprocess.run(
        [sys.executable, "-m", "tickloom.cli.main", *map(str, command), "--mlflow", mlflow, "--out", tmp_path / "out"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    manifest = package.read_manifest(tmp_path / "out")
    assert manifest.verdict in ("beats_naive", "indistinguishable", "worse")
    assert run.stdout.splitlines() == [
        f"TRA: ridge learned from 700 sessions to {manifest.last_day}: tickloom.XNYS.TRA version 2",
        f"verdict one session ahead, against the random walk: {manifest.verdict}",
        f"report: {tmp_path / 'out' / 'evaluation' / 'report.html'}",
        "`tickloom forecast TRA` stays with the champion; --version 2 asks this one",
    ]
    assert run.stderr == ""
    assert {(it["model"], it["h"]) for it in manifest.scores} == {
        (it, h) for it in ("ridge", "random_walk") for h in (1, 2)
    }
    body = json.loads((tmp_path / "out" / "manifest.json").read_text(), parse_constant=lambda name: 1 / 0)
    assert "direction" not in next(it for it in body["scores"] if it["model"] == "random_walk")
    assert manifest.verdict in (tmp_path / "out" / "card.md").read_text()
    # what was judged travels with the model, and MLflow shows it beside it
    (run,) = (it.run for it in Registry(mlflow).versions("XNYS", "TRA") if it.model == "ridge")
    folder = tmp_path / "out" / "evaluation"
    assert {row["model"] for row in json.loads((folder / "evaluation.json").read_text())["scores"]} == set(BASELINES)
    listed = {it.path for it in Registry(mlflow)._client.list_artifacts(run, "evaluation/plots")}
    assert listed == {f"evaluation/plots/{it.name}" for it in (folder / "plots").iterdir()}
    assert {"evaluation/plots/error_TRA.png", "evaluation/plots/coverage.png"} <= listed
    assert all(it.read_bytes().startswith(b"\x89PNG") for it in (folder / "plots").iterdir())


def test_one_object_says_where_it_is(prices, mlflow, tmp_path, asked):
    told = asked(
        train.app, "TRB", "--data", prices("TRB"), "--model", "drift", *QUICK, "--mlflow", mlflow, "--home", tmp_path
    )
    folder = Path(told.pop("folder"))
    assert len(told.pop("run")) == 32
    assert folder.parent == tmp_path / "models" / "tickloom.XNYS.TRB"
    assert package.read(folder)[0].name == "drift"
    assert told == {
        "ticker": "TRB",
        "market": "XNYS",
        "model": "drift",
        "verdict": "not evaluated",
        "remark": "",
        "registered": "tickloom.XNYS.TRB",
        "version": 2,
        "report": None,
        "sessions": 700,
        "last_day": package.read_manifest(folder).last_day,
    }
    listed = asked(models.app, "TRB", "--mlflow", mlflow)["versions"]
    assert [(it["model"], it["aliases"]) for it in listed] == [("drift", []), ("random_walk", ["champion"])]


def test_all_baselines_are_judged_beside_it(prices, tmp_path, call, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "tickloom.forecast.evaluation.walk_forward", lambda frame, names, *_, **__: seen.extend(names) or 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        call(train.app, "TRC", "--data", prices("TRC", 1200), "--model", "lstm", "--no-push", "--out", tmp_path / "out")
    assert seen == [*BASELINES, "lstm"]
    assert not (tmp_path / "out").exists()


def test_a_file_of_another_name_is_said(prices, tmp_path, call):
    words = ("--model", "drift", *QUICK, "--no-push", "--out")
    result = call(train.app, "MSFT", "--data", prices("AAPL"), *words, tmp_path / "out")
    assert result.stderr == "AAPL.csv: its prices are taken for those of MSFT\n"
    assert call(train.app, "AAPL", "--data", prices("AAPL"), *words, tmp_path / "own").stderr == ""
    unknown = call(train.app, "NEW", "--data", prices("NEW"), *words, tmp_path / "new")
    assert unknown.stderr == "NEW is in no list of instruments and is taken as one of XNYS; --market says otherwise\n"


def test_an_unknown_model_is_said_before_anything_is_read(call):
    with pytest.raises(TickloomError, match="model 'rigde' is unknown; did you mean ridge\\?"):
        call(train.app, "AAPL", "--data", "/nowhere.csv", "--model", "rigde")


@pytest.mark.parametrize(
    ("sessions", "words", "said"),
    [
        (
            300,
            ("--folds", 0),
            "AAPL: 300 sessions are too few: ridge needs 255, after 199 until all features are known; load 154 more",
        ),
        (500, ("--folds", 2, "--test", 60), "sessions"),
    ],
)
def test_too_few_sessions_are_a_sentence(sessions, words, said, prices, tmp_path, call):
    with pytest.raises(TickloomError, match=said):
        call(
            train.app, "AAPL", "--data", prices("AAPL", sessions), "--model", "ridge", *words, "--out", tmp_path / "out"
        )
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_written_or_reached_is_said_before_anything_is_learned(prices, tmp_path, call, monkeypatch):
    def never(*_):
        raise AssertionError("it learned")

    monkeypatch.setattr("tickloom.cli.train._judged", never)
    words = (train.app, "AAPL", "--data", prices("AAPL"), "--model", "drift")
    with pytest.raises(TickloomError, match=r"--out .*AAPL\.csv/models: Not a directory; name a folder that can be"):
        call(*words, "--out", prices("AAPL") / "models")
    with pytest.raises(TickloomError, match=r"--home .*: Not a directory; name a folder that can be written to"):
        call(*words, "--home", prices("AAPL"), "--mlflow", "sqlite:////nowhere")
    with pytest.raises(TickloomError, match=r"MLflow at ftp://x: .*unsupported URI"):
        call(*words, "--out", tmp_path / "new" / "out", "--mlflow", "ftp://x")
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "manifest.json").touch()
    with pytest.raises(TickloomError, match=r"--out .*old holds a trained model already; name another folder"):
        call(*words, "--out", tmp_path / "old")


def test_constant_prices_are_a_sentence(prices, call):
    def flat(table):
        table[["Open", "High", "Low", "Close"]] = 5.0

    with pytest.raises(TickloomError, match="all 700 closes are 5; a price that never moves has nothing to forecast"):
        call(train.app, "AAPL", "--data", prices("AAPL", change=flat), "--model", "drift", "--no-push")


def test_a_split_is_refused_unless_it_is_real(prices, tmp_path, call):
    def split(table):
        table.loc[400:, ["Open", "High", "Low", "Close"]] /= 2
        table.loc[400, "Close"] = table.loc[399, "Close"] / 2

    def fit(table):
        split(table)
        table["High"] = np.maximum(table["High"], table["Close"])
        table["Low"] = np.minimum(table["Low"], table["Close"])

    words = (
        "AAPL",
        "--data",
        prices("AAPL", change=fit),
        "--model",
        "drift",
        *QUICK,
        "--no-push",
        "--out",
        tmp_path / "out",
    )
    with pytest.raises(TickloomError, match=r"looks like a split of 2 that nobody adjusted for.*\(--allow-jumps\)"):
        call(train.app, *words)
    assert call(train.app, *words, "--allow-jumps").exit_code == 0
    assert package.read(tmp_path / "out")[0].name == "drift"


def test_an_mlflow_that_is_away_leaves_the_folder_and_says_the_command(prices, mlflow, tmp_path, call, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    out = tmp_path / "out"
    words = ("TRD", "--data", prices("TRD"), "--model", "drift", *QUICK, "--out", out)
    with pytest.raises(
        TickloomError, match=rf"{out} is whole; register it later with `tickloom models TRD --push {out}`"
    ):
        call(train.app, *words, "--mlflow", "http://127.0.0.1:9")
    shown = call(models.app, "TRD", "--push", out, "--mlflow", mlflow).stdout
    assert "random_walk" in shown
    assert "drift" in shown


def test_a_library_that_is_missing_is_a_sentence(prices, call, monkeypatch):
    monkeypatch.setitem(sys.modules, "tickloom.forecast.accuracy", None)
    with pytest.raises(ModuleNotFoundError, match="tickloom"):
        call(train.app, "AAPL", "--data", prices("AAPL"), "--model", "drift")
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(TickloomError, match=r"forecasting needs mlflow: pip install 'tickloom\[forecast\]'"):
        call(models.app, "AAPL", "--mlflow", "sqlite:////nowhere.db")
