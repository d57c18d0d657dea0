"""The deflated Sharpe ratio, against the numbers of its source."""

import numpy as np
import pytest

from tickloom.retrain.sharpe import Returns, deflated, expected_maximum, maximum_of

# Bailey and Lopez de Prado (2014), numerical example: five years of daily returns with an annualised Sharpe ratio of
# 2.5, skewness -3 and kurtosis 10, the best of 100 trials whose annualised Sharpe ratios have variance 1/2.
YEAR = 250
BEST = Returns(2.5 / YEAR**0.5, 1250, -3.0, 10.0)


def test_the_published_example_is_reached():
    threshold = maximum_of(100, 0.5 / YEAR)
    assert threshold == pytest.approx(0.1132, abs=5e-5)
    assert deflated(BEST, threshold) == pytest.approx(0.9004, abs=5e-5)
    assert deflated(BEST, maximum_of(46, 0.5 / YEAR)) == pytest.approx(0.9505, abs=5e-5)


def test_more_trials_deflate_more():
    worths = [deflated(BEST, maximum_of(trials, 0.5 / YEAR)) for trials in (1, 10, 100, 1000)]
    assert worths == sorted(worths, reverse=True)
    assert maximum_of(1, 0.5) == 0.0


def test_the_best_of_trials_of_chance_is_what_the_formula_expects():
    chance = np.random.default_rng(0)
    best = [chance.normal(0, 0.1, 50).max() for _ in range(4000)]
    assert maximum_of(50, 0.01) == pytest.approx(np.mean(best), rel=0.02)
    assert expected_maximum(list(chance.normal(0, 0.1, 5000))) == pytest.approx(maximum_of(5000, 0.01), rel=0.05)


def test_returns_that_never_move_have_no_ratio():
    assert Returns.of(np.zeros(50)) == Returns(0.0, 50)
    assert np.isnan(deflated(Returns.of(np.array([])), 0.0))
