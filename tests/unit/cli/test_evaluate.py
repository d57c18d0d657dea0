"""The verb evaluate: its table, its files, and what it refuses."""

import io
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from tests.unit.forecast.processes import gone_within
from tickloom.cli import evaluate
from tickloom.errors import TickloomError
from tickloom.market.sessions import session_table

ROOT = Path(__file__).parents[3]
SMALL = ["--folds", "2", "--test", "110", "--horizon", "2", "--jobs", "1"]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A random walk of close to three years, with volumes."""
    chance = np.random.default_rng(4)
    close = 50 * np.exp(np.cumsum(chance.normal(0, 0.015, 760)))
    opened = close * np.exp(chance.normal(0, 0.003, 760))
    days = session_table("XNYS").day[-3000:-2240].astype("datetime64[D]")
    frame = pd.DataFrame(
        {
            "Date": days.astype(str), "Open": opened, "High": np.maximum(opened, close) * 1.004,
            "Low": np.minimum(opened, close) * 0.996, "Close": close, "Volume": chance.integers(1000, 9000, 760),
        }
    )  # fmt: skip
    path = tmp_path_factory.mktemp("bars") / "AAPL.csv"
    frame.to_csv(path, index=False)
    return path


def run(*arguments):
    return CliRunner().invoke(
        evaluate.app, [str(it) for it in arguments], catch_exceptions=False, env={"COLUMNS": "160"}
    )


def test_it_says_verdicts_and_writes_page_and_file(file, tmp_path):
    found = run(file, *SMALL, "--out", tmp_path, "--protocol", "seed-000", "--models", "ridge")
    assert "AAPL, 1 session ahead, 2 folds of 110" in found.stdout
    for word in ("random_walk", "drift", "seasonal_naive", "ar1", "ridge", "verdict", "indistinguishable"):
        assert word in found.stdout
    assert "AAPL, seed-000" in found.stdout
    assert "persistence" in found.stdout
    assert "R² 0.92" in found.stdout
    body = json.loads((tmp_path / "evaluation.json").read_text())
    assert body["plan"] | {"folds": 2, "test": 110, "horizon": 2} == body["plan"]
    assert {row["under"] for row in body["protocols"]} == {"seed-000", "walk-forward"}
    assert "leaks and all" in (tmp_path / "report.html").read_text()


def test_explanations_are_told_when_they_are_asked_for(file, tmp_path):
    said = " ".join(run(file, *SMALL, "--out", tmp_path, "--explain").stdout.split())
    assert re.search(
        r"AAPL ridge, permutation importance: \w+ \d/2, \w+ \d/2, \w+ \d/2; stability -?0\.\d\d over 1 pairs", said
    )
    assert "at most one that leads in every fit is worth a thought" in said
    rows = json.loads((tmp_path / "evaluation.json").read_text())["explanations"]["stability"]
    assert [row["model"] for row in rows] == ["lightgbm", "ridge"]
    assert "What the models go by" in (tmp_path / "report.html").read_text()


def test_json_is_one_object_with_the_verdicts(file, tmp_path):
    found = run(file, *SMALL, "--out", tmp_path, "--json", "--holdout", "40", "--final")
    body = json.loads(found.stdout)
    assert {row["block"] for row in body["scores"]} == {"folds", "last"}
    assert {row["verdict"] for row in body["scores"]} <= {"beats_naive", "indistinguishable", "worse"}
    assert body["files"] == [str(tmp_path / "evaluation.json"), str(tmp_path / "report.html")]
    assert "forecasts" not in body


def test_options_reach_models_and_paths_are_smoothed(file, tmp_path):
    small = ["--option", "lstm.window=8", "--option", "lstm.width=0.1", "--option", "lstm.epochs=1", "--seeds", "2"]
    rolling = ["--scheme", "rolling", "--train", "300", "--models", "lstm,ridge", "--smooth"]
    found = run(file, *SMALL, *small, *rolling, "--out", tmp_path, "--json")
    body = json.loads(found.stdout)
    assert body["options"] == {"lstm": {"window": 8, "width": 0.1, "epochs": 1}}
    assert body["plan"]["train"] == 300
    rows = {(row["model"], row["h"]): row for row in body["scores"]}
    assert rows["lstm", 1]["seeds"] == rows["lstm_smoothed", 1]["seeds"] == 2
    assert rows["ridge_smoothed", 1]["rmse"] == pytest.approx(rows["ridge", 1]["rmse"], rel=1e-9)
    assert rows["ridge_smoothed", 2]["rmse"] != pytest.approx(rows["ridge", 2]["rmse"], rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--models", "ridgee"], "model 'ridgee' is unknown; did you mean ridge"),
        (["--scheme", "sliding"], "--scheme 'sliding' is unknown; known: expanding, rolling"),
        (["--intervals", "jackknife"], "--intervals 'jackknife' is unknown; known: split, enbpi, aci"),
        (["--protocol", "seed-001"], "--protocol 'seed-001' is unknown; known: seed-000, seed-003"),
        (["--column", "Close"], "--column Close: say --ticker too"),
        (["--train", "300"], "--train 300 is for --scheme rolling"),
        (["--smooth"], "--smooth shows the models of --models smoothed; name one"),
        (["--option", "epochs=3"], "--option 'epochs=3' must be MODEL.NAME=VALUE, such as lstm.epochs=20"),
        (["--option", "lstm.epochs=3"], "--option lstm.epochs=3: lstm does not run here; models: random_walk, "),
        (["--option", "ridge.alpha=3"], "ridge: option alpha is unknown; it has none"),
        (["--models", "lstm", "--option", "lstm.epochs=few"], "epochs 'few' must be a whole number"),
        (["--models", "lstm", "--option", "lstm.shrink=1"], "shrink 1 must be true or false"),
        (["--models", "lstm", "--option", "lstm.speed=1"], "lstm: option 'speed' is unknown; known: window, width, "),
        (["--final"], "holdout 0 must be above the horizon 5"),
        (
            ["--folds", "9"],
            "760 sessions are too few: 199 until all features are known, 260 for the first fit, 9 folds of 125 and 5 "
            "ahead make 1589; load 829 more, or take fewer or shorter folds",
        ),
    ],
)
def test_what_cannot_be_is_a_sentence_and_nothing_is_written(file, tmp_path, arguments, sentence):
    with pytest.raises(TickloomError, match=sentence):
        run(file, "--jobs", 1, "--out", tmp_path / "out", *arguments)
    assert not (tmp_path / "out").exists()


def test_what_is_known_before_the_first_fit_is_said_before_it(file, tmp_path, monkeypatch):
    def never(*_, **__):
        raise AssertionError("it learned")

    monkeypatch.setattr("tickloom.forecast.evaluation.walk_forward", never)
    with pytest.raises(TickloomError, match=r"1 folds of 90 sessions are too few for intervals .* would have 89; take"):
        run(file, "--folds", 1, "--test", 90)
    with pytest.raises(TickloomError, match=r"1 folds of 150 sessions are too few for intervals \(split\)"):
        run(file, "--folds", 1, "--test", 150, "--intervals", "split")
    with pytest.raises(TickloomError, match=r"--out .*AAPL\.csv/report: Not a directory; name a folder that can be"):
        run(file, *SMALL, "--out", file / "report")
    short = tmp_path / "MSFT.csv"
    short.write_text("".join(file.read_text().splitlines(keepends=True)[:400]))
    with pytest.raises(TickloomError, match="399 sessions are too few"):
        run(file, short, *SMALL, "--out", tmp_path / "out")


def test_minute_bars_are_a_sentence(tmp_path):
    path = tmp_path / "AAPL.csv"
    rows = [f"2024-03-08 10:{minute:02},5,6,4,5,100\n" for minute in range(60)]
    path.write_text("time,open,high,low,close,volume\n" + "".join(rows))
    with pytest.raises(TickloomError, match=r"AAPL \(AAPL\.csv\): bars of 1m; forecasts need daily bars"):
        run(path)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes in /proc")
def test_sigterm_ends_it_and_its_processes_without_a_traceback(file, tmp_path):
    words = [file, "--folds", "2", "--test", "110", "--models", "lstm", "--jobs", "2", "--out", tmp_path / "out"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tickloom.cli.main", "evaluate", *map(str, words)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while len(pids := children.read_text().split()) < 3:  # two and the one that tracks their semaphores
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(1)
    process.terminate()
    assert process.wait(30) == 143
    assert process.stderr.read() == "stopped\n"
    assert gone_within(pids)
    assert not (tmp_path / "out").exists()


def test_one_ticker_names_one_file(file):
    with pytest.raises(TickloomError, match="--ticker X names one instrument, but 2 files are given"):
        run(file, file, "--ticker", "X")


def test_the_table_is_whole_in_80_columns():
    models = ["random_walk", "seasonal_naive", "multihead_lstm"]
    rows = {
        "model": models, "rmse": [2.767, 3.821, 27.91], "mase": [1.0, 1.3675, 1.0086], "direction": [np.nan, 1, 0.5],
        "base_rate": [np.nan, 0.507, 0.507], "coverage_80": [0.821, 1, np.nan], "coverage_95": [0.954, 1, np.nan],
        "verdict": ["indistinguishable", "worse", "indistinguishable"],
    }  # fmt: skip
    later = pd.Series(1.0123, index=models)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(evaluate._verdicts("AAPL", pd.DataFrame(rows), 5, later))
    text = console.export_text()
    assert all(it in text for it in (*models, "indistinguishable", "1.3675", "1.0123", "100%", "(50.7%)", "27.91"))
    assert "…" not in text
