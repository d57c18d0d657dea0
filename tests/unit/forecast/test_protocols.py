"""The published protocols: what leaks in them, and that persistence and a walk-forward stand beside."""

import dataclasses

import numpy as np
import pytest

from tickloom.errors import TickloomError
from tickloom.forecast.folds import Plan
from tickloom.forecast.protocols import PROTOCOLS, SPAN, figures, mid_price, smoothed, task
from tickloom.forecast.regressors import REGRESSORS, makers
from tickloom.forecast.reproduction import reproduce

from . import made

PLAN = Plan(folds=2, test=40, horizon=1)


class Last:
    """Repeats the last value of one column, and keeps what it was given."""

    def __init__(self, column):
        self.column, self.given = column, []

    def fit(self, windows, targets, validation):
        self.given = [windows, targets, *validation]

    def predict(self, windows):
        return windows[:, -1, self.column]


def with_last_day_moved(history, factor):
    changed = {name: getattr(history, name).copy() for name in ("open", "high", "low", "close")}
    for values in changed.values():
        values[-1] *= factor
    return dataclasses.replace(history, **changed)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_leak_is_there(protocol):
    # A jump on the very last day changes what the model is trained on.
    history = made.history(760, 1)
    before, after = (task(protocol, it) for it in (history, with_last_day_moved(history, 3.0)))
    assert not np.allclose(before.windows[before.train], after.windows[after.train])


def test_seed_000_is_two_years_split_68_12_20_with_windows_of_60():
    found = task("seed-000", made.history(760, 1))
    assert found.windows.shape == (504 - 60, 60, 5 + 25)  # bars and 25 indicators
    assert (found.inputs.min(), found.inputs.max()) == (0, 1)
    count = 444
    assert [found.train.stop, found.validation.stop, found.test.stop] == [
        round(0.68 * count),
        round(0.8 * count),
        count,
    ]
    np.testing.assert_allclose(found.unscaled(found.scaled[found.test]), found.price[-(count - found.test.start) :])
    # A window ends the day before its target.
    np.testing.assert_array_equal(found.windows[3], found.inputs[3:63])
    assert found.scaled[3] == pytest.approx((found.price[63] - found.price.min()) / np.ptp(found.price))
    assert task("seed-000", dataclasses.replace(made.history(760, 1), **unknown(760))).windows.shape[2] == 1 + 21


def unknown(rows):
    return {name: np.full(rows, np.nan) for name in ("open", "high", "low", "volume")}


def test_seed_003_ends_its_training_by_its_test():
    history = made.history(760, 1)
    found = task("seed-003", history)
    assert found.validation == found.test
    assert found.windows.shape == (710, 50, 1)
    np.testing.assert_array_equal(found.price, mid_price(history))
    much = made.history(2900, 1)
    long = task("seed-003", dataclasses.replace(much, day=much.day + 3650))
    for block in (slice(0, 2500), slice(2500, 2900)):
        assert (long.inputs[block].min(), long.inputs[block].max()) == (0, 1)


@pytest.mark.parametrize(("protocol", "column"), [("seed-000", 3), ("seed-003", 0)])
def test_a_model_that_repeats_the_last_price_has_the_figures_of_persistence(protocol, column):
    history = made.history(760, 2)
    table = reproduce(protocol, history, {"last": lambda seed: Last(column)}, plan=PLAN)
    mine = table[table["under"] == protocol].set_index("model")
    for name in ("rmse", "mae", "r2", "mape", "lag_direction"):
        assert mine.loc["last", name] == pytest.approx(mine.loc["persistence", name], nan_ok=True)
    assert mine.loc["persistence", "r2"] > 0.5  # though it knows nothing
    ours = table[table["under"] == "walk-forward"]
    assert set(ours["n"]) == {80}
    assert {"last", "persistence"} <= set(ours["model"])
    assert ("last close" in set(ours["model"])) == (protocol == "seed-003")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_walk_forward_beside_it_knows_nothing_later(protocol):
    history = made.history(760, 3)
    seen = []

    def maker(seed):
        seen.append(Last(0))
        return seen[-1]

    reproduce(protocol, history, {"last": maker}, plan=PLAN)
    first = [it.copy() for it in seen[1].given]
    seen.clear()
    reproduce(protocol, with_last_day_moved(history, 3.0), {"last": maker}, plan=PLAN)
    for before, after in zip(first, seen[1].given, strict=True):
        np.testing.assert_array_equal(before, after)


