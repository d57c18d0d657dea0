"""Folds learn from the past alone, and leave the last block alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickloom.errors import TickloomError
from tickloom.forecast.folds import Plan


@given(
    st.integers(1, 6), st.integers(1, 60), st.integers(1, 30), st.integers(1, 5), st.integers(0, 80),
    st.sampled_from(["expanding", "rolling"]), st.integers(0, 40),
)  # fmt: skip
def test_nothing_that_is_learned_from_reaches_into_what_is_forecast(
    folds, test, horizon, embargo, holdout, scheme, extra
):
    plan = Plan(folds, test, horizon, embargo, scheme, holdout=holdout)
    least = 50
    sessions = least + embargo + folds * test + horizon + holdout + extra
    found = list(plan.split(sessions, least))
    rows = np.concatenate([it.rows for it in found])
    assert len(rows) == folds * test
    assert (np.diff(rows) == 1).all()
    assert rows[-1] + horizon == sessions - holdout - 1, "the last outcome is the last session before the last block"
    for it in found:
        assert it.stop - 1 == it.rows[0] - embargo, "so the last target that is learned from ends before the cutoff"
        assert it.stop - it.start >= least
        assert it.start == 0 or scheme == "rolling"
    if scheme == "rolling":
        assert len({it.stop - it.start for it in found}) == 1


def test_the_last_block_is_forecast_from_the_close_before_it():
    plan = Plan(folds=2, test=20, horizon=5, holdout=30)
    found = plan.last(200)
    assert found.rows[0] == 200 - 30 - 1
    assert found.rows[-1] == 200 - 1 - 5
    assert found.stop == found.rows[0]


def test_too_short_a_series_says_by_how_much():
    plan = Plan(folds=2, test=100, horizon=5)
    assert next(plan.split(305, 100)).stop == 100
    with pytest.raises(
        TickloomError, match=r"304 sessions are too few: 100 for the first fit, .* make 305; load 1 more, or take fewer"
    ):
        next(plan.split(304, 100))


@pytest.mark.parametrize(
    ("name", "value"), [("folds", 0), ("test", 0), ("horizon", 0), ("embargo", 0), ("holdout", -1)]
)
def test_impossible_plans(name, value):
    with pytest.raises(TickloomError, match=f"{name} {value} must be"):
        Plan(**{name: value})


def test_no_last_block_no_final_report():
    with pytest.raises(TickloomError, match="holdout 0 must be above the horizon 5"):
        Plan().last(1000)
