"""A whole retraining in one process, on real and made bars."""

import json
import shutil

import pytest

from tests.unit.retrain.world import SMALL, write_csv
from tickloom.forecast.registry import Registry
from tickloom.forecast.versions import CHAMPION
from tickloom.retrain import steps, usual
from tickloom.retrain.direct import retrain
from tickloom.stream.retraining import Pipeline


def recent(source, folder, sessions=1000):
    """Write the last sessions of a file of real bars."""
    lines = source.read_text().splitlines()
    (folder / source.name).write_text("\n".join([lines[0], *lines[-sessions:]]) + "\n")


@pytest.fixture(scope="module")
def done(market_data, tmp_path_factory):
    """Real bars of one ticker, made ones of another, and two that cannot be learned from."""
    root = tmp_path_factory.mktemp("direct")
    data = write_csv(root / "data", "MSFT")
    recent(market_data / "us_daily" / "AAPL.csv", data)
    recent(market_data / "us_daily" / "CVX.csv", data, 300)
    uri = f"sqlite:///{root / 'mlflow.db'}"
    told = retrain(
        tickers=["AAPL", "MSFT", "CVX", "JPM"], market="XNYS", out=root / "out", mlflow=uri, models=["ar1", "lstm"],
        data=data, horizon=2, folds=2, test=60, options={"lstm": {**SMALL, "window": 900}}, arms={"ar1": "simple"},
        jobs=2,
    )  # fmt: skip
    return told, uri, root / "out"


def row(told, ticker, model):
    (found,) = [it for it in told["rows"] if (it["ticker"], it["model"]) == (ticker, model)]
    return found


def test_each_ticker_and_model_has_its_end(done):
    told, _, out = done
    assert row(told, "MSFT", "ar1")["outcome"] == "registered"
    assert row(told, "AAPL", "ar1")["outcome"] in ("registered", "refused")
    assert told["skipped"].keys() == {"CVX", "JPM"}
    assert row(told, "CVX", None)["why"] == "only 300 sessions; 750 are needed"
    for ticker in ("AAPL", "MSFT"):  # a window longer than what there is
        failed = row(told, ticker, "lstm")
        assert (failed["outcome"], failed["why"].startswith("train: ")) == ("failed", True)
    assert sum(told["counts"].values()) == len(told["rows"]) == 6
    page = (out / "report" / "report.html").read_text()
    assert all(it in page for it in ("AAPL", "MSFT", "CVX", "JPM", "naive_bound", "300 sessions", "direct"))
    linked = row(told, "MSFT", "ar1")["walk_forward"]
    assert f"<a href='{linked}'>" in page
    assert "ar1" in (out / "report" / linked).read_text()
    assert row(told, "MSFT", "lstm").get("walk_forward") is None
    assert "<th>wanted</th>" in page
    assert "<th>limit</th>" not in page
    assert json.loads((out / "report" / "report.json").read_text())["rows"] == told["rows"]


def test_before_the_first_registration_there_is_no_champion_and_it_is_said(done):
    told, _, out = done
    said = "no champion yet: the random walk stands in"
    assert row(told, "MSFT", "ar1")["champion"] == said
    assert said in (out / "report" / "report.html").read_text()


def test_challengers_are_registered_and_champions_stay(done):
    told, uri, _ = done
    found = Registry(uri).catalogue()["XNYS", "MSFT"]
    assert found == {CHAMPION: 1, "challenger-simple": row(told, "MSFT", "ar1")["version"]}


def test_a_registry_that_is_away_fails_what_needs_it_and_is_reported(done, tmp_path):
    _, _, out = done
    (tmp_path / "file").write_text("")
    told = retrain(
        tickers=["MSFT"], market="XNYS", out=tmp_path / "out", mlflow=f"sqlite:///{tmp_path / 'file' / 'mlflow.db'}",
        models=["ar1"], data=out / "extract", horizon=2, folds=1, test=60,
    )  # fmt: skip
    assert row(told, "MSFT", "ar1")["outcome"] == "failed"
    assert row(told, "MSFT", "ar1")["why"].startswith("compare: MLflow at sqlite")


def test_a_report_is_made_of_whatever_is_there(tmp_path):
    told = steps.report(
        parts=[
            {"step": "extract", "failed": "no Cassandra"},
            {"step": "train", "ticker": "AAPL", "model": "lstm", "sessions": 10, "last_day": "2020-01-02"},
            {"step": "split", "skipped": {"CVX": "<too short>"}},
            {"step": "evaluate", "ticker": "AAPL", "model": "ridge", "verdict": "worse"},
            {"step": "gate", "ticker": "MSFT", "model": "ridge", "failed": "no such folder"},
        ],
        out=tmp_path,
    )
    assert [(it["ticker"], it["outcome"]) for it in told["rows"]] == [
        ("AAPL", "unfinished"), ("AAPL", "judged"), ("MSFT", "failed"), ("CVX", "skipped"),
    ]  # fmt: skip
    page = (tmp_path / "report.html").read_text()
    assert "&lt;too short&gt;" in page
    assert "no Cassandra" in page
    assert steps.report(parts=[], out=tmp_path)["rows"] == []
    shutil.rmtree(tmp_path)


def test_a_streamjob_asks_for_what_is_usual():
    asked = Pipeline()
    usual_ones = (usual.MODELS, usual.HORIZON, usual.FOLDS, usual.TEST, usual.GATE)
    assert (asked.models, asked.horizon, asked.folds, asked.test, asked.gate) == usual_ones
