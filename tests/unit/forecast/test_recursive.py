"""One session at a time: features of made sessions are those of a longer history."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from tests.unit.forecast.series import history
from tickloom.errors import TickloomError
from tickloom.forecast import models
from tickloom.forecast.continuation import Continuation
from tickloom.forecast.features import feature_frame
from tickloom.forecast.models import Model, Prediction, make
from tickloom.forecast.models.recursive import Recursive
from tickloom.forecast.smoothing import smoothed

ROWS = np.array([395, 260, 330])
PATH = np.array([[1.01, 0.99, 1.0], [1.02, 0.98, 1.0], [1.03, 0.97, 1.0], [1.0, 0.99, 1.0]])


def longer(made, row, path):
    """The history up to a row, and sessions of one price after it."""
    known = made.between(0, row + 1)
    volume = list(known.volume)
    for _ in path:
        volume.append(np.median(volume[-20:]))
    price = np.full(len(path), np.nan) if made.close_only else path
    bars = {name: np.concatenate([getattr(known, name), price]) for name in ("open", "high", "low")}
    day = np.concatenate([known.day, known.sessions_after(len(path))])
    return replace(known, day=day, close=np.concatenate([known.close, path]), volume=np.array(volume), **bars)


@pytest.mark.parametrize("given", [{}, {"close_only": True, "market": "XCAS"}])
@pytest.mark.parametrize("length", [1, 7])
def test_features_go_on_bit_by_bit_as_those_of_a_longer_history(given, length):
    made = history(400, **given)
    frame = feature_frame(made, extra={"sentiment": np.linspace(-1, 1, 400)})
    now = Continuation(frame, ROWS, length)
    for step in PATH:
        now.append(made.close[ROWS] * step)
    found = now.frame.values.reshape(len(ROWS), length, -1)
    for at, row in enumerate(ROWS):
        expected = feature_frame(longer(made, row, made.close[row] * PATH[:, at]))
        kept = found[at][:, :-1]
        np.testing.assert_array_equal(kept, expected.values[-length:])
        assert list(now.frame.history.day[at * length : (at + 1) * length]) == list(expected.history.day[-length:])
        assert found[at][-1, -1] == frame.values[row, -1]


def test_features_that_need_earlier_sessions_are_a_sentence():
    frame = feature_frame(history(400)).between(205, 400)
    with pytest.raises(TickloomError, match="was made of sessions before the frame's first"):
        Continuation(frame, np.array([40]))


class LastMoves(Model):
    """The mean of the last three returns, read from a window of features."""

    name: ClassVar[str] = "last_moves"

    @property
    def reads_before(self):
        return 2

    def _fit(self, frame, seed, progress):
        pass

    def _predict(self, frame, rows):
        moves = frame.values[rows[:, None] - np.arange(3), frame.names.index("ret_1")]
        return Prediction(rows, moves.mean(axis=1)[:, None], {})

    def save(self, folder):
        pass

    @classmethod
    def load(cls, folder):
        return cls(1)


def test_a_windowed_model_reads_what_it_forecast(monkeypatch):
    class Iterated(Recursive):
        name = "iterated"
        base = "last_moves"

    monkeypatch.setattr(models, "make", lambda name, horizon, **options: LastMoves(horizon, **options))
    frame = feature_frame(history(400))
    found = Iterated(5).fit(frame).predict(frame, ROWS).mean
    moves = np.diff(frame.log_close, prepend=np.nan)
    for row, path in zip(ROWS, found, strict=True):
        last = list(moves[row - 2 : row + 1])
        for _ in range(5):
            last.append(np.mean(last[-3:]))
        np.testing.assert_allclose(path, np.cumsum(last[3:]), atol=1e-12)


@pytest.mark.parametrize("base", ["ridge", "lightgbm"])
def test_the_first_session_is_the_model_s_own_and_all_are_saved(base, tmp_path):
    frame = feature_frame(history(900, phi=0.4))
    rows = np.arange(850, 899)
    model = make(f"{base}_recursive", 4).fit(frame.first(800))
    found = model.predict(frame, rows).mean
    np.testing.assert_allclose(found[:, 0], make(base, 1).fit(frame.first(800)).predict(frame, rows).mean[:, 0])
    assert np.ptp(found[:, 3] - found[:, 2]) > 0
    model.save(tmp_path)
    np.testing.assert_allclose(type(model).load(tmp_path).predict(frame, rows).mean, found, atol=1e-6)
    assert model.predict(frame, []).mean.shape == (0, 4)


def test_smoothing_holds_a_path_back_and_is_an_average_of_prices():
    path = np.log(np.array([[1.1, 1.2, 1.3, 1.2]]))
    plain = Prediction(np.array([0]), path, {0.5: path - 0.01})
    found = smoothed(plain, span=3)
    np.testing.assert_allclose(np.exp(found.mean), [[1.1, 1.15, 1.225, 1.2125]])
    np.testing.assert_allclose(found.mean - found.quantiles[0.5], 0.01)
    np.testing.assert_array_equal(smoothed(plain, span=1).mean, plain.mean)
    with pytest.raises(TickloomError, match="span 0 of the smoothing must be 1 or more"):
        smoothed(plain, span=0)
