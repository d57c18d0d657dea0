"""Coverage, widths and scores of intervals that are known by construction."""

import numpy as np
import pandas as pd
import pytest
import scoringrules
from scipy.stats import norm

from tickloom.errors import TickloomError
from tickloom.forecast.coverage import coverage, probability_of_rise, quantile_scores, with_regime
from tickloom.forecast.intervals import with_intervals, with_volatility

from . import made


@pytest.fixture(scope="module")
def long():
    tickers = [made.history(700, seed, ticker=f"T{seed}") for seed in (1, 2)]
    models = {"random_walk": made.still, "seer": made.seer(0.5)}
    found = pd.concat([made.forecasts(it, models, horizon=2) for it in tickers], ignore_index=True)
    return with_intervals(with_volatility(found, tickers))


def test_coverage_is_the_share_of_outcomes_inside(long):
    found = coverage(long).set_index(["model", "h", "level", "regime"])
    known = long.dropna(subset="lo-80")
    mine = known[(known["model"] == "seer") & (known["h"] == 2)]
    row = found.loc["seer", 2, 0.95, "all"]
    assert row["n"] == len(mine)
    assert row["coverage"] == mine["y"].between(mine["lo-95"], mine["hi-95"]).mean()
    assert row["width"] == pytest.approx(((mine["hi-95"] - mine["lo-95"]) / mine["y_cutoff"]).mean())
    assert row["low"] < row["coverage"] < row["high"]
    parts = found.loc["seer", 2, 0.95].drop("all")
    assert parts["n"].sum() == row["n"]
    assert (parts["coverage"] * parts["n"]).sum() / row["n"] == pytest.approx(row["coverage"])
    # Who sees half of the move to come needs intervals half as wide.
    assert row["width"] == pytest.approx(found.loc["random_walk", 2, 0.95, "all"]["width"] / 2, rel=0.05)


def test_the_bootstrap_draws_sessions_and_not_single_forecasts(long):
    # The same forecasts twice are no more evidence than once.
    twice = pd.concat([long, long.assign(unique_id=long["unique_id"] + "again")], ignore_index=True)
    once, again = (coverage(it).set_index(["model", "h", "level", "regime"]) for it in (long, twice))
    pd.testing.assert_frame_equal(once[["coverage", "low", "high"]], again[["coverage", "low", "high"]])


def test_regimes_are_thirds_of_each_ticker(long):
    one = with_regime(long[(long["model"] == "seer") & (long["h"] == 1)])
    for _, ticker in one.groupby("unique_id"):
        sizes = ticker.groupby("regime")["volatility"].agg(["size", "min", "max"])
        assert np.ptp(sizes["size"]) <= 1
        assert sizes.loc["calm", "max"] <= sizes.loc["middle", "min"] <= sizes.loc["wild", "min"]


def test_crps_prefers_the_forecast_that_knows_more_and_is_scoringrules(long):
    found = quantile_scores(long).set_index(["unique_id", "model", "h"])
    assert (found.xs("seer", level="model")["crps"] < found.xs("random_walk", level="model")["crps"]).all()
    np.testing.assert_allclose(found["crps"], 2 * found["pinball"])

    mine = long[(long["unique_id"] == "T1") & (long["model"] == "seer") & (long["h"] == 1)].dropna(subset="lo-80")
    by_hand = scoringrules.quantile_score(mine["y"].to_numpy(), mine["lo-95"].to_numpy(), 0.025)
    lower = (0.975 * (mine["lo-95"] - mine["y"])).where(mine["y"] < mine["lo-95"], 0.025 * (mine["y"] - mine["lo-95"]))
    np.testing.assert_allclose(by_hand, lower)
    names, shares = ["lo-95", "lo-80", "y_hat", "hi-80", "hi-95"], np.array([0.025, 0.1, 0.5, 0.9, 0.975])
    base = mine["y_cutoff"].to_numpy()
    outcome, quantiles = mine["y"].to_numpy() / base, mine[names].to_numpy() / base[:, None]
    pinball = scoringrules.quantile_score(outcome[:, None], quantiles, shares).mean()
    crps = scoringrules.crps_quantile(outcome, quantiles, shares).mean()
    np.testing.assert_allclose(found.loc[("T1", "seer", 1), ["pinball", "crps"]], [pinball, crps], rtol=1e-12)


def test_probability_of_a_rise_is_that_of_the_distribution_behind_the_intervals():
    mean, scale = np.array([-0.08, -0.03, 0.0, 0.004, 0.02, 0.06]), 0.02
    rows = pd.DataFrame({"y_cutoff": 50.0}, index=range(len(mean)))
    for level in (80, 95):
        reach = norm.ppf(0.5 + level / 200) * scale
        rows[f"lo-{level}"], rows[f"hi-{level}"] = 50 * np.exp(mean - reach), 50 * np.exp(mean + reach)
    np.testing.assert_allclose(probability_of_rise(rows), norm.cdf(mean / scale), atol=1e-12)


def test_without_intervals_it_says_what_to_do(long):
    with pytest.raises(TickloomError, match="forecasts have no column lo-80; make the intervals first"):
        coverage(long.drop(columns="lo-80"))
    with pytest.raises(TickloomError, match="the burn-in takes all cutoffs"):
        coverage(long[long["lo-80"].isna()])
