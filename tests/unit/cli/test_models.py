"""The versions of a ticker: listed, and pushed from a folder."""

import json
import re

import pytest

import tickloom
from tickloom.cli import models, train
from tickloom.errors import TickloomError
from tickloom.forecast import lineage
from tickloom.forecast.registry import Registry


@pytest.fixture
def folder(prices, tmp_path, call):
    words = ("--model", "drift", "--folds", 0, "--no-push", "--out", tmp_path / "out")
    call(train.app, "MOD", "--data", prices("MOD"), *words)
    return tmp_path / "out"


def test_versions_are_listed_newest_first(folder, mlflow, call, asked):
    with pytest.raises(
        TickloomError, match=r"MOD on XNYS has no models in sqlite.*; `tickloom train MOD --model ridge` makes one"
    ):
        call(models.app, "MOD", "--mlflow", mlflow)
    assert asked(models.app, "MOD", "--mlflow", mlflow) == {"ticker": "MOD", "versions": []}
    for _ in range(2):
        found = asked(models.app, "MOD", "--push", folder, "--mlflow", mlflow)["versions"]
    assert [(it["number"], it["model"], it["aliases"]) for it in found] == [
        (3, "drift", []),
        (2, "drift", []),
        (1, "random_walk", ["champion"]),
    ]
    assert found[0]["verdict"] == "not evaluated"
    lines = call(models.app, "MOD", "--mlflow", mlflow).stdout.splitlines()
    assert "champion" in next(line for line in lines if "random_walk" in line)


def test_a_version_says_where_it_comes_from_and_who_approved_it(folder, mlflow, call, asked):
    number = asked(models.app, "MOD", "--push", folder, "--mlflow", mlflow)["versions"][0]["number"]
    words = ("MOD", "--mlflow", mlflow, "--version")
    (told,) = asked(models.app, *words, number)["versions"]
    learned = json.loads((folder / "manifest.json").read_text())["data_sha256"]
    assert told["lineage"] == {"data": learned, "code": tickloom.__version__, "commit": lineage.commit()}
    assert "nobody" in call(models.app, *words, number).stdout
    lineage.approve(Registry(mlflow), "XNYS", "MOD", number, "amina")
    text = call(models.app, *words, number).stdout
    assert re.search(r"approver\W+amina", text)
    assert re.search(rf"data\W+{learned}", text)
    with pytest.raises(TickloomError, match=rf"MOD on XNYS has no version 99 in .*; known: {number}, "):
        call(models.app, *words, 99)


def test_a_model_of_another_ticker_is_not_pushed(folder, mlflow, call):
    with pytest.raises(TickloomError, match="is a model of MOD, not of AAPL; say `tickloom models MOD --push"):
        call(models.app, "AAPL", "--push", folder, "--mlflow", mlflow)


def test_half_a_model_is_not_pushed(folder, mlflow, call, asked):
    there = asked(models.app, "MOD", "--mlflow", mlflow)
    (folder / "model" / "parameters.json").write_text('{"model": "drift", "horizon": 5}')
    with pytest.raises(TickloomError, match=r"parameters\.json: not what drift writes \(KeyError: 'per_session'\)"):
        call(models.app, "MOD", "--push", folder, "--mlflow", mlflow)
    (folder / "model" / "parameters.json").unlink()
    with pytest.raises(TickloomError, match=r"no parameters\.json, so no model"):
        call(models.app, "MOD", "--push", folder, "--mlflow", mlflow)
    assert asked(models.app, "MOD", "--mlflow", mlflow) == there


def test_an_unknown_market_is_a_sentence(mlflow, call):
    with pytest.raises(TickloomError, match="market 'XPAR' is unknown; known: XCAS, XNYS"):
        call(models.app, "MOD", "--market", "XPAR", "--mlflow", mlflow)


def test_without_an_mlflow_it_is_a_database_below_home(folder, tmp_path, asked):
    found = asked(models.app, "MOD", "--push", folder, "--home", tmp_path / "home")
    assert len(found["versions"]) == 2
    assert (tmp_path / "home" / "mlflow" / "mlflow.db").is_file()
    assert list((tmp_path / "home" / "mlflow" / "artifacts").rglob("manifest.json"))
