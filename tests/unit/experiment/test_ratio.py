"""Shares that are not those of the weights are found, and true ones are left alone."""

import random
from math import exp, lgamma, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickloom.errors import TickloomError
from tickloom.experiment.ratio import ALPHA, CONCENTRATION, Ratio, Tally
from tickloom.experiment.routing import Split

EVEN = {"champion": 0.5, "lstm": 0.5}
counts_of = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=6)
ARMS = ("champion", "lstm", "gbm")


def test_it_is_the_mixture_of_the_article():
    """The odds of Lindon and Malek's equation: the Dirichlet-multinomial against the multinomial."""
    weights, counts = (0.7, 0.2, 0.1), (40, 31, 9)
    found = Ratio().add(dict(zip(ARMS, counts, strict=True)), dict(zip(ARMS, weights, strict=True)))
    odds = lgamma(CONCENTRATION) - lgamma(CONCENTRATION + sum(counts))
    for weight, count in zip(weights, counts, strict=True):
        odds += lgamma(CONCENTRATION * weight + count) - lgamma(CONCENTRATION * weight) - count * log(weight)
    assert found.log_odds == pytest.approx(odds)
    assert found.p_value == pytest.approx(min(1, exp(-odds)))


@given(counts_of)
def test_batches_of_any_size_give_the_same(batches):
    weights = {"champion": 0.6, "lstm": 0.3, "gbm": 0.1}
    split = Ratio()
    for batch in batches:
        split = split.add(dict(zip(ARMS, batch, strict=True)), weights)
    whole = Ratio().add({arm: sum(batch[at] for batch in batches) for at, arm in enumerate(ARMS)}, weights)
    assert split.log_odds == pytest.approx(whole.log_odds, abs=1e-8)
    assert split.counts == whole.counts
    assert split.most >= split.log_odds


def test_the_odds_are_fair_whatever_the_weights_become():
    """Under true weights the expected odds of one more key are the present odds: sum over arms, weight by weight."""
    state = Ratio().add({"champion": 30, "lstm": 2, "gbm": 5}, {"champion": 0.6, "lstm": 0.3, "gbm": 0.1})
    weights = {"champion": 0.2, "lstm": 0.7, "gbm": 0.1}
    expected = sum(weight * exp(state.add({arm: 1}, weights).log_odds) for arm, weight in weights.items())
    assert expected == pytest.approx(exp(state.log_odds))


def test_sixty_to_forty_is_no_even_split():
    state = Ratio().add({"champion": 600, "lstm": 400}, EVEN)
    assert state.is_off()
    assert not Ratio().add({"champion": 515, "lstm": 485}, EVEN).is_off()


def test_an_alarm_stays():
    """What comes later lowers the odds again, and not what they have been."""
    alarmed = Ratio().add({"champion": 600, "lstm": 400}, EVEN)
    later = alarmed.add({"champion": 2000, "lstm": 2200}, EVEN)
    assert later.log_odds < 0 < alarmed.log_odds
    assert later.p_value == alarmed.p_value
    assert later.is_off()


def test_departures_are_found_across_changes_of_weights():
    state = Ratio()
    for share in (0.5, 0.4, 0.3, 0.2, 0.1, 0.3):
        lost = round(200 * share * 0.6)  # a fourth arm of what lstm should have had never arrives
        state = state.add({"champion": 200 - round(200 * share), "lstm": lost}, {"champion": 1 - share, "lstm": share})
    assert state.is_off()
    assert not Ratio().add({"champion": 100, "lstm": 60}, EVEN).is_off()  # the first batch alone does not show it


def test_true_shares_raise_no_alarm_more_often_than_they_may():
    """Looked at after each of 40 batches, with weights that change: at alpha 0.05 in at most 5 % of 1,000 runs."""
    draw = np.random.default_rng(5)
    alarms = 0
    for _ in range(1000):
        state = Ratio()
        for batch in range(40):
            share = 0.5 if batch < 15 else 0.1 + 0.01 * batch
            lstm = int(draw.binomial(25, share))
            state = state.add({"champion": 25 - lstm, "lstm": lstm}, {"champion": 1 - share, "lstm": share})
        alarms += state.is_off(0.05)
    assert alarms <= 65  # 50 and two standard deviations


def test_false_shares_raise_an_alarm_almost_always():
    draw = np.random.default_rng(6)
    found = 0
    for _ in range(200):
        state = Ratio()
        for _ in range(60):
            lstm = int(draw.binomial(25, 0.4))
            state = state.add({"champion": 25 - lstm, "lstm": lstm}, EVEN)
        found += state.is_off(ALPHA)
    assert found >= 190


def test_the_router_has_the_shares_of_its_weights():
    draw = random.Random(1)
    state, tally = Ratio(), Tally()
    for share in (0.01, 0.05, 0.25):
        weights = {"champion": 1 - share, "lstm": share}
        split = Split("s", weights)
        for _ in range(3000):
            key = f"client-{draw.randrange(6000)}"
            tally.record(key, split.arm(key))
        state = state.add(tally.take(), weights)
    assert not state.is_off()
    assert sum(state.counts.values()) == len(tally._seen)


def test_an_arm_without_weight_must_have_no_key():
    weights = {"champion": 1.0, "lstm": 0.0}
    assert Ratio().add({"champion": 5}, weights).p_value == 1
    assert Ratio().add({"champion": 5, "lstm": 1}, weights).p_value == 0
    assert Ratio().add({"stranger": 1}, weights).is_off()


def test_a_key_counts_once_and_only_so_many_do():
    tally = Tally(most=2)
    for key, arm in [("a", "champion"), ("a", "lstm"), ("b", "lstm"), ("c", "lstm")]:
        tally.record(key, arm)
    assert tally.take() == {"champion": 1, "lstm": 1}
    assert tally.take() == {}


@pytest.mark.parametrize(("counts", "weights"), [({"champion": -1}, EVEN), ({"champion": 1}, {"champion": 0.5})])
def test_what_cannot_be_is_refused(counts, weights):
    with pytest.raises(TickloomError, match="must not be negative"):
        Ratio().add(counts, weights)
