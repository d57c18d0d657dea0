import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickloom.errors import TickloomError
from tickloom.experiment.evidence import begin, update
from tickloom.experiment.pairs import clustered, differences, evidence, past_weights


def rows(cutoffs=30, tickers=("ATW", "IAM", "BCP"), horizon=1, seed=0):
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_product([range(cutoffs), tickers], names=["cutoff", "ticker"]).to_frame(index=False)
    price = rng.uniform(50, 150, len(index))
    made = {name: price * np.exp(rng.normal(0, 0.02, len(index))) for name in ("y", "a", "b")}
    return index.assign(horizon=horizon, y_cutoff=price, **made)


@given(st.lists(st.tuples(*[st.floats(-0.5, 0.5)] * 3, st.floats(0.1, 50)), min_size=1, max_size=8))
@settings(max_examples=100, deadline=None)
def test_a_difference_is_between_minus_1_and_1(tickers):
    y, a, b, weight = np.array(tickers).T
    found = clustered(y, a, b, weight)
    assert np.isnan(found) == np.array_equal(a, b)
    if not np.isnan(found):
        assert -1 <= found <= 1


def test_it_is_1_where_the_challenger_is_nearer_by_all_that_they_differ():
    assert clustered(np.array([0.03]), np.array([0.0]), np.array([0.02]), np.ones(1)) == pytest.approx(1)
    assert clustered(np.array([-0.03]), np.array([0.0]), np.array([0.02]), np.ones(1)) == pytest.approx(-1)
    assert clustered(np.array([0.01]), np.array([0.0]), np.array([0.02]), np.ones(1)) == pytest.approx(0)


def test_equal_forecasts_of_a_ticker_leave_the_others_difference_as_it_is():
    one = clustered(np.array([0.013]), np.array([0.0]), np.array([0.02]), np.ones(1))
    two = clustered(np.array([0.013, 0.4]), np.array([0.0, 0.1]), np.array([0.02, 0.1]), np.ones(2))
    assert one == two
    assert np.isnan(clustered(np.zeros(2), np.ones(2), np.ones(2), np.ones(2)))


def test_a_ticker_without_an_outcome_is_left_out_of_the_scale_too():
    y, a, b = np.array([[0.03, np.nan], [0.0, 0.0], [0.02, 0.02]])
    assert clustered(y, a, b, np.ones(2)) == pytest.approx(1)


def test_a_frame_gives_what_a_loop_over_its_cutoffs_gives():
    frame = rows().assign(weight=lambda it: 1 + it["cutoff"] % 3 + (it["ticker"] == "IAM"))
    cutoffs, found = differences(frame.sample(frac=1, random_state=1), 1)
    assert list(cutoffs) == list(range(30))
    for at, one in zip(cutoffs, found, strict=True):
        won = apart = 0.0
        for row in frame[frame["cutoff"] == at].itertuples():
            won += row.weight * (abs(np.log(row.y / row.a)) - abs(np.log(row.y / row.b)))
            apart += row.weight * abs(np.log(row.a / row.b))
        assert one == pytest.approx(won / apart)


def test_rows_without_a_forecast_or_an_outcome_and_other_horizons_are_left_out():
    frame = rows()
    other = pd.concat([frame, rows(horizon=5, seed=9)])
    np.testing.assert_array_equal(differences(other, 1)[1], differences(frame, 1)[1])
    holes = frame.copy()
    holes.loc[4, "a"] = holes.loc[7, "y"] = np.nan
    np.testing.assert_array_equal(differences(holes, 1)[1], differences(frame.drop(index=[4, 7]), 1)[1])


def test_evidence_of_a_frame_is_that_of_its_sessions_one_by_one():
    frame = rows(horizon=5)
    whole, state = evidence(frame, 5), begin(5)
    for cutoff in range(30):
        state = update(state, *differences(frame[frame["cutoff"] == cutoff], 5))
    np.testing.assert_array_equal(state.trail, whole.trail)


@pytest.mark.parametrize("horizon", [1, 5])
def test_weights_know_nothing_of_what_comes_after_the_cutoff(horizon):
    frame = rows(60, horizon=horizon)
    weights, at = past_weights(frame, horizon, least=5), 40
    later = frame["cutoff"] > at - horizon
    changed = frame.assign(y=frame["y"].where(~later, frame["y"] * 3))
    then = frame["cutoff"] <= at
    np.testing.assert_array_equal(past_weights(changed, horizon, least=5)[then], weights[then])
    assert (past_weights(changed, horizon, least=5)[~then] != weights[~then]).all()


def test_weights_are_the_inverse_of_each_tickers_past_moves():
    frame = rows(60)
    weights = past_weights(frame, 1, least=5)
    row = int(np.flatnonzero((frame["cutoff"] == 50) & (frame["ticker"] == "IAM"))[0])
    past = frame[(frame["cutoff"] < 50) & (frame["ticker"] == "IAM")]
    assert weights[row] == pytest.approx(1 / np.abs(np.log(past["y"] / past["y_cutoff"])).mean())
    assert (weights[frame["cutoff"] == 0] == 1).all()
    assert len(set(weights[frame["cutoff"] == 2])) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda it: it.drop(columns="b"), "lack b; needed: cutoff, ticker"),
        (lambda it: it.assign(a=it["a"].where(it.index != 3, -2.0)), "a of ATW at cutoff 1 is -2.0; give a finite"),
        (lambda it: it.assign(y=it["y"].where(it.index != 4, np.inf)), "y of IAM at cutoff 1 is inf; give a finite"),
        (lambda it: it.assign(weight=0.0), "weight of ATW at cutoff 0 is 0.0"),
        (lambda it: pd.concat([it, it.iloc[:1]]), "ATW at cutoff 0 is there twice; give one row"),
    ],
)
def test_what_cannot_be_is_named(change, said):
    with pytest.raises(TickloomError, match=said):
        differences(change(rows()), 1)


def test_weights_without_the_close_at_the_cutoff_say_so():
    with pytest.raises(TickloomError, match="lack y_cutoff"):
        past_weights(rows().drop(columns="y_cutoff"), 1)
