import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickloom.errors import TickloomError
from tickloom.sources.blocks import PriceBlock
from tickloom.sources.pace import at_clock, at_rate, at_speed


class Wall:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now = 1000.0

    def clock(self):
        return self.now

    def sleep(self, seconds):
        assert seconds > 0
        self.now += seconds


def block(times_s, first=0):
    n = len(times_s)
    return PriceBlock(
        ["A"],
        np.zeros(n, np.int32),
        np.array([round(t * 1e6) for t in times_s], np.int64),
        np.ones(n),
        np.ones(n, np.int64),
        "x",
        np.arange(first, first + n, dtype=np.int64),
    )


def arrivals(blocks, pace, *options):
    wall = Wall()
    return [
        (int(sequence), wall.now - 1000.0)
        for piece in pace(blocks, *options, wall.clock, wall.sleep)
        for sequence in piece.sequence
    ]


def test_event_time_runs_at_the_given_speed():
    found = arrivals([block([0, 60]), block([120, 180], 2)], at_speed, 60, 10.0)
    assert [moment for _, moment in found] == pytest.approx([0, 1, 2, 3])


def test_a_night_costs_no_more_than_the_longest_gap():
    found = arrivals([block([0, 60, 60 + 17.5 * 3600])], at_speed, 60, 1.0)
    assert [moment for _, moment in found] == pytest.approx([0, 1, 2])


def test_a_rate_ignores_event_time():
    found = arrivals([block([0, 0, 9]), block([99], 3)], at_rate, 10)
    assert [moment for _, moment in found] == pytest.approx([0, 0.1, 0.2, 0.3])


def test_no_record_comes_before_its_own_time():
    """The clock stands at 1000 s: what is older comes at once, and a night is waited for."""
    found = arrivals([block([0, 999, 1003]), block([1003, 80_000], 3)], at_clock)
    assert [moment for _, moment in found] == pytest.approx([0, 0, 3, 3, 79_000])


@pytest.mark.parametrize("pace", [(at_clock,), (at_rate, 0.1), (at_speed, 1.0, 60.0)])
def test_an_empty_block_comes_after_each_second_of_waiting(pace):
    wall = Wall()
    made = pace[0]([block([1000, 1010])], *pace[1:], wall.clock, wall.sleep)
    sizes = [(len(piece), wall.now - 1000) for piece in made]
    assert [size for size, _ in sizes] == [1, *[0] * (len(sizes) - 2), 1]
    assert [moment for _, moment in sizes] == pytest.approx(range(11))


@given(st.lists(st.lists(st.integers(0, 10_000), max_size=20), max_size=5), st.floats(0.1, 1e6))
def test_nothing_is_lost_and_nothing_comes_early(parts, speed):
    times = iter(sorted(t for part in parts for t in part))
    blocks, first = [], 0
    for part in parts:
        blocks.append(block([next(times) for _ in part], first))
        first += len(part)
    found = arrivals(blocks, at_speed, speed, 5.0)
    assert [sequence for sequence, _ in found] == list(range(first))
    event = np.concatenate([b.time_us for b in blocks]) / 1e6 if blocks else np.array([])
    waits = np.minimum(np.diff(event, prepend=event[:1]) / speed, 5.0)
    early = np.cumsum(waits) - [moment for _, moment in found]
    assert (early <= 0.02 + 1e-6).all()


def test_impossible_paces():
    with pytest.raises(TickloomError, match="speed 0 must be above 0"):
        at_speed([], 0)
    with pytest.raises(TickloomError, match="rate -1 must be above 0"):
        at_rate([], -1)
    with pytest.raises(TickloomError, match="max_gap_s -1 must not be negative"):
        at_speed([], 1, -1)
