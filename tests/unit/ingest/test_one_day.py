"""A source that follows an exchange and is to come to an end does so with the exchange's day."""

import pytest

from services.ingest.feeds import Polled
from tests.unit.ingest.test_hours import HOURS, at


class Live:
    """Answers with nothing."""

    def poll(self):
        return []


def turns(start, *, one_day=True, most=500):
    feed, now, taken = Polled(Live(), HOURS, one_day), start, []
    while (turn := feed.next(now)) is not None and len(taken) < most:
        now = max(now, turn)
        taken.append(now)
        feed.blocks()
        feed.ended()
    return taken


def test_started_before_the_open_it_follows_the_whole_day():
    taken = turns(at(2024, 3, 14, 9))
    assert (taken[0], taken[-1], len(taken)) == (at(2024, 3, 14, 9, 31), at(2024, 3, 14, 16, 2), 391)


def test_started_in_the_session_it_asks_at_once():
    taken = turns(at(2024, 11, 29, 12, 58, 30))  # a short day
    assert taken == [at(2024, 11, 29, 12, 58, 30), *(at(2024, 11, 29, *it) for it in ((12, 59), (13, 0), (13, 2)))]


@pytest.mark.parametrize("hour", [17, 23])
def test_started_after_the_close_it_asks_once(hour):
    assert turns(at(2024, 3, 14, hour)) == [at(2024, 3, 14, hour)]


@pytest.mark.parametrize("day", [(2024, 3, 16), (2024, 3, 29), (2101, 6, 1)])  # Saturday, Good Friday, no calendar
def test_a_day_without_a_session_has_no_turn(day):
    assert turns(at(*day, 17)) == []


def test_a_turn_that_failed_is_taken_again():
    feed = Polled(Live(), HOURS, one_day=True)
    assert feed.next(at(2024, 3, 14, 17)) == at(2024, 3, 14, 17)
    feed.blocks()  # and no end: it failed
    assert feed.next(at(2024, 3, 14, 17, 5)) == at(2024, 3, 14, 17, 5)


def test_without_an_end_it_waits_for_the_next_day():
    assert turns(at(2024, 3, 14, 17), one_day=False, most=1) == [at(2024, 3, 15, 9, 31)]
