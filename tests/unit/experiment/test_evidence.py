import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from tickloom.errors import TickloomError
from tickloom.experiment.evidence import SHARES, adjusted, begin, confidence, purses, settle, update

DIFFERENCES = st.lists(st.floats(-1, 1), min_size=1, max_size=40)
HORIZONS = st.integers(1, 6)


def after(differences, horizon=1, most=None):
    return update(begin(horizon, most), np.arange(len(differences)), np.array(differences, float))


def plain(differences, horizon):
    """What is left after each cutoff, as somebody with paper and pencil would keep it."""
    left = []
    for until in range(1, len(differences) + 1):
        worth = 0.0
        for share in SHARES:
            own, common = [0.5 / horizon] * horizon, 0.5
            out = []  # (what, from the own purse, from the common one)
            for number in range(until + horizon - 1):
                if number >= horizon:
                    at, first, second = out[number - horizon]
                    own[at % horizon] += first * (1 + differences[at])
                    common += second * (1 + differences[at])
                first, second = own[number % horizon] * share, common * share
                own[number % horizon] -= first
                common -= second
                out.append((number, first, second))
            at, first, second = out[until - 1]
            own[at % horizon] += first * (1 + differences[at])
            common += second * (1 + differences[at])
            worth += (sum(own) + common) / len(SHARES)
        left.append(worth)
    return left


@given(DIFFERENCES, HORIZONS, st.data())
@settings(max_examples=40, deadline=None)
def test_any_split_gives_the_same_bits(differences, horizon, data):
    whole = after(differences, horizon)
    state, cutoffs, at = begin(horizon), np.arange(len(differences)), 0
    while at < len(differences):
        step = data.draw(st.integers(1, 10))
        state = update(state, cutoffs[at : at + step], np.array(differences[at : at + step]))
        at += step
    np.testing.assert_array_equal(state.trail, whole.trail)
    np.testing.assert_array_equal(state.bets.pending, whole.bets.pending)


@given(DIFFERENCES, HORIZONS)
@settings(max_examples=25, deadline=None)
def test_it_is_what_a_plain_reckoning_gives(differences, horizon):
    trail = after(differences, horizon).trail
    np.testing.assert_allclose(trail[:, 0], plain(differences, horizon), rtol=1e-9)
    np.testing.assert_allclose(trail[:, 1], plain([-it for it in differences], horizon), rtol=1e-9)


@given(DIFFERENCES, HORIZONS)
@settings(max_examples=40, deadline=None)
def test_nothing_is_ever_owed_and_the_arms_are_alike(differences, horizon):
    state, mirrored = after(differences, horizon), after([-it for it in differences], horizon)
    assert (state.bets.cash >= 0).all()
    assert (state.trail >= 0).all()
    np.testing.assert_array_equal(state.trail, mirrored.trail[:, ::-1])


@given(DIFFERENCES, HORIZONS)
@settings(max_examples=40, deadline=None)
def test_the_worst_that_pending_bets_can_do_leaves_what_was_promised(differences, horizon):
    promised = after(differences, horizon).e_values[0]
    ended = after([*differences, *[-1.0] * (horizon - 1)], horizon, most=len(differences) + horizon - 1)
    assert ended.e_values[0] >= promised * (1 - 1e-9)


@pytest.mark.parametrize("horizon", [1, 2, 3])
def test_no_bet_wins_on_average_where_each_coin_is_fair(horizon):
    # all sequences of fair coins, so the expectation is exact
    flips, length = np.array([-1.0, 0.5, 0.5]), 6
    every = np.stack(np.meshgrid(*[flips] * length), axis=-1).reshape(-1, length)
    ends = [after(list(it), horizon, most=length).e_values[0] for it in every]
    assert np.mean(ends) == pytest.approx(1.0, rel=1e-9)


def best_stop(horizon, counted, length=10):
    """Expectation under the best rule of stopping, which knows every coin so far; bets are on overlapping sums.

    By backward induction over all sequences of coins (Snell's envelope), so exact.
    """
    coins = np.array(list(np.ndindex(*[2] * length))) * 2.0 - 1
    windows = np.lib.stride_tricks.sliding_window_view(coins, horizon, axis=1).sum(axis=-1) / horizon
    most = windows.shape[1]
    held, values = purses(horizon, (len(coins),), most), []
    for number in range(most):
        held = settle(held, windows[:, number], most)
        values.append(counted(held))
    worth = values[-1]  # ordered by coins, the last one changing fastest
    for value in reversed(values[:-1]):
        worth = worth.reshape(-1, 2).mean(axis=1)
        worth = np.maximum(worth, value.reshape(len(worth), -1)[:, 0])
    return worth.mean()


@pytest.mark.parametrize("horizon", [1, 2, 3, 4])
def test_no_rule_of_stopping_wins_where_each_coin_is_fair_though_sums_overlap(horizon):
    assert best_stop(horizon, lambda held: held.left) == pytest.approx(1.0, abs=1e-9)


def test_pending_bets_taken_at_their_price_would_let_somebody_win_by_stopping():
    def with_pending(held):
        return held.left + held.pending.sum(axis=(0, 2)).mean(axis=-1)

    assert best_stop(3, with_pending) > 1.01


def test_equal_forecasts_and_missing_pairs_change_nothing():
    with_gaps = update(begin(3), np.arange(6), np.array([0.3, np.nan, -0.2, np.nan, np.nan, 0.9]))
    without = update(begin(3), np.array([0, 2, 5]), np.array([0.3, -0.2, 0.9]))
    np.testing.assert_array_equal(with_gaps.trail, without.trail)
    assert update(begin(3), [1], np.array([np.nan])).e_values == (1.0, 1.0)


