"""Bars of the running session: each once, when it is complete, and the same as the day's bars afterwards."""

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from tickloom.errors import TickloomError
from tickloom.sources.yahoo import Yahoo
from tickloom.sources.yahoo_live import YahooLive

DAY = date(2024, 3, 14)


class Web:
    """Minute bars of a session, of which the last is under way."""

    def __init__(self):
        self.minutes, self.asked, self.failure = 10, [], None

    def __call__(self, symbol, start, end, interval):
        self.asked.append((symbol, start, end, interval))
        if self.failure:
            raise self.failure
        index = pd.date_range("2024-03-14 09:30", periods=self.minutes, freq="min", tz="America/New_York")
        n = np.arange(1.0, self.minutes + 1)
        return pd.DataFrame({"Open": n, "High": n + 1, "Low": n - 0.5, "Close": n + 0.5, "Volume": 100 * n}, index)


@pytest.fixture
def web():
    return Web()


def at(minute, second=0):
    return datetime(2024, 3, 14, 13, 30 + minute, second, tzinfo=UTC)


def live(web, minute, tickers=("AAPL",)):
    return YahooLive(tickers, download=web, clock=lambda: at(minute, 30))


def closes(blocks):
    return [price for block in blocks for price in block.price.tolist()]


def test_the_bar_under_way_waits(web):
    source = live(web, 9)  # ten bars, the tenth from 9:39 is not over at 9:39:30
    assert closes(source.poll()) == [minute + 1.5 for minute in range(9)]
    assert web.asked == [("AAPL", DAY, date(2024, 3, 15), "1m")]


def test_each_bar_comes_once_when_it_was_seen(web):
    source = live(web, 9)
    first = source.poll()
    assert closes(source.poll()) == closes(first), "not acknowledged: given again"
    for block in first:
        source.seen(block)
    assert source.poll() == []
    web.minutes, source.clock = 12, lambda: at(11, 30)
    assert closes(source.poll()) == [10.5, 11.5]


def test_records_are_those_of_the_whole_day(web):
    web.minutes = 390
    after = datetime(2024, 3, 15, 1, tzinfo=UTC)
    day = next(iter(Yahoo(["AAPL"], "XNYS", DAY, date(2024, 3, 15), "1m", download=web, now=after).blocks()))
    (now,) = YahooLive(["AAPL"], download=web, clock=lambda: after).poll()
    for name in ("time_us", "price", "volume", "sequence", "open", "high", "low"):
        np.testing.assert_array_equal(getattr(now, name), getattr(day, name))
    assert (now.source, now.interval) == (day.source, day.interval)


def test_a_failure_is_not_filled_with_synthetic_prices(web):
    web.failure = TickloomError("Yahoo has no bars")
    with pytest.raises(TickloomError, match="has no bars"):
        live(web, 5).poll()


@pytest.mark.parametrize(("market", "interval", "said"), [("XCAS", "1m", "XCAS"), ("XNYS", "1d", "'1d'")])
def test_what_yahoo_does_not_have_is_refused_at_once(market, interval, said):
    with pytest.raises(TickloomError, match=said):
        YahooLive(["AAPL"], market, interval)
