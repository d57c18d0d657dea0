"""Intervals: what they may know, that they are mapie's, and that they hold what they promise."""

import dataclasses
import json
import warnings

import numpy as np
import pandas as pd
import pytest
from mapie.regression import SplitConformalRegressor, TimeSeriesRegressor

from tickloom.errors import TickloomError
from tickloom.forecast.intervals import conformal_residuals, given, volatility, with_intervals, with_volatility
from tickloom.forecast.residuals import FILE, METHODS, ConformalResiduals

from . import made

BOUNDS = ["lo-80", "hi-80", "lo-95", "hi-95"]
SMALL = {"calibration": 60, "window": 60}


def series(sessions=520, horizon=1, seed=3):
    history = made.history(sessions, seed)
    long = made.forecasts(history, {"random_walk": made.still, "noise": made.noise()}, horizon=horizon)
    return history, with_volatility(long, [history])


def moves(found):
    return np.log(found[BOUNDS].to_numpy() / found["y_cutoff"].to_numpy()[:, None])


def one(long, model="noise", h=1):
    kept = long[(long["model"] == model) & (long["h"] == h)].reset_index(drop=True)
    inputs = np.log(kept["y_hat"] / kept["y_cutoff"]).to_numpy()[:, None]
    return kept, inputs, np.log(kept["y"] / kept["y_cutoff"]).to_numpy()


@pytest.mark.parametrize("gamma", [0.0, 0.01])
def test_enbpi_and_aci_are_mapies_step_by_step(gamma):
    long, inputs, outcomes = one(series(800)[1])
    method, burn_in = "aci" if gamma else "enbpi", 200
    found = moves(with_intervals(long, method, scaled=False, gamma=gamma, calibration=burn_in, window=burn_in))
    assert np.isnan(found[:burn_in]).all()
    peer = TimeSeriesRegressor(given(), method=method, cv="prefit").fit(inputs[:burn_in], outcomes[:burn_in])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of update: it says that it no longer adapts
        for at in range(burn_in, len(long)):
            row, outcome = inputs[at : at + 1], outcomes[at : at + 1]
            _, bounds = peer.predict(row, confidence_level=[0.8, 0.95])
            np.testing.assert_allclose(found[at], bounds[0].T.ravel(), atol=1e-12)
            if gamma:
                peer.adapt_conformal_inference(row, outcome, gamma=gamma, confidence_level=[0.8, 0.95])
            peer.update(row, outcome)


def test_split_is_mapies_before_each_fold():
    long, inputs, outcomes = one(series()[1])
    found = moves(with_intervals(long, "split", scaled=False, calibration=60))
    assert np.isnan(found[long["fold"] == 1]).all()
    rows = np.flatnonzero(long["fold"] == 3)
    known = rows[0]  # at horizon 1 all outcomes of the cutoffs before are known
    peer = SplitConformalRegressor(given(), confidence_level=[0.8, 0.95]).conformalize(inputs[:known], outcomes[:known])
    expected = peer.predict_interval(inputs[rows])[1].transpose(0, 2, 1).reshape(len(rows), 4)
    np.testing.assert_allclose(found[rows], expected, atol=1e-12)


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_no_interval_knows_an_outcome_after_its_cutoff(method, scaled):
    history, long = series(horizon=5)
    before = with_intervals(long, method, scaled=scaled, **SMALL)
    at = 450
    close = history.close.copy()
    close[at + 1 :] *= np.exp(np.linspace(0.2, 3, len(close) - at - 1))
    other = dataclasses.replace(history, close=close)
    changed = with_volatility(
        made.forecasts(other, {"random_walk": made.still, "noise": made.noise()}, horizon=5), [other]
    )
    after = with_intervals(changed, method, scaled=scaled, **SMALL)
    early = (before["cutoff"] <= before["cutoff"].unique()[at - 300]).to_numpy()
    assert before.loc[early, BOUNDS].notna().to_numpy().any()
    pd.testing.assert_frame_equal(before.loc[early, BOUNDS], after.loc[early, BOUNDS])
    assert not np.allclose(before.loc[~early, BOUNDS], after.loc[~early, BOUNDS], equal_nan=True)


@pytest.mark.parametrize("method", ["enbpi", "aci"])
def test_an_error_counts_from_the_session_on_which_its_outcome_is_known(method):
    _, long = series(horizon=5)
    found = with_intervals(long, method, **SMALL)
    for ahead, group in found[found["model"] == "noise"].groupby("h"):
        # cutoff number i knows the i - h + 1 first outcomes
        assert int(group["lo-80"].isna().sum()) == 60 + ahead - 1


