"""How often a watched promotion is taken back."""

import pytest

from tickloom.experiment.watch_simulation import CASES, simulate_watch

QUICK = {"runs": 300, "sessions": 60}


@pytest.mark.parametrize("case", CASES, ids=lambda it: it.name)
def test_an_equal_champion_is_seldom_taken_back(case):
    assert simulate_watch(case, **QUICK).upper <= 0.05


def test_a_worse_champion_is_taken_back_the_sooner_the_worse_it_is():
    some, most = (simulate_watch(CASES[0], worse=it, **QUICK) for it in (0.1, 0.3))
    assert 0.2 < some.found < most.found
    assert most.found > 0.9
    assert most.sessions_to_find < some.sessions_to_find < 60


def test_intervals_at_their_limit_seldom_take_one_back_and_narrow_ones_do():
    assert simulate_watch(CASES[0], inside=0.85, **QUICK).upper <= 0.05
    narrow = simulate_watch(CASES[0], inside=0.6, **QUICK)
    assert narrow.found > 0.95 > narrow.by_losses


def test_the_same_seed_gives_the_same_rates():
    assert simulate_watch(CASES[0], **QUICK) == simulate_watch(CASES[0], **QUICK)
