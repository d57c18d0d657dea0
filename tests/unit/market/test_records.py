import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from tickloom.errors import TickloomError
from tickloom.market.intervals import interval_us, parse_interval
from tickloom.market.records import Bar, NewsItem, Tick

NOON = datetime(2019, 2, 15, 20, 59, tzinfo=UTC)
TICK = Tick("AAPL", NOON, 170.2461, 202717, "replay", 1551, "1m", 170.17, 170.25, 170.13)
BAR = Bar("AAPL", "5m", NOON, date(2019, 2, 15), 2.0, 3.0, 1.0, 2.5, 100, 2.2, 7, True)
NEWS = NewsItem("a", "lematin", NOON, NOON, "Title", tickers=("ATW",))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ticker": "aapl"}, "Tick: ticker 'aapl' must match"),
        ({"time": datetime(2019, 2, 15)}, "Tick: time .* must be a datetime in UTC"),
        ({"time": NOON.astimezone(ZoneInfo("America/New_York"))}, "must be a datetime in UTC"),
        ({"price": math.nan}, "Tick: price nan must be a finite number above 0"),
        ({"price": math.inf}, "Tick: price inf"),
        ({"price": 0.0}, "Tick: price 0.0"),
        ({"price": True}, "Tick: price True"),
        ({"price": 171.0}, r"Tick: price 171.0 must lie within low 170.13 and high 170.25"),
        ({"open": 170.0}, "Tick: open 170.0 must lie within"),
        ({"low": None}, "must come together or not at all"),
        ({"interval": None}, "must come together or not at all"),
        ({"interval": "2m"}, "interval '2m' is unknown; known: 1m, 5m, 15m, 1h, 1d"),
        ({"volume": -1}, "Tick: volume -1 must be a whole number from 0"),
        ({"source": ""}, "Tick: source '' must match"),
        ({"source": "Replay"}, "Tick: source 'Replay' must match"),
        ({"sequence": -1}, "Tick: sequence -1"),
        ({"sequence": 2**63}, "Tick: sequence 9223372036854775808"),
    ],
)
def test_impossible_ticks_name_field_and_value(change, message):
    with pytest.raises(TickloomError, match=message):
        replace(TICK, **change)


@pytest.mark.parametrize(
    ("record", "change", "message"),
    [
        (BAR, {"high": 2.2}, "Bar: close 2.5 must lie within"),
        (BAR, {"day": NOON}, "Bar: day .* must be a date"),
        (BAR, {"vwap": -1.0}, "Bar: vwap -1.0"),
        (BAR, {"ticks": 1.5}, "Bar: ticks 1.5"),
        (NEWS, {"title": " "}, "NewsItem: title ' ' must not be empty"),
        (NEWS, {"id": ""}, "NewsItem: id ''"),
        (NEWS, {"seen": datetime(2019, 1, 1)}, "NewsItem: seen"),
        (NEWS, {"tickers": ("atw",)}, "NewsItem: tickers 'atw'"),
    ],
)
def test_impossible_bars_and_news(record, change, message):
    with pytest.raises(TickloomError, match=message):
        replace(record, **change)


def test_utc_by_any_name_is_the_same_record():
    named = replace(TICK, time=NOON.replace(tzinfo=ZoneInfo("UTC")))
    offset = replace(TICK, time=NOON.replace(tzinfo=timezone(timedelta(0))))
    assert named == offset == TICK
    assert repr(named) == repr(TICK)


def test_records_are_frozen():
    with pytest.raises(AttributeError):
        TICK.price = 1.0


def test_intervals():
    assert interval_us(parse_interval("15m")) == 900_000_000
    with pytest.raises(TickloomError, match="no fixed length"):
        interval_us("1d")
