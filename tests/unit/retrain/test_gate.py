"""The gate, with planted better, equal and worse challengers, and champions that learned later."""

import json
import shutil

import numpy as np
import pytest

from tests.unit.retrain.world import HORIZON, MARKET, SESSIONS, World, checks
from tickloom.errors import ConfigurationError, TickloomError
from tickloom.forecast import package
from tickloom.forecast.features import feature_frame
from tickloom.forecast.models import make
from tickloom.forecast.package import Manifest
from tickloom.forecast.registry import Registry
from tickloom.forecast.versions import CHAMPION
from tickloom.retrain import extraction, steps
from tickloom.retrain.limits import Limits
from tickloom.retrain.plausible import check_plan


def champion(world, folder, uri, model, sessions):
    """Have a model of so many sessions of AAPL serve."""
    history = extraction.read(world.root / "extract", "AAPL", MARKET)
    frame = feature_frame(history).first(sessions)
    fitted = make(model, HORIZON).fit(frame)
    package.write(folder, fitted, Manifest.of(fitted, frame))
    registry = Registry(uri)
    registry.move_alias(MARKET, "AAPL", CHAMPION, registry.push(folder).number)


@pytest.fixture
def own(tmp_path, mlflow):
    """An MLflow of one test; a copy, for making one takes seconds."""
    Registry(mlflow)
    shutil.copy(mlflow.removeprefix("sqlite:///"), tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


def test_a_better_challenger_passes_every_check(world, mlflow):
    world.learned("AAPL", "ar1")
    found = world.compared("AAPL", "ar1", mlflow)
    assert found["ratios"]["naive"] < 0.97
    assert found["cutoffs"] == 60 - HORIZON + 1
    assert found["champion"] == {
        "model": "random_walk", "version": None, "last_day": "", "why": "none was registered before"
    }  # fmt: skip
    gated = world.gated("AAPL", "ar1")
    assert gated["passed"], [it for it in gated["checks"] if not it["passed"]]
    assert list(checks(gated)) == [
        "data_quality", "sessions", "naive_test", "naive_bound", "walk_forward", "champion_test", "coverage_80",
        "coverage_95", "latency_ms", "megabytes",
    ]  # fmt: skip
    assert all(set(it) == {"name", "value", "limit", "passed", "why", "wanted"} for it in gated["checks"])
    wanted = {it["name"]: it["wanted"] for it in gated["checks"]}
    assert [wanted[it] for it in ("sessions", "megabytes", "naive_test", "coverage_95")] == [
        "at least 40", "at most 50", "a p-value of at least 0.05", "0.85 to 1",
    ]  # fmt: skip
    assert "the random walk's, which stands in for a champion" in gated["checks"][5]["why"]


def test_an_equal_challenger_passes(world, mlflow):
    world.learned("AAPL", "random_walk")
    found = world.compared("AAPL", "random_walk", mlflow)
    assert found["ratios"] == {"naive": 1.0, "champion": 1.0}
    assert world.gated("AAPL", "random_walk")["passed"]


def test_a_worse_challenger_is_refused_by_test_and_bound_and_walk_forward(world, mlflow):
    world.learned("AAPL", "seasonal_naive")
    world.compared("AAPL", "seasonal_naive", mlflow)
    gated = world.gated("AAPL", "seasonal_naive")
    assert not gated["passed"]
    refused = {name for name, passed in checks(gated).items() if not passed}
    assert {"naive_test", "naive_bound", "walk_forward", "champion_test"} <= refused


def test_a_challenger_that_beats_naive_and_not_the_champion_is_refused(world, tmp_path, own):
    champion(world, tmp_path / "champion", own, "ar1", 700)
    world.learned("AAPL", "random_walk")
    found = world.compared("AAPL", "random_walk", own)
    assert (found["champion"]["model"], found["ratios"]["naive"]) == ("ar1", 1.0)
    assert found["ratios"]["champion"] > 1.02
    gated = world.gated("AAPL", "random_walk")
    assert {name for name, passed in checks(gated).items() if not passed} == {"champion_test"}
    assert Registry(own).catalogue()[MARKET, "AAPL"] == {CHAMPION: 2}


def test_sessions_that_the_champion_has_learned_from_do_not_count(world, tmp_path, own):
    world.learned("AAPL", "ar1")
    champion(world, tmp_path / "champion", own, "drift", SESSIONS - 30)
    found = world.compared("AAPL", "ar1", own)
    history = extraction.read(world.root / "extract", "AAPL", MARKET)
    assert found["cutoffs"] == 30 - HORIZON + 1
    assert found["first_cutoff"] == found["champion"]["last_day"] > found["last_learned"]
    assert found["first_cutoff"] == str(history.day[SESSIONS - 31].astype("datetime64[D]"))
    assert not checks(world.gated("AAPL", "ar1"))["sessions"]
    assert world.gated("AAPL", "ar1", limits={"sessions": 20})["passed"]


def test_a_champion_that_has_learned_from_all_leaves_nothing_to_compare_on(world, tmp_path, own):
    world.learned("AAPL", "ar1")
    champion(world, tmp_path / "champion", own, "drift", SESSIONS)
    assert world.compared("AAPL", "ar1", own)["cutoffs"] == 0
    refused = {name for name, passed in checks(world.gated("AAPL", "ar1")).items() if not passed}
    assert refused == {"sessions", "naive_test", "naive_bound", "champion_test", "coverage_80", "coverage_95"}


def test_a_champion_that_cannot_be_read_is_told_and_refused(world, tmp_path, own):
    world.learned("AAPL", "ar1")
    champion(world, tmp_path / "champion", own, "ridge", 700)
    registry = Registry(own)
    (serving,) = [it for it in registry.versions(MARKET, "AAPL") if CHAMPION in it.aliases]
    place = registry._client.get_run(serving.run).info.artifact_uri.removeprefix("file://")
    (tmp_path / "manifest.json").write_text("{}")
    shutil.copy(tmp_path / "manifest.json", f"{place}/package/manifest.json")
    found = world.compared("AAPL", "ar1", own)
    assert "schema None" in found["champion"]["why"]
    (failed,) = [it for it in world.gated("AAPL", "ar1")["checks"] if not it["passed"]]
    assert failed["name"] == "champion_test"
    assert "cannot be compared" in failed["why"]


def test_losses_are_of_log_returns_on_the_same_cutoffs(world, mlflow):
    import pandas as pd

    world.learned("AAPL", "ar1")
    found = world.compared("AAPL", "ar1", mlflow)
    table = pd.read_parquet(world.place("compare", "AAPL", "ar1") / "forecasts.parquet")
    history = extraction.read(world.root / "extract", "AAPL", MARKET)
    day = pd.Series(np.arange(len(history)), history.day.astype("datetime64[D]").astype("datetime64[s]"))
    at = day[table["cutoff"]].to_numpy()
    closes = np.log(history.close)
    np.testing.assert_allclose(table["y"], closes[at + table["h"]] - closes[at])
    for name in ("challenger", "champion", "naive"):
        loss = (table["y"] - table[name]) ** 2 / table["h"]
        assert found["losses"][name] == pytest.approx(loss.mean(), rel=1e-12)


def test_too_few_forecasts_for_intervals_fail_the_coverage(data, tmp_path, mlflow):
    world = World(tmp_path).prepared(["AAPL"], data, folds=1, test=60)
    world.learned("AAPL", "ar1")
    world.compared("AAPL", "ar1", mlflow)
    gated = world.gated("AAPL", "ar1")
    assert [it["name"] for it in gated["checks"] if not it["passed"]] == ["coverage_80", "coverage_95"]
    assert "too few forecasts" in gated["checks"][6]["why"]


def test_the_least_plan_that_is_let_through_has_intervals_and_cutoffs_enough(data, tmp_path, mlflow):
    plan = {"horizon": 5, "folds": 1, "test": 101, "gate": 44}
    check_plan(**plan)
    world = World(tmp_path).prepared(["AAPL"], data, **plan)
    world.learned("AAPL", "ar1")
    world.compared("AAPL", "ar1", mlflow)
    gated = {it["name"]: it["value"] for it in world.gated("AAPL", "ar1")["checks"]}
    assert gated["sessions"] == 40
    assert all(gated[name] is not None for name in ("coverage_80", "coverage_95", "naive_test"))


@pytest.mark.parametrize("name", ["megabytes", "latency_ms"])
def test_size_and_latency_have_bounds(name, world, mlflow):
    world.learned("AAPL", "ar1")
    world.compared("AAPL", "ar1", mlflow)
    gated = world.gated("AAPL", "ar1", limits={name: 0.0})
    assert [it["name"] for it in gated["checks"] if not it["passed"]] == [name]


def test_intervals_that_hold_too_little_are_refused(world, mlflow, tmp_path):
    world.learned("AAPL", "ar1")
    world.compared("AAPL", "ar1", mlflow)
    narrow = shutil.copytree(world.place("evaluate", "AAPL", "ar1"), tmp_path / "narrow")
    file = narrow / "errors" / "ar1" / "residuals.json"
    body = json.loads(file.read_text())
    body["scores"] = [[it / 10 for it in one] for one in body["scores"]]
    file.write_text(json.dumps(body))
    gated = steps.gate(
        ticker="AAPL", model="ar1", compared=world.place("compare", "AAPL", "ar1"), evaluated=narrow,
        trained=world.place("train", "AAPL", "ar1"), out=tmp_path / "out",
    )  # fmt: skip
    assert [it["name"] for it in gated["checks"] if not it["passed"]] == ["coverage_80", "coverage_95"]


@pytest.mark.parametrize(("name", "value"), [("missing_share", 0.03), ("still", 29), ("behind", 6)])
def test_bars_with_defects_are_refused(name, value, world, mlflow, tmp_path):
    world.learned("AAPL", "ar1")
    world.compared("AAPL", "ar1", mlflow)
    mine = World(shutil.copytree(world.root, tmp_path / "copy"))
    file = mine.place("compare", "AAPL", "ar1") / "result.json"
    body = json.loads(file.read_text())
    body["quality"][name] = value
    file.write_text(json.dumps(body))
    (failed,) = [it for it in mine.gated("AAPL", "ar1")["checks"] if not it["passed"]]
    assert (failed["name"], failed["value"]) == ("data_quality", 1.0)
    assert f"{value:.4g} is above" in failed["why"]


def test_another_package_than_was_compared_is_refused(world, mlflow, tmp_path):
    world.learned("AAPL", "ar1")
    mine = World(shutil.copytree(world.root, tmp_path / "copy"))
    mine.compared("AAPL", "ar1", mlflow)
    mine.trained("AAPL", "ar1", seed=9)
    with pytest.raises(TickloomError, match="compared another ar1 of AAPL"):
        mine.gated("AAPL", "ar1")


def test_limits_are_checked():
    with pytest.raises(ConfigurationError, match="limit 'speed' is unknown; known: behind, coverage_80_high"):
        Limits.of({"speed": 1})
    with pytest.raises(ConfigurationError, match="limit ratio -1 must be a number that is 0 or more"):
        Limits.of({"ratio": -1})
    assert Limits.of({"ratio": 1.2}).ratio == 1.2


def test_a_registry_that_is_away_is_a_sentence(world, tmp_path):
    world.learned("AAPL", "ar1")
    (tmp_path / "file").write_text("")
    with pytest.raises(TickloomError, match="MLflow at sqlite"):
        world.compared("AAPL", "ar1", f"sqlite:///{tmp_path / 'file' / 'mlflow.db'}")


def gate(ticker, model, ratio, folds_ratio=1.0, passed=True):
    return {"ticker": ticker, "model": model, "ratio": ratio, "folds_ratio": folds_ratio, "passed": passed}


def test_a_model_that_is_much_worse_for_one_ticker_is_refused_for_all(tmp_path):
    gates = [
        gate("AAPL", "ridge", 0.98), gate("MSFT", "ridge", 1.02),
        gate("AAPL", "lstm", 0.95), gate("MSFT", "lstm", 1.01, 1.2), gate("CAT", "lstm", 1.3, passed=False),
    ]  # fmt: skip
    found = steps.fair(gates=gates, out=tmp_path)
    assert found["passed"] == {"ridge": True, "lstm": False}
    assert found["allowed"] == [{"ticker": it, "model": "ridge"} for it in ("AAPL", "MSFT")]
    (row,) = [it for it in found["checks"] if it["name"] == "lstm"]
    assert (row["value"], row["why"].split()[0]) == (1.3, "CAT")
    assert not steps.fair(gates=gates[:4], out=tmp_path)["passed"]["lstm"]  # the walk-forward alone
    assert steps.fair(gates=gates, out=tmp_path, limits={"fair_ratio": 1.4})["passed"]["lstm"]


def test_a_ticker_that_was_not_compared_is_not_fair(tmp_path):
    found = steps.fair(gates=[gate("AAPL", "ridge", None), gate("MSFT", "ridge", 0.9)], out=tmp_path)
    assert found["passed"] == {"ridge": False}
    assert "AAPL: not compared" in found["checks"][0]["why"]
    assert steps.fair(gates=[], out=tmp_path)["allowed"] == []
