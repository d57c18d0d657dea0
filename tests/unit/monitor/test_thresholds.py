"""Thresholds of a made year: calm series stay below, planted changes do not, and the clusters of volatility count."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.monitor.made import returns
from tickloom.errors import TickloomError
from tickloom.monitor.resampling import block_length, drawn
from tickloom.monitor.statistics import of_losses, of_series, rolled
from tickloom.monitor.thresholds import Thresholds

SINGLE = {it.name: at for at, it in enumerate(of_series())}


@pytest.fixture(scope="module")
def calm():
    return Thresholds.of({"value": returns(500)}, of_series(), paths=499)


def planted(change, seed=3):
    later = returns(120, seed)
    later[60:] = change(later[60:])
    return {"value": later}


@pytest.mark.parametrize(
    ("statistic", "change"),
    [
        ("volatility", lambda it: 2 * it),
        ("scale", lambda it: 0.3 * it),
        ("location", lambda it: it + 0.008),
        ("distribution", lambda it: it + 0.008),
        ("autocorrelation", lambda it: np.repeat(it[::4], 4)[: len(it)]),
    ],
)
def test_each_statistic_sees_the_change_that_it_is_for(calm, statistic, change):
    before, after = calm.look(planted(lambda it: it)), calm.look(planted(change))
    at = SINGLE[statistic]
    assert after.single[-1, at] < 0.05 < before.single[-1, at]
    assert after.values[-1, at] > calm.limit(at, 0.05) > before.values[-1, at]


def test_calm_years_have_about_as_many_alarms_as_were_asked_for():
    alarmed = 0
    for seed in range(24):
        made = returns(812, seed + 100)
        thresholds = Thresholds.of({"value": made[:500]}, of_series(), paths=199, seed=seed)
        alarmed += bool((thresholds.look({"value": made[501:]}).p <= 0.2).any())
    assert alarmed <= 12  # 5 are expected; a reference of 500 sessions says only so much of its tails


def test_thresholds_of_shuffled_returns_would_be_too_low():
    made = returns(500, 1, alpha=0.2, beta=0.75)
    shuffled = np.random.default_rng(0).permutation(made)
    kept, lost = (
        Thresholds.of({"value": it}, of_series(), paths=499).limit(SINGLE["volatility"], 0.05)
        for it in (made, shuffled)
    )
    assert kept > 1.1 * lost


@given(st.integers(0, 1000), st.floats(0.001, 1000), st.floats(-5, 5))
def test_no_unit_and_no_origin_changes_what_is_seen(seed, scale, shift):
    made = returns(380, seed % 5)
    plain, moved = (
        Thresholds.of({"value": it[:300]}, of_series(), paths=29, seed=seed).look({"value": it[300:]})
        for it in (made, scale * made + shift * scale * 0.01)
    )
    np.testing.assert_allclose(moved.values, plain.values, rtol=1e-6, atol=1e-9)


def test_a_year_that_is_looked_at_bit_by_bit_says_what_it_says_at_once(calm):
    later = returns(140, 9)
    whole = calm.look({"value": later}).p
    by_day = [calm.look({"value": later[at : at + 60]}).p[0] for at in range(81)]
    np.testing.assert_array_equal(whole, by_day)


def test_a_feature_that_never_moved_and_moves_now_is_drift():
    still = Thresholds.of({"value": np.full(300, 2.0)}, of_series(), paths=199)
    assert still.look({"value": np.full(60, 2.0)}).p[-1] > 0.5
    assert still.look({"value": np.where(np.arange(60) > 50, 3.0, 2.0)}).p[-1] < 0.05


def test_losses_without_intervals_are_told_by_their_errors():
    made = np.abs(returns(500))
    losses = {"absolute": made, "random_walk_absolute": made, "promised": np.full(500, np.nan)}
    names = [it.name for it in Thresholds.of(losses, of_losses(promised=False), paths=19).statistics]
    assert names == ["error", "skill"]


def test_a_short_or_unknown_reference_is_refused():
    with pytest.raises(TickloomError, match="a reference of 249 sessions is too short; 250 are needed"):
        Thresholds.of({"value": returns(249)}, of_series())
    with pytest.raises(TickloomError, match="no column of value is known of every session"):
        Thresholds.of({"value": np.full(300, np.nan)}, of_series())
    with pytest.raises(TickloomError, match="59 sessions are too few; 60 are needed"):
        Thresholds.of({"value": returns(300)}, of_series(), paths=9).look({"value": returns(59)})


def test_blocks_are_longer_where_neighbours_hang_together():
    chance = np.random.default_rng(0).standard_normal(500)
    walk = np.cumsum(chance)
    assert block_length({"value": chance}, 5) < block_length({"value": walk}, 5) <= 100
    rows = drawn(500, 700, 50, 20, seed=0)
    assert rows.shape == (50, 700)
    follows = ((np.diff(rows, axis=1) % 500) == 1).mean()
    assert 0.93 < follows < 0.97  # a block ends after 20 on average


@given(st.integers(1, 20), st.integers(20, 60))
def test_rolled_means_are_means(window, length):
    values = np.random.default_rng(length).standard_normal((2, length))
    found = rolled(values, window)
    for at in (0, length - window):
        np.testing.assert_allclose(found[:, at], values[:, at : at + window].mean(axis=1), atol=1e-12)
