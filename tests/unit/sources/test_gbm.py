import re
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickloom.errors import TickloomError
from tickloom.market.sessions import session_table
from tickloom.sources.blocks import ticks
from tickloom.sources.gbm import Gbm
from tickloom.sources.start import reference_prices, starting_prices

BEGIN = datetime(2024, 3, 8, 20, 59, 30, tzinfo=UTC)  # half a minute before a Friday's close
START = {"AAPL": 170.73, "MSFT": 406.22, "ATW": 703.0}


def column(source, name, ticker=None):
    blocks = list(source.blocks())
    return np.concatenate(
        [getattr(b, name) if ticker is None else getattr(b, name)[b.codes == b.tickers.index(ticker)] for b in blocks]
    )


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 50), st.integers(1, 300))
def test_a_tickers_prices_depend_on_nothing_but_seed_and_ticker(seed, block_rows, count):
    alone = Gbm(("AAPL",), START, seed=seed, begin=BEGIN, count=count)
    among = Gbm(("MSFT", "AAPL"), START, seed=seed, begin=BEGIN, count=2 * count, block_rows=block_rows)
    for name in ("price", "volume", "time_us", "sequence"):
        assert (column(alone, name) == column(among, name, "AAPL")).all()


def test_seeds_and_tickers_differ():
    prices = [column(Gbm((t,), {t: 100.0}, seed=s, begin=BEGIN, count=50), "price") for t, s in
              [("AAPL", 0), ("AAPL", 1), ("MSFT", 0)]]  # fmt: skip
    assert not any((a == b).all() for a, b in ((prices[0], prices[1]), (prices[0], prices[2])))


@pytest.mark.parametrize("market", ["XNYS", "XCAS"])
def test_every_price_lies_in_a_session(market):
    source = Gbm(("ATW",), START, market, begin=datetime(2024, 3, 7, tzinfo=UTC), step_s=60, count=3000)
    times = column(source, "time_us")
    assert (session_table(market).locate(times) >= 0).all()
    assert (np.diff(times) > 0).all()
    assert (column(source, "sequence") == np.arange(3000)).all()


def test_over_the_weekend():
    times = column(Gbm(("AAPL",), START, begin=BEGIN, step_s=20, count=4), "time_us") / 1e6
    found = [datetime.fromtimestamp(t, UTC).strftime("%a %H:%M:%S") for t in times]
    assert found == ["Fri 20:59:30", "Fri 20:59:50", "Mon 13:30:00", "Mon 13:30:20"]


def test_the_first_price_is_the_real_one():
    first = next(ticks(Gbm(("AAPL", "MSFT"), START, begin=BEGIN, count=2)))
    assert (first.price, first.sequence, first.time) == (170.73, 0, BEGIN)


def test_another_series_is_another_source():
    def source(**change):
        return Gbm(**({"tickers": ("AAPL",), "start": START, "begin": BEGIN, "seed": 7} | change)).source

    assert re.fullmatch("gbm-7-[0-9a-f]{6}", source())
    same = [source(), source(count=5, block_rows=2), source(start={"AAPL": 170.73, "IBM": 1}), source(begin=None)]
    assert len(set(same)) == 1
    others = [{"seed": 8}, {"start": {"AAPL": 171}}, {"drift": 0.1}, {"volatility": 0.1}, {"step_s": 60}]
    assert len({source(), *(source(**other) for other in others)}) == 1 + len(others)


def test_without_begin_it_starts_with_the_last_completed_session():
    saturday = Gbm(("AAPL",), START, count=1, now=datetime(2024, 3, 9, 12, tzinfo=UTC))
    during = Gbm(("AAPL",), START, count=1, now=datetime(2024, 3, 8, 16, tzinfo=UTC))
    found = [datetime.fromtimestamp(column(s, "time_us")[0] / 1e6, UTC).isoformat() for s in (saturday, during)]
    assert found == ["2024-03-08T14:30:00+00:00", "2024-03-07T14:30:00+00:00"]


