from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from tickloom.errors import TickloomError
from tickloom.market.sessions import session_table
from tickloom.sources.yahoo import Yahoo

NOW = datetime(2024, 3, 9, 12, tzinfo=UTC)
SPAN = {"start": date(2024, 3, 4), "end": date(2024, 3, 9), "now": NOW}


class Web:
    """A download that remembers how often it was asked."""

    def __init__(self, answer=None):
        self.calls = []
        self.answer = answer

    def __call__(self, symbol, start, end, interval):
        self.calls.append(symbol)
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not None:
            return self.answer
        index = pd.date_range(start, end, freq="B", inclusive="left", tz="America/New_York")
        n = np.arange(1.0, len(index) + 1)
        return pd.DataFrame(
            {"Open": n, "High": n + 1, "Low": n - 0.5, "Close": n + 0.5, "Adj Close": n / 2, "Volume": 100 * n}, index
        )


def only(source):
    (found,) = source.fetched.values()
    return found


def test_download_then_cache():
    web = Web()
    first = only(Yahoo(["AAPL"], download=web, **SPAN))
    second = only(Yahoo(["AAPL"], download=web, **SPAN))
    assert (first.origin, first.reason, first.as_of) == ("download", "not in the cache", NOW)
    assert second.origin == "cache"
    assert "AAPL_1d_2024-03-04_2024-03-09.csv covers" in second.reason
    assert web.calls == ["AAPL"]
    assert second.bars.frame.equals(first.bars.frame)
    assert first.bars.frame["close"].tolist() == [1.5, 2.5, 3.5, 4.5, 5.5]


def test_a_part_of_a_cached_span_is_taken_from_the_cache():
    web = Web()
    only(Yahoo(["AAPL"], download=web, **SPAN))
    part = only(Yahoo(["AAPL"], download=web, start=date(2024, 3, 5), end=date(2024, 3, 7), now=NOW))
    assert (part.origin, len(part.bars.frame), len(web.calls)) == ("cache", 2, 1)
    wider = only(Yahoo(["AAPL"], download=web, start=date(2024, 3, 1), end=date(2024, 3, 7), now=NOW))
    assert (wider.origin, len(web.calls)) == ("download", 2)


def test_no_session_that_is_not_over():
    web = Web()
    during = datetime(2024, 3, 8, 18, tzinfo=UTC)
    found = only(Yahoo(["AAPL"], download=web, start=date(2024, 3, 4), now=during))
    assert len(found.bars.frame) == 4


@pytest.mark.parametrize(
    ("answer", "calls", "reason"),
    [
        (ConnectionError("no route"), 3, "download failed: ConnectionError: no route"),
        (ValueError("odd"), 1, "download failed: ValueError: odd"),
        (pd.DataFrame(), 1, "Yahoo has no 1d bars of AAPL"),
        (pd.DataFrame({"Close": [1.0]}), 1, "lack Open, High, Low, Volume"),
    ],
)
def test_a_failed_download_is_synthetic_and_says_why(cache, answer, calls, reason):
    web = Web(answer)
    found = only(Yahoo(["AAPL"], download=web, **SPAN))
    assert found.origin == "synthetic"
    assert found.reason.startswith("not in the cache; ")
    assert reason in found.reason
    assert len(web.calls) == calls
    assert not list(cache.glob("*")) if cache.exists() else True
    assert found.bars.notes[0].startswith("synthetic, from 170.73 (reference price of 2024-03-08")


def test_without_network_the_real_download_fails_soon(monkeypatch):
    yfinance = pytest.importorskip("yfinance")

    def unreachable(*args, **kwargs):
        raise OSError("Could not resolve host")

    monkeypatch.setattr(yfinance.Ticker, "history", unreachable)
    found = only(Yahoo(["AAPL"], **SPAN))
    assert (found.origin, "Could not resolve host" in found.reason) == ("synthetic", True)


def test_prices_are_never_adjusted_silently(monkeypatch):
    yfinance = pytest.importorskip("yfinance")
    asked = {}

    def history(self, **options):
        asked.update(options)
        return Web()(self.ticker, SPAN["start"], SPAN["end"], "1d")

    monkeypatch.setattr(yfinance.Ticker, "history", history)
    assert only(Yahoo(["AAPL"], **SPAN)).bars.frame["close"].iloc[0] == 1.5
    assert asked["auto_adjust"] is False


def test_casablanca_is_not_asked_for():
    web = Web()
    found = only(Yahoo(["ATW"], download=web, **SPAN))
    assert (found.origin, web.calls) == ("synthetic", [])
    assert "Yahoo Finance lists no shares of XCAS" in found.reason
    assert found.bars.frame["open"].iloc[0] == 703.0


def test_a_broken_cache_is_said_and_passed_over(cache):
    cache.mkdir()
    (cache / "AAPL_1d_2024-03-01_2024-03-09.csv").write_text("Date,Close\n2024-03-04,x\n")
    found = only(Yahoo(["AAPL"], download=Web(), **SPAN))
    assert found.origin == "download"
    assert "cache unreadable" in found.reason
    assert "line 2: Close 'x' is not a number" in found.reason


def test_no_real_price_no_synthetic_one():
    with pytest.raises(TickloomError, match="no starting price of 'NVDA'"):
        only(Yahoo(["NVDA"], download=Web(OSError("down")), **SPAN))


@pytest.mark.parametrize("interval", ["1m", "5m", "15m", "1h", "1d"])
@pytest.mark.parametrize("ticker", ["AAPL", "ATW"])
def test_synthetic_bars_are_bars(ticker, interval):
    found = only(Yahoo([ticker], interval=interval, download=Web(OSError()), **SPAN))
    frame, table = found.bars.frame, session_table(found.bars.market)
    session = table.locate(frame["time_us"].to_numpy())
    assert (session >= 0).all()
    assert (frame["end_us"] <= table.close_us[session]).all()
    assert (frame["end_us"].iloc[:-1].to_numpy() <= frame["time_us"].iloc[1:].to_numpy()).all()
    assert set(table.close_us[session]) <= set(frame["end_us"])
    assert frame["day"].nunique() == 5
    assert (frame[["open", "close"]].min(axis=1) >= frame["low"]).all()
    assert (frame[["open", "close"]].max(axis=1) <= frame["high"]).all()


def test_the_source_tells_synthetic_from_real():
    real, made = Yahoo(["AAPL"], download=Web(), **SPAN), Yahoo(["ATW"], **SPAN)
    mixed = Yahoo(["AAPL", "ATW"], download=Web(), **SPAN)
    assert {block.source for block in real.blocks()} == {"yahoo"}
    assert {block.source for block in made.blocks()} == {"synthetic"}
    assert {(block.source, t.ticker) for block in mixed.blocks() for t in block.ticks()} == {
        ("yahoo", "AAPL"),
        ("synthetic", "ATW"),
    }


def test_a_bar_has_the_same_sequence_in_any_span():
    long, short = Yahoo(["ATW"], **SPAN), Yahoo(["ATW"], start=date(2024, 3, 6), end=date(2024, 3, 8), now=NOW)
    numbers = [{t.time: t.sequence for b in s.blocks() for t in b.ticks()} for s in (long, short)]
    assert numbers[1].items() <= numbers[0].items()


def test_an_empty_span():
    with pytest.raises(TickloomError, match="start 2024-03-09 is not before 2024-03-09"):
        only(Yahoo(["AAPL"], start=date(2024, 3, 9), now=NOW))