@pytest.mark.parametrize("method", METHODS)
def test_coverage_of_a_random_walk_is_what_was_asked_for(method):
    _, long = series(3000, seed=5)
    found = with_intervals(long, method).dropna()
    for level in (80, 95):
        held = found["y"].between(found[f"lo-{level}"], found[f"hi-{level}"]).mean()
        assert abs(held - level / 100) < 0.02
    assert (found["lo-95"] <= found["lo-80"]).all()
    assert (found["hi-80"] <= found["hi-95"]).all()


def garch(sessions, seed=8):
    """Return returns whose variance goes up after large ones and back to its mean: Bollerslev (1986)."""
    found, variance = [], 1.5e-4
    for shock in np.random.default_rng(seed).standard_normal(sessions):
        found.append(np.sqrt(variance) * shock)
        variance = 3e-6 + 0.10 * found[-1] ** 2 + 0.88 * variance
    return found


def test_scaling_holds_coverage_where_volatility_changes():
    history = made.history(returns=garch(4000))
    long = with_volatility(made.forecasts(history, {"random_walk": made.still}), [history])
    spread = {}
    for scaled in (True, False):
        found = with_intervals(long, scaled=scaled).dropna()
        held = found["y"].between(found["lo-80"], found["hi-80"])
        by_regime = held.groupby(pd.qcut(found["volatility"], 3, labels=False)).mean()
        spread[scaled] = by_regime.max() - by_regime.min()
    assert spread[True] < spread[False] / 2


def test_aci_widens_after_misses():
    history = made.history(500)
    long = made.forecasts(history, {"random_walk": made.still})
    late = long["fold"] >= 3
    long.loc[late, "y"] = long.loc[late, "y_cutoff"] * 1.03  # errors of another kind than all before
    rolled, adapted = (with_intervals(long, it, scaled=False, gamma=0.05, **SMALL) for it in ("enbpi", "aci"))
    assert (adapted["hi-80"] - rolled["hi-80"])[late].head(40).mean() > 0


@pytest.mark.parametrize("method", METHODS)
def test_residuals_travel_as_json_and_give_the_next_interval(method, tmp_path):
    history, long = series(700, horizon=3)
    conformal_residuals(long, "noise", method).save(tmp_path)
    body = json.loads((tmp_path / FILE).read_text())
    assert body["method"] == method
    served = ConformalResiduals.load(tmp_path)
    # The next cutoff's interval from the whole evaluation is the one that serving gives.
    last = long[(long["model"] == "noise")].tail(3)
    sigma = volatility(history)[-1]
    next_rows = last.assign(
        cutoff=pd.Timestamp("2030-01-01"), ds=pd.Timestamp("2030-01-05"), y=np.nan, y_cutoff=50.0,
        y_hat=50 * np.exp(0.001), volatility=sigma, fold=99,
    )  # fmt: skip
    more = pd.concat([long, next_rows], ignore_index=True)
    expected = with_intervals(more, method).tail(3)[BOUNDS].to_numpy()
    found = served.intervals(50.0, np.full(3, 0.001), sigma)
    np.testing.assert_allclose(np.column_stack([found[name] for name in BOUNDS]), expected, rtol=1e-9)
    rise = served.probability_of_rise(np.array([-0.2, 0.0, 0.2]), sigma)
    assert rise[0] < 0.01 < 0.3 < rise[1] < 0.7 < 0.99 < rise[2]


def test_volatility_knows_nothing_later():
    history = made.history(400)
    np.testing.assert_array_equal(volatility(history.between(0, 300)), volatility(history)[:300])


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"method": "jackknife"}, "intervals 'jackknife' are unknown; known: split, enbpi, aci"),
        ({"calibration": 20}, "calibration 20 must be 39 or more: level 0.95 needs so many errors"),
        ({"levels": (0.95, 0.8)}, "must be fractions in rising order"),
        ({"gamma": 2.0}, "gamma 2.0 must lie between 0 and 1"),
    ],
)
def test_what_cannot_be_is_a_sentence(wrong, sentence):
    with pytest.raises(TickloomError, match=sentence):
        with_intervals(series()[1], **wrong)


def test_serving_says_what_it_lacks(tmp_path):
    _, long = series()
    with pytest.raises(TickloomError, match="saved without its errors; train again"):
        ConformalResiduals.load(tmp_path)
    with pytest.raises(TickloomError, match="forecasts have no column volatility"):
        with_intervals(long.drop(columns="volatility"))
    kept = conformal_residuals(long, "noise")
    with pytest.raises(TickloomError, match="volatility None must be above 0"):
        kept.intervals(50.0, np.zeros(1))
    with pytest.raises(TickloomError, match="errors of 1 sessions ahead are known, 2 are asked for"):
        kept.intervals(50.0, np.zeros(2), 0.01)
    (tmp_path / FILE).write_text('{"version": 1}')
    with pytest.raises(TickloomError, match="is not a file of errors"):
        ConformalResiduals.load(tmp_path)
