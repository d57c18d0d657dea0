"""Detectors on a stream: what they find, and a state that goes on where it was."""

import numpy as np
import pytest

from tests.unit.monitor.made import returns
from tickloom.errors import TickloomError
from tickloom.monitor.online import DETECTORS, Detector, watched


@pytest.mark.parametrize("name", ["page_hinkley_squares", "page_hinkley_losses", "adwin_squares", "adwin_losses"])
def test_a_market_four_times_as_loud_is_found_and_a_calm_one_is_not(name):
    made = returns(560, 2)
    loud = np.concatenate([made[500:], 4 * returns(40, 3)])
    given = np.abs if DETECTORS[name][0] == "losses" else np.asarray
    found = watched(name, given(made[:500]), given(loud))
    assert not found[:60].any()
    assert found[60:].any()


@pytest.mark.parametrize("name", ["page_hinkley_returns", "adwin_returns"])
def test_returns_that_move_up_for_good_are_found(name):
    made = returns(500, 2)
    assert watched(name, made, 0.02 + returns(60, 3)).any()


@pytest.mark.parametrize("name", list(DETECTORS))
def test_a_detector_goes_on_from_its_state_as_if_it_had_never_stopped(name):
    made = np.abs(returns(700, 4)) if DETECTORS[name][0] == "losses" else returns(700, 4)
    made[600:] *= 3
    whole = Detector.of(name, made[:500])
    parts = Detector.from_json(Detector.of(name, made[:500]).to_json())
    for at in range(500, 700):
        assert whole.update(made[at]) == parts.update(made[at])
        parts = Detector.from_json(parts.to_json())
    assert parts.to_json() == whole.to_json()


def test_an_unknown_value_is_passed_over():
    detector = Detector.of("adwin_returns", returns(300))
    before = detector.to_json()
    assert not detector.update(float("nan"))
    assert detector.to_json() == before


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"schema": 9}', '{"schema": 1, "name": "adwin_returns"}'])
def test_what_is_no_state_is_refused(text):
    with pytest.raises(TickloomError, match="begin anew with a reference"):
        Detector.from_json(text)


def test_an_unknown_detector_and_a_still_reference_are_refused():
    with pytest.raises(TickloomError, match="detector 'kswin' is unknown; known: adwin_returns"):
        Detector.of("kswin", returns(300))
    with pytest.raises(TickloomError, match=r"scale 0\.0 must be known, above 0"):
        Detector.of("adwin_returns", np.zeros(300))
