"""Forecasts of the engine: those of the model itself, in batches, from fresh closes."""

import math
import threading

import numpy as np
import pytest

from tests.unit.serving.engines import Folders, engine, history
from tickloom.errors import TickloomError
from tickloom.forecast.features import feature_frame
from tickloom.forecast.intervals import volatility
from tickloom.forecast.residuals import LEVELS, ConformalResiduals

ASKED = {"market": "XNYS", "version": "1", "levels": [0.8, 0.95], "as_of": None, "why": False}


def asked(ticker="AAPL", **more):
    return {**ASKED, "ticker": ticker, **more}


def residuals(horizon=2, n=200):
    rng = np.random.default_rng(0)
    scores = tuple(rng.normal(0, 1, n) for _ in range(horizon))
    misses = np.tile([1 - it for it in LEVELS], (horizon, 1))
    return ConformalResiduals("ridge", "enbpi", LEVELS, True, scores, misses)


@pytest.fixture
def place(tmp_path):
    registry = Folders(tmp_path / "registry")
    histories = {name: history(name, seed=at) for at, name in enumerate(("AAPL", "MSFT", "CAT"))}
    found, cutoffs = engine(tmp_path, histories, registry)
    return registry, histories, found, cutoffs


def test_it_forecasts_what_the_model_forecasts_with_its_intervals(place):
    registry, histories, found, _ = place
    errors = residuals()
    model = registry.put(histories["AAPL"], "1", errors=errors)
    (made,) = found.forecast([asked()])
    mean = model.predict(feature_frame(histories["AAPL"])).mean[0]
    close = histories["AAPL"].close[-1]
    assert made["price"] == pytest.approx((close * np.exp(mean)).tolist(), rel=1e-6)
    spans = errors.intervals(close, np.log(np.array(made["price"]) / close), float(volatility(histories["AAPL"])[-1]))
    assert made["lower"][0] == pytest.approx(spans["lo-80"].tolist(), rel=1e-9)
    assert made["upper"][1] == pytest.approx(spans["hi-95"].tolist(), rel=1e-9)
    assert made["cutoff"] == histories["AAPL"].day[-1]
    assert made["close"] == close
    assert made["days"] == histories["AAPL"].sessions_after(2).tolist()


def test_features_of_a_served_forecast_are_those_of_training(place):
    """What is read at the last close, of however many sessions, is what training made of the same session."""
    registry, histories, found, cutoffs = place
    registry.put(histories["AAPL"], "1")
    found.forecast([asked()])
    longer = feature_frame(histories["AAPL"])
    served = cutoffs.get("XNYS", "AAPL", int(histories["AAPL"].day[-40])).frame(longer.names)
    assert len(served) == len(longer) - 39
    assert np.nanmax(np.abs(served.values - longer.values[: len(served)])) <= 1e-9


def test_a_batch_gives_each_what_it_gets_alone(place):
    registry, histories, found, _ = place
    for name in histories:
        registry.put(histories[name], "1", model="ridge" if name != "CAT" else "drift")
    together = found.forecast([asked("CAT"), asked("AAPL"), asked("MSFT"), asked("AAPL")])
    alone = [found.forecast([asked(name)])[0] for name in ("CAT", "AAPL", "MSFT", "AAPL")]
    for one, other in zip(together, alone, strict=True):
        assert one.pop("price") == pytest.approx(other.pop("price"), rel=1e-6)  # float32 sums in another order
        assert one == other


def test_versions_of_one_graph_run_together(place, monkeypatch):
    registry, histories, found, _ = place
    registry.put(histories["AAPL"], "1")
    same = registry.root / "XNYS" / "AAPL" / "2"
    import shutil

    shutil.copytree(registry.root / "XNYS" / "AAPL" / "1", same)
    sizes = []
    from tickloom.forecast.models.onnx import OnnxModel

    run = OnnxModel.run
    monkeypatch.setattr(OnnxModel, "run", lambda self, windows: sizes.append(len(windows)) or run(self, windows))
    one, other = found.forecast([asked(), asked(version="2")])
    assert sizes == [2]
    assert one["price"] == other["price"]
    assert (one["version"], other["version"]) == ("1", "2")


def test_many_go_through_graphs_in_parts_and_in_threads(place, tmp_path, monkeypatch):
    registry, histories, _, _ = place
    found, _ = engine(tmp_path / "other", histories, registry, threads=2, part=3)
    for name in ("AAPL", "MSFT"):
        registry.put(histories[name], "1")
    ran = []
    from tickloom.forecast.models.onnx import OnnxModel

    run = OnnxModel.run

    def noted(self, windows):
        ran.append((len(windows), threading.current_thread().name))
        return run(self, windows)

    names = ["AAPL", "MSFT", "MSFT"] * 14
    alone = {name: found.forecast([asked(name)])[0] for name in ("AAPL", "MSFT")}
    monkeypatch.setattr(OnnxModel, "run", noted)
    together = found.forecast([asked(name) for name in names])
    assert sorted(size for size, _ in ran) == [1, 2, *[3] * 13]
    assert all(name.startswith("graphs") for _, name in ran)
    for name, made in zip(names, together, strict=True):
        assert made["price"] == pytest.approx(alone[name]["price"], rel=1e-6)
        assert made["close"] == histories[name].close[-1]


def test_what_is_wrong_with_one_does_not_spoil_the_others(place):
    registry, histories, found, _ = place
    registry.put(histories["AAPL"], "1")
    registry.put(history("CVX", seed=9), "1")
    made = found.forecast([asked("CVX"), asked(), asked(version="7"), asked("NONE")])
    assert [it.get("refused") for it in made] == [
        "CVX has no history",
        None,
        "AAPL on XNYS has no version '7'",
        "NONE has no history",
    ]