def test_figures_by_hand():
    y, y_hat, last = np.array([10.0, 12, 11, 13]), np.array([11.0, 11, 12, 12]), np.array([9.0, 10, 12, 11])
    found = figures(y, y_hat, last)
    assert found["rmse"] == 1
    assert found["mape"] == pytest.approx(np.mean([1 / 10, 1 / 12, 1 / 11, 1 / 13]))
    assert found["r2"] == pytest.approx(1 - 4 / 5)
    assert found["lag_direction"] == 0  # +, -, + against 0, +, 0
    assert found["direction"] == 1  # up, up, no move said, up
    assert smoothed(np.array([1.0, 2.0]))[1] == pytest.approx(1 + 2 / (SPAN + 1))


def test_stand_ins_run_and_say_which_claim_they_stand_beside():
    table = reproduce("seed-003", made.history(500, 4), makers(["ridge", "mlp"]), plan=PLAN)
    assert set(table["model"]) == {
        "ridge", "ridge, smoothed", "mlp", "mlp, smoothed", "persistence", "last close",
    }  # fmt: skip
    claimed = table[table["under"] == "seed-003"].set_index("model")["beside"]
    assert "65.5 %" in claimed["ridge"]
    assert "ARIMA(5,1,0)" in claimed["persistence"]
    assert np.isfinite(table["rmse"]).all()


def test_seeds_are_averaged_with_their_spread_and_every_fit_is_told():
    told = []
    table = reproduce(
        "seed-003",
        made.history(500, 4),
        makers(["mlp"]),
        plan=PLAN,
        seeds=(0, 1, 2),
        report=lambda *it: told.append(it),
    )
    each = [reproduce("seed-003", made.history(500, 4), makers(["mlp"]), plan=PLAN, seeds=(it,)) for it in range(3)]
    r2 = [it.set_index(["model", "under"]).loc[("mlp", "seed-003"), "r2"] for it in each]
    mine = table.set_index(["model", "under"]).loc[("mlp", "seed-003")]
    assert mine["r2"] == pytest.approx(np.mean(r2))
    assert mine["r2_spread"] == pytest.approx(np.std(r2, ddof=1))
    assert (mine["seeds"], told[-1][:2], len(told)) == (3, (9, 9), 9)


def test_the_last_close_knows_more_of_the_next_mean_than_the_last_mean_does():
    # Of a price that is an average of its day: the close is its latest news.
    history = made.history(2000, 5)
    table = reproduce("seed-003", history, {"last": lambda seed: Last(0)}, plan=Plan(folds=5, test=250, horizon=1))
    ours = table[table["under"] == "walk-forward"].set_index("model")
    assert ours.loc["last close", "rmse"] < ours.loc["persistence", "rmse"]
    assert ours.loc["last close", "direction"] > 0.55


def test_what_cannot_be_reproduced_is_a_sentence():
    short = made.history(400)
    with pytest.raises(TickloomError, match=r"MADE: seed-000 needs 704 sessions, .* and has 400; load more"):
        task("seed-000", short)
    with pytest.raises(TickloomError, match="seed-003 needs highs and lows"):
        task("seed-003", dataclasses.replace(short, **unknown(400)))
    with pytest.raises(TickloomError, match="protocol 'seed-9' is unknown; known: seed-000, seed-003"):
        task("seed-9", short)
    with pytest.raises(TickloomError, match="model 'lightgbm' cannot be run under a protocol; possible: ridge"):
        makers(["lightgbm"])
    assert set(REGRESSORS) >= {"ridge", "mlp"}
