"""A forecast is scored when its session's close is known: late, again when that is corrected, and never by a guess."""

import dataclasses
import math

import numpy as np
import pytest
from scoringrules import quantile_score

from tests.unit.experiment.ledgered import CUTOFF, forecast
from tickloom.experiment.performance import performance
from tickloom.experiment.scoring import QUANTILES, compared, losses, newest, score

DS = CUTOFF + 3


def scored(forecasts, closes, known=()):
    return score(forecasts, closes, known, 1)


def test_losses_are_of_log_returns_beside_those_of_the_random_walk():
    found = losses(forecast(y_cutoff=100.0, y_hat=101.0), 103.0)
    assert found["absolute"] == pytest.approx(math.log(103 / 101))
    assert found["squared"] == pytest.approx(math.log(103 / 101) ** 2)
    assert found["random_walk_absolute"] == pytest.approx(math.log(1.03))
    assert found["random_walk_squared"] == pytest.approx(math.log(1.03) ** 2)
    assert (found["direction"], found["covered_80"], found["covered_95"]) == (1.0, 1.0, 1.0)


def test_pinball_is_scoringrules_quantile_score():
    it = forecast()
    mine = losses(it, 104.0)["pinball"]
    values = [
        quantile_score(math.log(1.04), math.log(getattr(it, name) / 100), share) for name, share in QUANTILES.items()
    ]
    assert mine == pytest.approx(float(np.mean(values)), rel=1e-12)


@pytest.mark.parametrize(("y", "in_80", "in_95"), [(103.0, 1, 1), (103.5, 0, 1), (95.9, 0, 0)])
def test_coverage_holds_the_bounds_themselves(y, in_80, in_95):
    found = losses(forecast(), y)
    assert (found["covered_80"], found["covered_95"]) == (in_80, in_95)


def test_what_is_not_known_is_left_out():
    unknown = losses(forecast(lo_80=math.nan), 103.0)
    assert "covered_80" not in unknown
    assert "pinball" not in unknown
    assert "covered_95" in unknown
    assert "direction" not in losses(forecast(y_hat=100.0), 103.0)
    assert "direction" not in losses(forecast(), 100.0)


def test_a_close_that_comes_late_is_scored_then():
    first = scored([forecast()], {CUTOFF: 100.0})
    assert (first.scores, first.waiting) == ((), (forecast(),))
    (found,) = scored([forecast()], {CUTOFF: 100.0, DS: 103.0}).scores
    assert (found.y, found.revision, found.key, found.recorded_us) == (103.0, 0, forecast().key, 1)


def test_a_session_without_a_close_is_told_and_scored_if_one_comes_after_all():
    first = scored([forecast()], {CUTOFF: 100.0, DS + 1: 103.0})
    assert (first.scores, first.waiting, first.without_close) == ((), (), (forecast(),))
    assert len(scored([forecast()], {DS: 102.0, DS + 1: 103.0}).scores) == 1


def test_only_a_corrected_close_makes_a_revision():
    known = list(scored([forecast()], {DS: 103.0}).scores)
    assert scored([forecast()], {DS: 103.0}, known).scores == ()
    known += scored([forecast()], {DS: 102.0}, known).scores
    assert [(it.y, it.revision) for it in known] == [(103.0, 0), (102.0, 1)]
    assert scored([forecast()], {DS: 102.0}, known[::-1]).scores == ()
    (back,) = scored([forecast()], {DS: 103.0}, known).scores
    assert back.revision == 2
    assert newest([*known, back]) == {forecast().key: back}


@pytest.mark.parametrize("wrong", [{"y_hat": math.nan}, {"y_hat": -1.0}, {"y_cutoff": 0.0}, {"y_hat": math.inf}])
def test_a_price_that_is_none_is_told_and_scores_nothing(wrong):
    found = scored([forecast(**wrong), forecast(arm="b")], {DS: 103.0})
    assert [it.arm for it in found.scores] == ["b"]
    assert len(found.unusable) == 1


def test_arms_are_compared_on_cutoffs_that_all_have_forecast_and_on_the_same_close():
    made = [
        forecast(arm=arm, cutoff=CUTOFF + day, ds=DS + day)
        for arm, days in (("a", (0, 1, 2)), ("b", (1, 2, 3)), ("c", (1,)))
        for day in days
    ]
    found = list(scored(made, {DS + day: 103.0 for day in range(4)}).scores)
    assert [it["a"].cutoff for it in compared(found, ["a", "b"])[1]] == [CUTOFF + 1, CUTOFF + 2]
    assert [it["a"].cutoff for it in compared(found, ["a", "b", "c"])[1]] == [CUTOFF + 1]
    late = next(it for it in found if it.arm == "a" and it.cutoff == CUTOFF + 1)
    corrected = dataclasses.replace(late, y=90.0, revision=1)
    assert [it["a"].cutoff for it in compared([*found, corrected], ["a", "b"])[1]] == [CUTOFF + 2]


def series(n, error, seed=0, **changes):
    """Forecasts of n sessions whose error is a share of the move, and the closes."""
    moves = np.random.default_rng(seed).normal(0, 0.01, n)
    prices = 100 * np.exp(np.cumsum(moves))
    made, closes = [], {}
    for i in range(n - 1):
        y_hat = prices[i] * math.exp(moves[i + 1] * (1 - error))
        low, high = prices[i] * math.exp(-0.0128), prices[i] * math.exp(0.0128)
        made.append(
            forecast(
                cutoff=CUTOFF + i, ds=CUTOFF + i + 1, y_cutoff=prices[i], y_hat=y_hat, lo_80=low, hi_80=high,
                lo_95=math.nan, hi_95=math.nan, **changes,
            )
        )  # fmt: skip
        closes[CUTOFF + i + 1] = float(prices[i + 1])
    return made, closes


def rows(n, error, **changes):
    made, closes = series(n, error, **changes)
    return {it["metric"]: it for it in performance(made, scored(made, closes).scores)}


def test_performance_stands_beside_the_random_walk_on_the_same_cutoffs():
    good, bad, short = rows(101, 0.5), rows(101, 2.5), rows(15, 0.5)
    assert good["mae"]["value"] == pytest.approx(good["mae"]["baseline"] / 2)
    assert good["rmsse"]["value"] == pytest.approx(0.5)
    assert (good["mae"]["verdict"], bad["mae"]["verdict"], short["mae"]["verdict"]) == ("beats_naive", "worse", None)
    assert good["mae"]["lo_95"] < good["mae"]["value"] < good["mae"]["hi_95"] < good["mae"]["baseline"]
    assert good["direction"]["value"] == 1.0
    assert 0.5 <= good["direction"]["baseline"] < 0.7
    coverage = good["coverage_80"]
    assert (coverage["baseline"], coverage["rows"]) == (0.8, 100)
    assert coverage["lo_95"] < coverage["value"] < coverage["hi_95"]
    assert "coverage_95" not in good
    assert good["mae"]["cutoff"] == (CUTOFF + 99) * 86_400_000


def test_a_forecast_as_good_as_the_random_walk_is_indistinguishable():
    found = rows(101, 1.0)
    assert found["mae"]["verdict"] == found["rmse"]["verdict"] == "indistinguishable"
    assert "direction" not in found


def test_a_model_of_two_experiments_counts_once():
    made, closes = series(31, 0.5)
    twice = made + [dataclasses.replace(it, experiment="two", arm="b") for it in made]
    assert performance(twice, scored(twice, closes).scores) == performance(made, scored(made, closes).scores)
