"""The weights that each mode begins with, and the ramp."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.experiment.made import experiment
from tickloom.errors import TickloomError
from tickloom.experiment.modes import Weights, canary, canary_step, initial

START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
THREE = [{"name": "champion", "weight": 0.6}, {"name": "gbm", "weight": 0.2}, {"name": "lstm", "weight": 0.2}]
BARE = [{"name": "champion"}, {"name": "lstm"}, {"name": "gbm", "shadow": True}]
RAMP = {"arm": "lstm", "steps": [0.01, 0.05, 0.25], "every": "1h"}


def ramp(arms=THREE):
    return experiment(mode="canary", arms=arms, canary=RAMP).spec


@pytest.mark.parametrize(
    ("mode", "arms", "values"),
    [
        ("fixed", THREE, {"champion": 0.6, "gbm": 0.2, "lstm": 0.2}),
        ("championChallenger", THREE, {"champion": 1, "gbm": 0, "lstm": 0}),
        ("championChallenger", BARE, {"champion": 1, "lstm": 0, "gbm": 0}),
        ("thompson", BARE, {"champion": 0.5, "lstm": 0.5, "gbm": 0}),
        ("epsilonGreedy", THREE, {"champion": 0.6, "gbm": 0.2, "lstm": 0.2}),
        ("canary", THREE, {"champion": 0.75, "gbm": 0.25, "lstm": 0}),
        ("canary", BARE, {"champion": 1, "lstm": 0, "gbm": 0}),
    ],
)
def test_what_a_mode_begins_with(mode, arms, values):
    found = initial(experiment(mode=mode, arms=arms, canary={**RAMP}).spec)
    assert found.epoch == 0
    assert found.values == pytest.approx(values)


@pytest.mark.parametrize(
    ("hours", "step", "share"),
    [(-0.01, 0, 0), (0, 1, 0.01), (0.99, 1, 0.01), (1, 2, 0.05), (2, 3, 0.25), (2.5, 3, 0.25), (500, 3, 0.25)],
)
def test_the_ramp_follows_the_time(hours, step, share):
    found = canary(ramp(), START, START + timedelta(hours=hours), healthy=True)
    assert found.epoch == step
    assert found.values["lstm"] == share
    assert found.values["champion"] == pytest.approx(3 * found.values["gbm"])
    assert found == (canary_step(ramp(), step) if step else initial(ramp()))


@given(st.floats(0, 1e6))
def test_a_broken_guardrail_takes_the_canary_away(hours):
    found = canary(ramp(), START, START + timedelta(hours=hours), healthy=False)
    assert found == initial(ramp())
    assert found.values["lstm"] == 0


@given(st.floats(-10, 1e4), st.floats(0, 1e4))
def test_the_ramp_never_falls_and_sums_to_one(first, more):
    one, other = (canary(ramp(), START, START + timedelta(hours=it), healthy=True) for it in (first, first + more))
    assert one.values["lstm"] <= other.values["lstm"]
    assert sum(one.values.values()) == pytest.approx(1)


def test_a_canary_that_has_all_weight_still_leaves_the_champion_the_rest():
    found = canary_step(ramp([{"name": "champion", "weight": 0}, {"name": "lstm", "weight": 1}]), 2)
    assert found.values == pytest.approx({"champion": 0.95, "lstm": 0.05})


def test_what_has_no_ramp_is_refused():
    fixed = experiment().spec
    with pytest.raises(TickloomError, match="mode fixed has no ramp"):
        canary(fixed, START, START, healthy=True)
    with pytest.raises(TickloomError, match="has no step"):
        canary_step(fixed, 1)
    with pytest.raises(TickloomError, match="has no step 0"):
        canary_step(ramp(), 0)


def test_what_is_taken_out_gives_its_share_to_the_champion():
    found = Weights(4, {"champion": 0.6, "gbm": 0.2, "lstm": 0.2}).without("gbm", 7)
    assert found.epoch == 7
    assert found.values == pytest.approx({"champion": 0.8, "lstm": 0.2})
    for arm in ("champion", "tcn"):
        with pytest.raises(TickloomError, match=r"cannot be taken out; these can: lstm"):
            found.without(arm, 8)
