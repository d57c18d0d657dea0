from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickloom.errors import TickloomError
from tickloom.market.calendars import MARKETS, calendar
from tickloom.market.sessions import day_of, days_of, session_table

ZONES = {"XNYS": "America/New_York", "XCAS": "Africa/Casablanca"}
markets = st.sampled_from(MARKETS)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def us(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1e6)


@pytest.mark.parametrize("mic", MARKETS)
def test_the_table_is_the_calendar(mic):
    table, schedule = session_table(mic), calendar(mic)
    assert [day_of(d) for d in table.day.tolist()] == [stamp.date() for stamp in schedule.sessions]
    assert (table.open_us * 1000 == schedule.opens_nanos).all()
    assert (table.close_us * 1000 == schedule.closes_nanos).all()
    assert (table.day.dtype, table.open_us.dtype, table.close_us.dtype) == (np.int32, np.int64, np.int64)


@given(markets, st.integers(days_of(date(2001, 1, 1)) * 86_400, days_of(date(2087, 1, 1)) * 86_400))
def test_locate_agrees_with_the_calendar(mic, second):
    table, schedule = session_table(mic), calendar(mic)
    index = int(table.locate(second * 1_000_000))
    minute = pd.Timestamp(second, unit="s", tz="UTC")
    session = minute.tz_convert(ZONES[mic]).tz_localize(None).normalize()
    expected = schedule.is_session(session) and schedule.opens[session] <= minute <= schedule.closes[session]
    assert (index >= 0) == expected
    if expected:
        assert day_of(int(table.day[index])) == session.date()


@given(markets, st.integers(0, 4_102_444_800 * 10**6))
def test_local_day_agrees_with_zoneinfo(mic, moment):
    expected = (EPOCH + timedelta(microseconds=moment)).astimezone(ZoneInfo(ZONES[mic])).date()
    assert day_of(int(session_table(mic).local_day(moment))) == expected


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20))
def test_no_time_breaks_the_table(times):
    table = session_table("XNYS")
    moments = np.array(times, dtype=np.int64)
    index = table.locate(moments)
    assert index.shape == moments.shape == table.local_day(moments).shape
    inside = index >= 0
    assert (table.open_us[index[inside]] <= moments[inside]).all()
    assert (moments[inside] <= table.close_us[index[inside]]).all()


@given(markets, st.integers(days_of(date(2000, 1, 1)), days_of(date(2087, 1, 1))), st.integers(0, 86_399))
def test_local_times_come_back_from_utc(mic, day, second):
    table = session_table(mic)
    local = (day * 86_400 + second) * 1_000_000
    utc = int(table.to_utc(local))
    back = utc + int(table.offset_us(utc))
    naive = datetime(1970, 1, 1) + timedelta(microseconds=local)
    zoned = naive.replace(tzinfo=ZoneInfo(ZONES[mic]))
    skipped = zoned.astimezone(UTC).astimezone(zoned.tzinfo).replace(tzinfo=None) != naive
    assert skipped or back == local


@pytest.mark.parametrize(
    ("mic", "local"),
    [
        ("XNYS", "2024-03-10T02:30"),  # skipped
        ("XNYS", "2024-11-03T01:30"),  # twice
        ("XCAS", "2024-03-10T02:30"),  # twice: Ramadan begins
        ("XCAS", "2024-04-14T02:30"),  # skipped: Ramadan has ended
    ],
)
def test_local_times_about_a_change_of_clocks(mic, local):
    naive = datetime.fromisoformat(local)
    expected = naive.replace(tzinfo=ZoneInfo(ZONES[mic]), fold=0).timestamp()
    given_us = (naive - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    assert int(session_table(mic).to_utc(given_us)) == expected * 1_000_000


def test_edges_of_a_session():
    table = session_table("XNYS")
    opens, closes = us("2019-02-15T14:30:00+00:00"), us("2019-02-15T21:00:00+00:00")
    inside = table.locate([opens - 1, opens, closes, closes + 1]) >= 0
    assert inside.tolist() == [False, True, True, False]


def test_a_half_day_closes_early():
    table = session_table("XNYS")
    assert table.next_close(us("2023-11-24T15:00:00+00:00")) == us("2023-11-24T18:00:00+00:00")
    assert table.next_close(us("2023-11-24T18:00:00+00:00")) == us("2023-11-27T21:00:00+00:00")


def test_the_end_of_the_calendar_is_explained():
    table = session_table("XCAS")
    with pytest.raises(TickloomError, match="calendar XCAS ends at 2087-12-31"):
        table.next_close(us("2090-01-01T00:00:00+00:00"))
    with pytest.raises(TickloomError, match="calendar XCAS covers 2000 to 2087; 1999-01-01 is outside"):
        session_table("XCAS", date(1999, 1, 1))
    assert table.locate(us("2090-01-02T10:00:00+00:00")) == -1


def test_the_local_date_in_casablanca_changes_with_ramadan():
    table = session_table("XCAS")
    late = [us("2024-03-15T23:30:00+00:00"), us("2024-05-15T23:30:00+00:00")]
    assert [day_of(d) for d in table.local_day(late).tolist()] == [date(2024, 3, 15), date(2024, 5, 16)]


def test_the_table_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        session_table("XNYS").open_us[0] = 0