def test_a_history_that_is_too_short_is_a_sentence(place):
    registry, histories, found, _ = place
    registry.put(histories["AAPL"], "1")
    histories["AAPL"] = histories["AAPL"].between(0, 60)
    (made,) = found.forecast([asked()])
    assert "load more history" in made["refused"]


def test_new_closes_are_taken_when_they_are_looked_for(place):
    registry, histories, found, cutoffs = place
    whole = histories["AAPL"]
    registry.put(whole, "1")
    histories["AAPL"] = whole.between(0, 499)
    before = found.forecast([asked()])[0]
    histories["AAPL"] = whole
    assert found.forecast([asked()])[0] == before
    cutoffs.refresh()
    assert found.forecast([asked()])[0]["cutoff"] == whole.day[-1]
    assert found.closes() == [["XNYS", "AAPL", int(whole.day[-1]), float(whole.close[-1])]]


def test_the_last_known_closes_stay_while_the_store_is_away(place):
    registry, histories, found, cutoffs = place
    registry.put(histories["AAPL"], "1")
    before = found.forecast([asked()])
    kept = histories.pop("AAPL")
    cutoffs.refresh()
    assert found.forecast([asked()]) == before
    assert cutoffs.trouble == {("XNYS", "AAPL"): "AAPL has no history"}
    histories["AAPL"] = kept
    cutoffs.refresh()
    assert cutoffs.trouble == {}


def test_a_past_forecast_knows_nothing_later(place):
    registry, histories, found, _ = place
    registry.put(histories["AAPL"], "1")
    then = int(histories["AAPL"].day[400])
    (past,) = found.forecast([asked(as_of=then)])
    histories["AAPL"] = histories["AAPL"].between(0, 401)
    fresh, _ = engine(registry.root, histories, registry)
    assert fresh.forecast([asked()])[0] == past


def test_a_past_before_the_first_session_is_a_sentence(place):
    registry, histories, found, cutoffs = place
    registry.put(histories["AAPL"], "1")
    (early,) = found.forecast([asked(as_of=10)])
    assert "has no session up to" in early["refused"]
    assert early["field"] == "as_of"
    with pytest.raises(TickloomError, match="its first is"):
        cutoffs.get("XNYS", "AAPL", 10)


def test_a_level_that_errors_are_too_few_for_says_so(place):
    registry, histories, found, _ = place
    registry.put(histories["AAPL"], "1", errors=residuals(n=199))
    usual, wide = found.forecast([asked(), asked(levels=[0.8, 0.995])])
    assert usual["remark"] == ""
    assert wide["remark"] == "199 past errors bear intervals of up to 99 %; wider ones end at the largest of them"


def test_other_levels_are_nested(place):
    registry, histories, found, _ = place
    registry.put(histories["AAPL"], "1", errors=residuals())
    (made,) = found.forecast([asked(levels=[0.5, 0.8, 0.9])])
    widths = [up[0] - low[0] for low, up in zip(made["lower"], made["upper"], strict=True)]
    assert widths == sorted(widths)
    assert widths[0] < widths[-1]


def test_occlusion_tells_what_moves_the_forecast(place):
    registry, histories, found, _ = place
    model = registry.put(histories["AAPL"], "1")
    (made,) = found.forecast([asked(why=True)])
    assert set(made["why"]) == set(model.features)
    frame = feature_frame(histories["AAPL"])
    first = next(iter(made["why"]))
    column = frame.names.index(first)
    changed = frame.values[-1:].copy()
    changed[0, column] = np.nanmean(frame.values[-250:, column])
    moved = math.log(made["price"][0] / made["close"]) - model.run(changed[:, None].astype(np.float32))[0, 0]
    assert made["why"][first] == pytest.approx(moved, abs=1e-6)


def test_a_model_without_features_has_nothing_to_tell(place):
    registry, histories, found, _ = place
    registry.put(histories["AAPL"], "1", model="random_walk")
    (made,) = found.forecast([asked(why=True)])
    assert made["why"] is None
    assert made["price"] == [made["close"]] * 2


def test_a_version_is_fetched_once_and_kept_for_the_next_start(place, tmp_path):
    registry, histories, found, _ = place
    registry.put(histories["AAPL"], "1")
    assert not found.ready([asked()])
    assert found.prepare([{"market": "XNYS", "ticker": "AAPL", "version": "1"}]) == [""]
    assert found.ready([asked()])
    found.forecast([asked()])
    again, _ = engine(tmp_path, histories, registry)
    again.forecast([asked()])
    assert registry.pulled == [("XNYS", "AAPL", "1")]


def test_another_tickers_model_is_refused(place):
    registry, histories, found, _ = place
    registry.put(histories["AAPL"], "1")
    (registry.root / "XNYS" / "AAPL").rename(registry.root / "XNYS" / "MSFT")
    assert "holds a model of AAPL" in found.forecast([asked("MSFT")])[0]["refused"]


def test_intervals_follow_what_has_matured(place):
    """Too many outcomes outside widen the next intervals, of the version in memory and without another load."""
    registry, histories, found, _ = place
    registry.put(histories["AAPL"], "1", errors=residuals())
    before = found.forecast([asked()])[0]
    found.adapt(lambda ticker, model: {1: {0.8: 0.05}} if (ticker, model) == ("AAPL", "ridge") else {})
    after = found.forecast([asked()])[0]
    assert after["upper"][0][0] > before["upper"][0][0]
    assert after["lower"][0][0] < before["lower"][0][0]
    assert after["upper"][0][1] == before["upper"][0][1]
    assert after["price"] == before["price"]
    found.adapt(lambda ticker, model: {})
    assert found.forecast([asked()])[0] == before
