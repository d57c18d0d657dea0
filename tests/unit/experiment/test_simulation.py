import numpy as np
import pytest
from scipy import stats

from tickloom.errors import TickloomError
from tickloom.experiment import simulation
from tickloom.experiment.evidence import begin, update
from tickloom.experiment.simulation import CASES, Case, simulate, upper_bound

RUNS = 300
BY_NAME = {case.name: case for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda it: it.name)
def test_equal_arms_are_not_told_apart_more_often_than_promised(case):
    found = simulate(case, runs=RUNS, sessions=120, seed=5)
    # 300 runs with a true rate of 0.05 have more errors than this in 1 of 1,000 tests
    assert found.type_1 * RUNS <= stats.binom.ppf(0.999, RUNS, 0.05)


@pytest.mark.parametrize("name", ["t3_h1", "garch_h1", "skewed_h1", "t3_h5"])
def test_a_better_challenger_is_found(name):
    found = simulate(BY_NAME[name], runs=RUNS, seed=5)
    assert found.power * RUNS >= stats.binom.ppf(0.001, RUNS, 0.8)
    assert found.power_lower < found.power <= 1


def test_a_rule_that_errs_too_often_would_be_noticed(monkeypatch):
    # a t-test peeked at daily, in place of the evidence
    def peeked(differences, horizon, alpha):
        count = np.arange(1, differences.shape[1] + 1)
        mean = differences.cumsum(axis=1) / count
        spread = np.sqrt((differences**2).cumsum(axis=1) / count - mean**2)
        over = mean[:, 20:] > 1.645 * spread[:, 20:] / np.sqrt(count[20:])
        return over.any(axis=1) * 1.0

    monkeypatch.setattr(simulation, "_first", peeked)
    assert simulate(BY_NAME["t3_h1"], runs=RUNS, sessions=120, seed=5).type_1 > 0.15


def test_the_same_seed_gives_the_same_and_another_one_another():
    small = {"runs": 60, "sessions": 60}
    assert simulate(CASES[0], seed=3, **small) == simulate(CASES[0], seed=3, **small)
    assert simulate(CASES[0], seed=3, **small).ceiling != simulate(CASES[0], seed=4, **small).ceiling


@pytest.mark.parametrize("case", CASES, ids=lambda it: it.name)
def test_losses_of_equal_arms_are_equal_on_average(case):
    made = simulation._make(case, 250, 200, np.random.default_rng(8))
    means = made.differences(0.0, 0.5 if case.regimes else 0.0).mean(axis=1)
    assert abs(means.mean()) < 4 * means.std() / np.sqrt(len(means))


@pytest.mark.parametrize("name", ["skewed_h1", "skewed_h5", "garch_h5"])
def test_it_does_not_matter_which_of_equal_arms_is_above(name):
    made = simulation._make(BY_NAME[name], 250, 200, np.random.default_rng(8))
    found = made.differences(0.0, 0.0)
    above = (made.challenger > made.champion)[..., 0]
    for which in (above, ~above):
        means = np.where(which, found, 0.0).sum(axis=1) / which.sum(axis=1)
        assert abs(means.mean()) < 4 * means.std() / np.sqrt(len(means))


def test_tickers_and_neighbours_depend_on_each_other_as_they_are_to():
    rng = np.random.default_rng(9)
    returns = simulation.returns_of(Case("x", law="garch"), 200, 200, rng)
    assert np.corrcoef(returns[..., 0].ravel(), returns[..., 1].ravel())[0, 1] == pytest.approx(0.5, abs=0.03)
    moving = simulation._make(BY_NAME["garch_h5_constant"], 250, 200, rng).differences(0.0, 0.0)
    lags = [np.corrcoef(moving[:, :-lag].ravel(), moving[:, lag:].ravel())[0, 1] for lag in (1, 4, 5)]
    assert lags[0] > 0.5
    assert lags[1] > 0.05
    assert abs(lags[2]) < 0.05


def test_runs_are_what_the_evidence_itself_says():
    made = simulation._make(BY_NAME["t3_h5"], 5, 80, np.random.default_rng(6)).differences(1.5, 0.0)
    first = simulation._first(made, 5, 0.05)
    assert (first > 0).any()
    for run, number in zip(made, first, strict=True):
        over = np.flatnonzero(update(begin(5, 80), np.arange(80), run).trail[:, 0] >= 20)
        assert number == (over[0] + 1 if over.size else 0)


def test_bounds_are_those_of_clopper_and_pearson():
    assert upper_bound(0, 100) == pytest.approx(1 - 0.05 ** (1 / 100))
    assert upper_bound(100, 100) == 1
    assert upper_bound(5, 100) == pytest.approx(stats.binomtest(5, 100).proportion_ci(0.9).high)


def test_no_runs_are_refused():
    with pytest.raises(TickloomError, match="simulation t3_h1: 0 runs of 250 sessions; give at least 1"):
        simulate(CASES[0], runs=0)
