"""Turns follow the exchange's own hours, in summer and winter, on short days and over holidays."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from services.ingest.hours import Hours
from tickloom.errors import TickloomError
from tickloom.market.sessions import session_table

NEW_YORK = ZoneInfo("America/New_York")
HOURS = Hours(session_table("XNYS"), every_s=60.0, after_close_s=120.0)


def at(*when):
    return datetime(*when, tzinfo=NEW_YORK).timestamp()


@pytest.mark.parametrize(
    ("now", "turn"),
    [
        (at(2024, 3, 14, 3), at(2024, 3, 14, 9, 31)),  # before the open: when the first bar is complete
        (at(2024, 3, 14, 9, 30), at(2024, 3, 14, 9, 31)),
        (at(2024, 3, 14, 12, 0, 30), at(2024, 3, 14, 12, 1)),
        (at(2024, 3, 14, 15, 59), at(2024, 3, 14, 16, 0)),
        (at(2024, 3, 14, 16, 0), at(2024, 3, 14, 16, 2)),  # once more after the close
        (at(2024, 3, 14, 16, 2), at(2024, 3, 15, 9, 31)),
        (at(2024, 3, 15, 20), at(2024, 3, 18, 9, 31)),  # over a weekend
        (at(2024, 3, 28, 20), at(2024, 4, 1, 9, 31)),  # over Good Friday
        (at(2024, 11, 1, 20), at(2024, 11, 4, 9, 31)),  # over the end of summer time
        (at(2024, 11, 29, 13, 0), at(2024, 11, 29, 13, 2)),  # a short day
        (at(2024, 11, 29, 14, 0), at(2024, 12, 2, 9, 31)),
    ],
)
def test_the_next_turn(now, turn):
    assert HOURS.next(now) == turn


def test_casablanca_has_its_own_hours():
    hours = Hours(session_table("XCAS"), 60.0, 120.0)
    friday = datetime(2024, 3, 8, 20, tzinfo=ZoneInfo("Africa/Casablanca")).timestamp()
    monday = datetime.fromtimestamp(hours.next(friday), ZoneInfo("Africa/Casablanca"))
    assert (monday.weekday(), monday.date().isoformat()) == (0, "2024-03-11")
    assert not hours.open(friday)
    assert hours.open(hours.next(friday))


def test_turns_come_one_after_the_other_and_every_one_in_or_soon_after_a_session():
    now, seen = at(2024, 3, 13, 0), []
    while now < at(2024, 3, 15, 0):
        now = HOURS.next(now)
        seen.append(now)
    assert len([turn for turn in seen if turn < at(2024, 3, 14, 0)]) == 390 + 1
    assert seen == sorted(set(seen))


def test_the_end_of_the_calendar_is_said():
    with pytest.raises(TickloomError, match="calendar XNYS ends at 2100-12-31"):
        HOURS.next(at(2101, 6, 1))
