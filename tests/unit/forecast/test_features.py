"""Features are of the indicators' one definition, without a unit, and know nothing of what comes."""

import dataclasses

import numpy as np
import pytest

from tests.unit.forecast.series import frame, history
from tickloom.errors import TickloomError
from tickloom.forecast.features import FEATURES, feature_frame, feature_names


def test_there_are_more_than_forty_and_closes_alone_give_most():
    assert len(feature_names(history(300))) == len(FEATURES) >= 40
    alone = feature_names(history(300, close_only=True))
    needs = {it.name: it.needs for it in FEATURES}
    assert {needs[name] for name in alone} == {"close", "calendar"}
    assert len(alone) >= 30


def test_all_are_known_once_the_longest_window_is_full():
    made = frame(400)
    assert made.ready == 199
    assert np.isfinite(made.values[199:]).all()


def test_a_currency_changes_nothing():
    made = history(400)
    factor = {name: getattr(made, name) * 7.3 for name in ("open", "high", "low", "close")}
    other = feature_frame(dataclasses.replace(made, **factor))
    assert np.allclose(feature_frame(made).values, other.values, rtol=1e-6, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("rows", [250, 317, 399])
def test_what_comes_later_changes_no_earlier_value(rows):
    whole, part = frame(400), feature_frame(history(400).between(0, rows))
    known = whole.values[:rows]
    same = (known == part.values) | (np.isnan(known) & np.isnan(part.values))
    # the days to the next session come from the exchange's calendar, which is known beforehand
    assert same.all()


def test_targets_are_log_returns_and_unknown_at_the_end():
    made = frame(300)
    found = made.targets(3)
    closes = made.history.close
    assert found[10, 2] == pytest.approx(np.log(closes[13] / closes[10]))
    assert np.isnan(found[-1]).all()
    assert np.isnan(found[-3]).tolist() == [False, False, True]


def test_a_part_keeps_what_its_features_were_made_of():
    made = frame(400)
    part = made.between(250, 300)
    assert part.ready == 0
    assert np.array_equal(part.values, made.values[250:300])


def test_further_columns_stand_beside_them():
    made = feature_frame(history(300), ["ret_1"], {"sentiment": np.linspace(-1, 1, 300)})
    assert made.names == ("ret_1", "sentiment")
    assert made.values[-1, 1] == 1


def test_what_cannot_be_made_is_said():
    with pytest.raises(TickloomError, match=r"feature 'ret_9' is unknown; known: ret_1"):
        feature_frame(history(300), ["ret_9"])
    with pytest.raises(
        TickloomError,
        match="AAPL: atr_14 cannot be made without open, high and low of every session, which made lacks; give",
    ):
        feature_frame(history(300, close_only=True), ["atr_14"])
