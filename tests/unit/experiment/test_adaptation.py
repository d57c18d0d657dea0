"""Intervals find back to their coverage when the market gets wilder than the errors that they are made from."""

import dataclasses

import numpy as np
import pytest

from tests.unit.experiment.ledgered import CUTOFF, forecast
from tickloom.experiment.adaptation import adapted, applied
from tickloom.experiment.scoring import score
from tickloom.forecast.residuals import ConformalResiduals

RESIDUALS = ConformalResiduals(
    "lstm", "enbpi", (0.8, 0.95), False, (np.random.default_rng(1).normal(0, 0.01, 250),) * 2,
    np.array([[0.2, 0.05], [0.2, 0.05]]),
)  # fmt: skip


def served(sessions, deviation, adapt, seed=3):
    """Serve a forecast of no change each session, score it, and return the share that was inside, by level."""
    moves = np.random.default_rng(seed).normal(0, deviation, sessions)
    scores = []
    for day, move in enumerate(moves):
        misses = adapted(scores).get(("AAPL", "champion", 1)) if adapt else None
        bounds = (applied(RESIDUALS, {1: misses}) if misses else RESIDUALS).intervals(100.0, np.zeros(1))
        given = {name.replace("-", "_"): float(values[0]) for name, values in bounds.items()}
        made = forecast(cutoff=CUTOFF + day, ds=CUTOFF + day + 1, y_cutoff=100.0, y_hat=100.0, **given)
        scores += score([made], {made.ds: 100 * np.exp(move)}, [], 1).scores
    return np.mean([it.losses["covered_80"] for it in scores[sessions // 3 :]])


def test_coverage_is_kept_when_the_market_gets_half_as_wild_again():
    assert served(600, 0.015, adapt=False) < 0.68
    assert served(600, 0.015, adapt=True) == pytest.approx(0.80, abs=0.03)


def test_coverage_is_kept_when_the_market_calms_down():
    assert served(600, 0.006, adapt=False) > 0.90
    assert served(600, 0.006, adapt=True) == pytest.approx(0.80, abs=0.04)


def outcome(day, inside, **changes):
    made = forecast(cutoff=CUTOFF + day, ds=CUTOFF + day + 1, **changes)
    return score([made], {made.ds: 101.0 if inside else 120.0}, [], 1).scores[0]


def test_the_order_is_that_in_which_outcomes_came_and_a_revision_counts_once():
    mine = [outcome(day, inside=day % 7 > 0) for day in range(60)]
    once = adapted(mine)
    assert adapted([*mine[::-1], *mine]) == once
    assert set(once) == {("AAPL", "champion", 1)}
    level = 0.2 + 0.01 * sum((day % 7 > 0) - 0.8 for day in range(60))
    assert once["AAPL", "champion", 1][0.8] == pytest.approx(level)


def test_it_stays_a_share_and_applies_to_its_own_horizon_alone():
    never = adapted([outcome(day, inside=False) for day in range(200)])["AAPL", "champion", 1]
    assert never == {0.8: 0.0, 0.95: 0.0}
    changed = applied(RESIDUALS, {1: never, 9: never})
    assert changed.misses == pytest.approx(np.array([[0.0, 0.0], [0.2, 0.05]]))
    assert RESIDUALS.misses.tolist() == [[0.2, 0.05], [0.2, 0.05]]


def test_a_model_that_was_saved_with_shares_of_its_own_goes_on_from_them():
    saved = dataclasses.replace(RESIDUALS, method="aci", misses=np.array([[0.15, 0.04], [0.25, 0.06]]))
    once = adapted([outcome(0, inside=True)])["AAPL", "champion", 1]
    assert applied(saved, {1: once}).misses == pytest.approx(np.array([[0.152, 0.0405], [0.25, 0.06]]))


def test_unknown_intervals_move_nothing():
    unknown = dict.fromkeys(("lo_80", "hi_80", "lo_95", "hi_95"), float("nan"))
    assert adapted([outcome(0, inside=True, **unknown)]) == {
        ("AAPL", "champion", 1): {0.8: pytest.approx(0.2), 0.95: pytest.approx(0.05)}
    }
