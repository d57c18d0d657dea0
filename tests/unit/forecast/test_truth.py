"""Whether verdicts are true, on series whose truth is known; ``tickloom bench forecast`` runs many more."""

import pytest

from tickloom.bench.forecast import judged, lower_bound


def test_chance_is_said_to_beat_a_random_walk_no_more_often_than_it_may():
    runs = 20
    hits = sum("beats_naive" in judged(("ridge", "ar1"), 0.0, 500, 250, seed).values() for seed in range(runs))
    assert lower_bound(hits, runs) <= 0.05


@pytest.mark.parametrize("name", ["ridge", "ar1"])
def test_what_can_be_forecast_is_said_to_beat_it(name):
    found = [judged((name,), 0.3, 2000, 700, seed)[name] for seed in range(3)]
    assert found == ["beats_naive"] * 3


def test_a_network_finds_what_can_be_forecast():
    assert judged(("lstm",), 0.5, 1500, 600, 0) == {"lstm": "beats_naive"}


def test_the_bound_is_clopper_and_pearsons():
    assert lower_bound(0, 20) == 0.0
    assert lower_bound(3, 20) == pytest.approx(0.0422, abs=1e-4)
    assert lower_bound(4, 20) > 0.05
