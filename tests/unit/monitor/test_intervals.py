"""Tests of coverage and calibration: levels kept by what is right, and power against what is wrong."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tests.unit.experiment.ledgered import CUTOFF, forecast
from tests.unit.monitor.made import history, ledger, returns
from tickloom.errors import TickloomError
from tickloom.experiment.scoring import score
from tickloom.monitor.intervals import calibration, coverage, judged, rises


def test_right_intervals_are_refused_as_seldom_as_promised():
    rng = np.random.default_rng(0)
    found = [judged(rng.random(250) < 0.2, 0.8) for _ in range(400)]
    for name in ("p_share", "p_apart", "p_both"):
        assert np.mean([getattr(it, name) < 0.05 for it in found]) < 0.09


def test_too_many_misses_are_told_from_misses_in_a_row():
    rng = np.random.default_rng(1)
    many = judged(rng.random(250) < 0.35, 0.8)
    in_a_row = judged(np.repeat(rng.random(50) < 0.2, 5), 0.8)
    assert many.p_share < 0.001 < 0.05 < many.p_apart
    assert in_a_row.p_apart < 0.001
    assert in_a_row.p_both < 0.001


def test_the_likelihood_ratio_of_dependence_is_that_of_the_table_of_counts():
    missed = np.random.default_rng(5).random(300) < 0.2
    before, after = missed[:-1], missed[1:]
    table = [[int(((before == a) & (after == b)).sum()) for b in (False, True)] for a in (False, True)]
    wanted = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood").pvalue
    assert judged(missed, 0.8).p_apart == pytest.approx(wanted)


def test_without_a_miss_there_is_no_word_on_dependence():
    found = judged(np.zeros(60, bool), 0.95)
    assert found.covered == 1
    assert np.isnan(found.p_apart)
    with pytest.raises(TickloomError, match="no forecast has matured"):
        judged(np.zeros(0, bool), 0.95)


def test_coverage_of_the_ledger_is_of_one_horizon_and_the_last_revision():
    made = [forecast(cutoff=CUTOFF - 7 * it, ds=CUTOFF - 7 * it + 3) for it in range(25)]
    closes = {it.ds: 110.0 if at < 5 else 100.0 for at, it in enumerate(made)}
    first = score(made, closes, [], 0).scores
    corrected = score(made, closes | {made[0].ds: 100.0}, first, 1).scores
    found = coverage([*first, *corrected])
    assert [(it.level, it.n, it.misses) for it in found] == [(0.8, 25, 4), (0.95, 25, 4)]
    assert coverage(first, horizon=2) == []


def test_probabilities_that_come_true_are_kept_and_bold_ones_are_refused():
    rng = np.random.default_rng(2)
    said = rng.uniform(0.1, 0.9, 2000)
    refused = np.mean([calibration(said[:300], rng.random(300) < said[:300]).p < 0.05 for _ in range(400)])
    assert 0.02 < refused < 0.08
    right = calibration(said, rng.random(2000) < said)
    bold = calibration(np.where(said > 0.5, 0.95, 0.05), rng.random(2000) < said)
    assert bold.p < 1e-6
    assert right.brier < right.climatology
    assert sum(it[2] for it in right.bins) == 2000


def test_what_is_no_probability_is_refused():
    with pytest.raises(TickloomError, match=r"outside of 0\.\.1"):
        calibration(np.full(30, 55.0), np.ones(30, bool))
    with pytest.raises(TickloomError, match="20 of both are needed"):
        calibration(np.full(3, 0.5), np.ones(3, bool))


def test_the_rise_that_bounds_imply_is_between_their_probabilities_and_tested_against_what_came():
    history_ = history(returns(300, 1))
    forecasts, scores = ledger(history_, skill=0.0, sessions=100)
    probabilities, came = rises(forecasts, scores)
    assert len(probabilities) == 100
    assert ((probabilities > 0.4) & (probabilities < 0.6)).all(), "bounds lie around the last close"
    assert calibration(probabilities, came).n == 100
    sure, _ = rises(*ledger(history_, skill=1.0, sessions=100))
    assert (sure[came] > sure[~came].max()).all()


def test_forecasts_without_bounds_imply_no_rise():
    forecasts, scores = ledger(history(returns(300, 1)), sessions=30)
    bare = [replace(it, lo_95=float("nan")) for it in forecasts]
    assert not len(rises(bare, scores)[0])
