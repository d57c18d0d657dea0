"""The walk-forward: what is forecast, with what, and that processes change nothing."""

import copy

import numpy as np
import pandas as pd
import pytest

from tests.unit.forecast.series import frame, history
from tickloom.errors import TickloomError
from tickloom.forecast.accuracy import score
from tickloom.forecast.features import feature_frame
from tickloom.forecast.folds import Plan
from tickloom.forecast.models import BASELINES, make
from tickloom.forecast.walk import long_frame, walk_forward

PLAN = Plan(folds=2, test=60, horizon=3)


@pytest.fixture(scope="module")
def walked():
    return walk_forward(frame(700), ["random_walk", "drift", "seasonal_naive", "ar1", "ridge"], PLAN)


def test_each_cutoff_is_forecast_once_by_each_model(walked):
    assert len(walked) == 5 * 2 * 60 * 3
    assert not walked.duplicated(["model", "cutoff", "h"]).any()
    assert walked["y"].notna().all()
    naive = walked[walked["model"] == "random_walk"]
    assert (naive["y_hat"] == naive["y_cutoff"]).all()
    assert (walked["ds"] > walked["cutoff"]).all()


def test_outcomes_are_the_closes_of_later_sessions(walked):
    made = history(700)
    closes = pd.Series(made.close, pd.to_datetime(made.day.astype("datetime64[D]")))
    row = walked.iloc[-1]
    assert row["y"] == closes[row["ds"]]
    assert closes.index.get_loc(row["ds"]) - closes.index.get_loc(row["cutoff"]) == row["h"] == 3


def test_processes_change_nothing(walked):
    again = walk_forward(frame(700), ["random_walk", "drift", "seasonal_naive", "ar1", "ridge"], PLAN, jobs=2)
    pd.testing.assert_frame_equal(walked, again)


def test_a_forecast_beyond_the_last_session_has_its_date_and_no_outcome():
    made = frame(700)
    long = long_frame(made, np.array([698, 699]), np.zeros((2, 3)))
    assert long["y"].isna().tolist() == [False, True, True, True, True, True]
    table = made.history.sessions_after(3)
    assert long["ds"].tolist()[3:] == list(pd.to_datetime(table.astype("datetime64[D]")))


def test_scores_stand_beside_the_random_walks(walked):
    table = score(walked).table.set_index(["model", "h"])
    assert set(table["verdict"]) <= {"beats_naive", "indistinguishable", "worse"}
    assert (table.loc["random_walk"]["mase"] == 1).all()
    assert table.loc[("seasonal_naive", 1), "verdict"] == "worse"
    assert table.loc[("random_walk", 1), "r2_price"] > 0.5 > table.loc[("random_walk", 1), "r2_return"]


def test_an_autoregression_is_found():
    table = score(walk_forward(frame(1500, phi=0.4), ["random_walk", "ar1", "ridge"], Plan(2, 250, 1))).table
    assert table.set_index("model")["verdict"].to_dict() == {
        "random_walk": "indistinguishable",
        "ar1": "beats_naive",
        "ridge": "beats_naive",
    }


def test_too_short_a_history_is_a_sentence():
    with pytest.raises(
        TickloomError,
        match=r"480 sessions are too few: 199 until .* 5 folds of 125 and 5 ahead make 1084; load 604 more",
    ):
        walk_forward(frame(480), ["ridge"], Plan())
    with pytest.raises(TickloomError, match="250 sessions are too few: ridge needs 255, after 199 until all"):
        make("ridge", 5).fit(frame(250))
    with pytest.raises(TickloomError, match="150 sessions are too few: none of them has to_sma_200; load more history"):
        make("ridge", 5).fit(frame(150))
    with pytest.raises(TickloomError, match="150 sessions are too few: none of them has to_sma_200; load more history"):
        walk_forward(frame(150), ["ridge"], Plan(1, 20))


def test_models_of_closes_alone_do_not_wait_for_features():
    short = frame(70)
    for name in (it for it in BASELINES if it not in ("ridge", "lightgbm")):
        assert np.isfinite(make(name, 2).fit(short).predict(short).mean).all()
    with pytest.raises(TickloomError, match="AAPL: 20 sessions are too few: ar1 needs 30; load 10 more"):
        make("ar1", 2).fit(frame(20))


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_is_saved_loaded_and_forecasts_the_same(name, tmp_path):
    from tickloom.forecast.models import load

    made = frame(700)
    model = make(name, 3).fit(made)
    model.save(tmp_path)
    rows = np.arange(600, 700)
    assert np.allclose(load(tmp_path).predict(made, rows).mean, model.predict(made, rows).mean, atol=1e-7)


def test_models_read_nothing_after_the_cutoff():
    whole = history(700)
    other = history(700, seed=9)
    changed = copy.deepcopy(whole)
    for name in ("open", "high", "low", "close", "volume"):
        getattr(changed, name)[650:] = getattr(other, name)[650:]
    rows = np.arange(600, 650)
    for name in BASELINES:
        model = make(name, 3).fit(feature_frame(whole.between(0, 600)))
        first, second = (model.predict(feature_frame(it), rows).mean for it in (whole, changed))
        assert np.array_equal(first, second), name
