"""Tests of significance err as often as they say, and see what is there."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tickloom.errors import TickloomError
from tickloom.forecast.significance import confidence_set, diebold_mariano, direction, holm, verdicts


def test_equal_losses_are_told_apart_no_more_often_than_by_chance():
    rng = np.random.default_rng(1)
    wrong = sum(diebold_mariano(*rng.exponential(size=(2, 200))).p_better < 0.05 for _ in range(1000))
    assert 30 <= wrong <= 72  # 50 are expected


def test_overlapping_losses_are_not_told_apart_more_often_either():
    rng = np.random.default_rng(2)
    wrong = 0
    for _ in range(600):
        first, second = (np.convolve(rng.exponential(size=304), np.ones(5) / 5, "valid") for _ in range(2))
        wrong += diebold_mariano(first, second, 5).p_better < 0.05
    assert wrong <= 60  # 30 are expected, and small samples err somewhat more often


def test_a_lower_loss_is_seen():
    rng = np.random.default_rng(3)
    shared = rng.exponential(size=500)
    found = diebold_mariano(shared, shared + 0.1 + rng.normal(0, 0.3, 500))
    assert found.difference == pytest.approx(-0.1, abs=0.05)
    assert found.p_better < 1e-6
    assert found.p_better + found.p_worse == pytest.approx(1)


@pytest.mark.parametrize(("right", "n", "ups"), [(0, 12, 7), (9, 12, 6), (12, 12, 11), (520, 1000, 510)])
def test_p_values_are_scipy_s(right, n, ups):
    moved = np.where(np.arange(n) < ups, 1.0, -1.0)
    said = direction(moved, np.where(np.arange(n) < right, moved, -moved))
    exact = stats.binomtest(right, n, max(ups, n - ups) / n, alternative="greater").pvalue
    assert said.p_value == pytest.approx(exact, rel=1e-12)

    compared = diebold_mariano(*np.random.default_rng(right).exponential(size=(2, 20 + n)))
    assert compared.p_better == pytest.approx(stats.t.cdf(compared.statistic, 19 + n), rel=1e-12)
    assert compared.p_worse == pytest.approx(stats.t.sf(compared.statistic, 19 + n), rel=1e-12)


def test_the_same_losses_are_no_difference():
    losses = np.random.default_rng(4).exponential(size=100)
    found = diebold_mariano(losses, losses.copy())
    assert (found.difference, found.statistic, found.p_better) == (0, 0, 0.5)


def test_too_few_or_unequal_losses_are_refused():
    with pytest.raises(TickloomError, match="losses of 5 and 5 cutoffs"):
        diebold_mariano(np.ones(5), np.zeros(5))
    with pytest.raises(TickloomError, match="losses of 50 and 40"):
        diebold_mariano(np.ones(50), np.zeros(40))


def test_holm_by_hand():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})


def test_verdicts_say_who_is_better_worse_or_neither():
    rng = np.random.default_rng(5)
    base = rng.exponential(size=400)
    losses = pd.DataFrame(
        {
            "random_walk": base,
            "good": base - 0.2 + rng.normal(0, 0.5, 400),
            "bad": base + 0.2 + rng.normal(0, 0.5, 400),
            "same": base + rng.normal(0, 0.5, 400),
        }
    )
    found = verdicts(losses, "random_walk", 1)["verdict"].to_dict()
    assert found == {"good": "beats_naive", "bad": "worse", "same": "indistinguishable"}
    members = confidence_set(losses, 1)
    assert members["good"] == 1
    assert members["bad"] < 0.1


def test_equal_losses_stand_as_one_and_rounding_is_no_difference():
    rng = np.random.default_rng(6)
    base = rng.exponential(size=300)
    losses = pd.DataFrame(
        {"random_walk": base, "rounded": base * (1 - 1e-13), "bad": base + rng.exponential(0.5, 300), "equal": base}
    )
    members = confidence_set(losses, 1)
    assert members == {"random_walk": 1.0, "rounded": 1.0, "bad": members["bad"], "equal": 1.0}
    assert members["bad"] < 0.1
    found = verdicts(losses, "random_walk", 1)
    assert found["verdict"].to_dict() == {"rounded": "indistinguishable", "bad": "worse", "equal": "indistinguishable"}
    assert confidence_set(losses[["random_walk", "equal"]], 1) == {"random_walk": 1.0, "equal": 1.0}


def test_direction_is_measured_against_saying_always_the_same():
    moved = np.array([1.0, 1, 1, -1, 0])
    always_up = direction(moved, np.ones(5))
    assert (always_up.accuracy, always_up.base_rate, always_up.n) == (0.75, 0.75, 4)
    assert always_up.p_value > 0.5
    assert np.isnan(direction(moved, np.zeros(5)).accuracy)
