"""The verb evaluate: its table, its files, and what it refuses."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from tickloom.cli import evaluate
from tickloom.errors import TickloomError
from tickloom.market.sessions import session_table

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
        (["--intervals", "jackknife"], "--intervals 'jackknife' are unknown; known: split, enbpi, aci"),
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
            "760 sessions are too few for 9 folds of 125 .* load .* more, or take fewer or shorter folds",
        ),
    ],
)
def test_what_cannot_be_is_a_sentence_and_nothing_is_written(file, tmp_path, arguments, sentence):
    with pytest.raises(TickloomError, match=sentence):
        run(file, "--jobs", 1, "--out", tmp_path / "out", *arguments)
    assert not (tmp_path / "out").exists()


def test_one_ticker_names_one_file(file):
    with pytest.raises(TickloomError, match="--ticker X names one instrument, but 2 files are given"):
        run(file, file, "--ticker", "X")