@pytest.mark.parametrize("horizon", [1, 5])
def test_a_better_challenger_is_found_and_a_worse_one_too(horizon):
    moved = np.random.default_rng(1).normal(0.25, 0.3, 200).clip(-1, 1)
    assert after(moved, horizon).verdict() == "challenger_better"
    assert after(-moved, horizon).verdict() == "champion_better"
    assert after(moved[:5], horizon).verdict() == "undecided"


def test_a_verdict_stands_though_later_cutoffs_speak_against_it():
    state = after([*[0.8] * 20, *[-0.8] * 30])
    assert state.e_values[0] < 20
    assert state.verdict() == "challenger_better"


def test_nothing_counts_after_the_planned_end():
    differences = np.random.default_rng(2).uniform(-1, 1, 30)
    np.testing.assert_array_equal(after(differences, 5, most=20).trail, after(differences[:20], 5, most=20).trail)
    ended = after(differences, 5, most=20)
    assert ended.bets.pending.sum() == 0


def test_money_stays_finite_in_a_run_without_end():
    state = after(np.ones(3000), 5)
    assert np.isfinite(state.trail).all()
    assert state.e_values[0] > 1e50


@pytest.mark.parametrize("horizon", [1, 5])
def test_bounds_hold_the_mean_and_shrink(horizon):
    moved = np.random.default_rng(3).normal(0.1, 0.3, 400).clip(-1, 1)
    early, late = confidence(after(moved[:50], horizon)), confidence(after(moved, horizon))
    assert early[0] < 0.1 < early[1]
    assert late[0] < 0.1 < late[1]
    assert late[1] - late[0] < early[1] - early[0]
    mirrored = confidence(after(-moved, horizon))
    assert mirrored == (-late[1], -late[0])


def test_bounds_exclude_0_where_betting_against_it_has_won():
    moved = np.random.default_rng(4).normal(0.1, 0.3, 300).clip(-1, 1)
    trail = after(moved).trail[:, 0]
    first = int(np.argmax(trail >= 20))
    assert trail[first - 1] >= 10  # nearly, which alpha = 0.1 to both sides together does not take for enough
    for until in (20, first, first + 1):
        low, _ = confidence(after(moved[:until]), 0.1)
        assert (low >= 0) == (until == first + 1)


@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("mean", [-0.6, 0.4])
def test_the_true_mean_is_seldom_below_the_lower_bound_at_any_time(horizon, mean):
    runs, rng = 2000, np.random.default_rng(5)
    # coins that are seldom 1 or seldom -1, whose mean is hard to bound; overlapping ones share what they are made of
    drawn = np.where(rng.random((runs, 150 + horizon - 1)) < (1 + mean) / 2, 1.0, -1.0)
    moved = np.lib.stride_tricks.sliding_window_view(drawn, horizon, axis=1).mean(axis=-1)
    held, excluded = purses(horizon, (runs,)), np.zeros(runs, bool)
    for number in range(150):
        held = settle(held, (moved[:, number] - mean) / (1 + mean))  # as confidence() does for each mean
        excluded |= held.left >= 40
    assert 0 < excluded.sum() <= binom.ppf(0.999, runs, 0.025)
    some = np.flatnonzero(excluded)[0]
    lows = [confidence(after(moved[some, :until], horizon))[0] for until in range(1, 151, 4)]
    assert max(lows) > mean - 0.05


def test_before_any_cutoff_nothing_is_known():
    assert confidence(begin(5)) == (-1.0, 1.0)
    assert begin(5).verdict() == "undecided"


def test_adjusted_values_are_the_smallest_average_over_sets_with_each_arm():
    assert adjusted([40.0]) == [40.0]
    assert adjusted([40.0, 0.5]) == [20.25, 0.5]
    assert adjusted([10.0, 90.0, 2.0]) == pytest.approx([6.0, 34.0, 2.0])
    assert adjusted([]) == []


def test_adjusted_values_agree_with_all_subsets():
    from itertools import combinations

    values = [3.0, 25.0, 0.1, 60.0]
    for number, found in enumerate(adjusted(values)):
        others = [it for at, it in enumerate(values) if at != number]
        averages = [np.mean([values[number], *some]) for k in range(4) for some in combinations(others, k)]
        assert found == pytest.approx(min(averages))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: begin(0), "horizon is 0; give a whole number"),
        (lambda: begin(1, 0), "most is 0; give a whole number"),
        (lambda: after([0.1, 1.5]), "difference of cutoff 1 is 1.5, outside -1 to 1"),
        (lambda: update(begin(), [2, 1], np.zeros(2)), "cutoff 1 comes after 2; give cutoffs ascending"),
        (lambda: update(after([0.1, 0.2]), [1], np.zeros(1)), "cutoff 1 comes after 1; give cutoffs ascending"),
        (lambda: update(begin(), [1, 2], np.zeros(3)), "give one for each"),
        (lambda: begin().verdict(0), "alpha is 0; give a probability"),
        (lambda: confidence(begin(), 1.5), "alpha is 1.5; give a probability"),
        (lambda: adjusted([1.0, float("nan")]), "negative or no number"),
    ],
)
def test_what_cannot_be_is_named(wrong, said):
    with pytest.raises(TickloomError, match=said):
        wrong()