def test_it_starts_as_many_sessions_before_as_it_is_told():
    saturday = datetime(2024, 3, 9, 12, tzinfo=UTC)
    made = Gbm(("AAPL",), START, count=1, sessions=5, now=saturday)
    assert column(made, "time_us")[0] / 1e6 == datetime(2024, 3, 4, 14, 30, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("length", [{"count": 1}, {"count": 30_000}, {"duration_s": 10 * 23_400}, {"count": 2 * 4681}])
def test_a_known_length_ends_in_the_last_completed_session(length):
    now = datetime(2024, 3, 9, 12, tzinfo=UTC)
    times = column(Gbm(("AAPL", "MSFT"), START, now=now, **length), "time_us")
    table = session_table("XNYS")
    assert times[-1] <= now.timestamp() * 1e6
    last = table.locate(times[[0, -1]])
    assert times[0] == table.open_us[last[0]]
    assert table.next_close(int(times[-1]) - 1) == table.next_close(round(BEGIN.timestamp() * 1e6))


def test_yearly_volatility_comes_out():
    source = Gbm(("AAPL",), {"AAPL": 10_000.0}, begin=datetime(2019, 1, 2, tzinfo=UTC), volatility=0.3, step_s=300,
                 count=79 * 252 * 8)  # fmt: skip
    moves = np.diff(np.log(column(source, "price")))
    yearly = np.sqrt(np.sum(moves**2) / 8)
    assert yearly == pytest.approx(0.3, rel=0.03)


def test_drift_comes_out_without_volatility():
    source = Gbm(("AAPL",), {"AAPL": 100.0}, begin=datetime(2019, 1, 2, tzinfo=UTC), drift=0.1, volatility=0.0,
                 step_s=3600, duration_s=252 * 23_400)  # fmt: skip
    price = column(source, "price")
    assert price[-1] == pytest.approx(100 * np.exp(0.1), rel=0.1)
    assert (np.diff(price) >= 0).all()


def test_own_parameters_for_a_ticker():
    source = Gbm(("AAPL", "MSFT"), START, begin=BEGIN, count=400, volatility={"AAPL": 0.0}, drift={"AAPL": 0.0})
    assert set(column(source, "price", "AAPL")) == {170.73}
    assert len(set(column(source, "price", "MSFT"))) > 10


def test_prices_are_whole_ticks_and_volumes_whole_and_positive():
    source = Gbm(("AAPL",), {"AAPL": 0.02}, begin=BEGIN, count=5000, volatility=30.0)
    price = column(source, "price")
    assert (np.round(price * 100) == np.round(price * 100, 6)).all()
    assert price.min() >= 0.01
    assert column(source, "volume").min() >= 1


def test_duration_counts_trading_time():
    source = Gbm(("AAPL",), START, begin=BEGIN, step_s=10, duration_s=60)
    assert len(column(source, "time_us")) == 4 + 4
    assert len(column(Gbm(("AAPL",), START, begin=BEGIN, step_s=10, duration_s=30), "time_us")) == 4
    assert len(column(Gbm(("AAPL",), START, begin=BEGIN, step_s=10, duration_s=0), "time_us")) == 1


@pytest.mark.parametrize("count", [1, 3, 10_001])
def test_count_is_exact(count):
    assert len(column(Gbm(("AAPL", "MSFT"), START, begin=BEGIN, count=count), "price")) == count


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tickers": ()}, "one or more"),
        ({"tickers": ("AAPL", "AAPL")}, "each once"),
        ({"tickers": ("aapl",)}, "ticker 'aapl' must match"),
        ({"tickers": ("IBM",)}, "start price of IBM nan"),
        ({"volatility": -0.1}, "volatility of AAPL -0.1"),
        ({"step_s": 0}, "step_s 0 must be at least"),
        ({"begin": datetime(2024, 3, 8)}, "has no time zone"),
        ({"seed": 2**63}, "seed 9223372036854775808 must be at most"),
        ({"sessions": 0}, "sessions 0 must be at least 1"),
        ({"count": -1}, "count -1 must not be negative"),
    ],
)
def test_impossible_parameters(change, message):
    with pytest.raises(TickloomError, match=message):
        list(Gbm(**({"tickers": ("AAPL",), "start": START, "count": 1} | change)).blocks())


def test_reference_prices_are_the_datas_last_closes(market_data):
    from tickloom.sources.csvfile import read_bars

    folders = {"AAPL": "us_daily/AAPL.csv", "ATW": "casablanca/ATW.csv", "TSLA": "us_minute/TSLA_1min.csv"}
    for ticker, name in folders.items():
        assert reference_prices()[ticker].price == pytest.approx(read_bars(market_data / name).frame["close"].iloc[-1])


def test_where_a_start_comes_from(market_data, cache):
    cache.mkdir()
    (cache / "JPM_1d_2024-01-01_2024-03-09.csv").write_text("Date,Close\n2024-03-08,190.5\n")
    (cache / "JPM_1d_2023-01-01_2023-03-09.csv").write_text("Date,Close\n2023-03-08,130.5\n")
    found = starting_prices(["AAPL", "SPY", "JPM", "CAT"], {"AAPL": 5}, [market_data / "us_minute" / "SPY_1min.csv"])
    assert {ticker: start.price for ticker, start in found.items()} == {
        "AAPL": 5, "SPY": 277.39, "JPM": 190.5, "CAT": 339.19,
    }  # fmt: skip
    assert [start.origin for start in found.values()] == [
        "given",
        "last close of SPY_1min.csv",
        "last cached close of JPM_1d_2024-01-01_2024-03-09.csv",
        "reference price of 2024-03-08: close (daily bars of Yahoo Finance)",
    ]
    with pytest.raises(TickloomError, match="no starting price of 'ZZZ' is known; say one"):
        starting_prices(["ZZZ"])
    with pytest.raises(TickloomError, match="start price of AAPL inf must be"):
        starting_prices(["AAPL"], {"AAPL": float("inf")})
