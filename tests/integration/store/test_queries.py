"""What readers get, from days, buckets and years that lie far apart."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from tickloom.store import queries
from tickloom.store.writer import Writer

from .tables import FIRST_US, bars, prices

pytestmark = pytest.mark.integration

DAY_US = 86_400_000_000


@pytest.fixture
def writer(session):
    writer = Writer(session)
    yield writer
    writer.flush()


def test_a_ticker_without_rows_has_none(session):
    assert queries.prices(session, "NOBODY", last=20).num_rows == 0
    assert queries.anomalies(session, "NOBODY").num_rows == 0
    assert queries.bars(session, "NOBODY", "1m", last=20).num_rows == 0


def test_the_last_rows_of_a_replay_of_long_ago_are_found(session, writer, ticker):
    for day in range(5):
        writer.write(
            "stock_prices",
            prices(ticker, 8, day=date(2019, 2, 11 + 7 * day // 2), first=8 * day, first_us=FIRST_US + day * DAY_US),
        )
    writer.flush()

    found = queries.prices(session, ticker, last=20)
    assert found["sequence"].to_pylist() == list(range(20, 40))
    assert queries.prices(session, ticker, last=1000)["sequence"].to_pylist() == list(range(40))


def test_buckets_of_a_day_are_read_as_one_series(session, writer, ticker):
    even, odd = np.arange(0, 30, 2), np.arange(1, 30, 2)
    for bucket, numbers in enumerate((even, odd)):
        table = prices(ticker, 15, bucket=bucket, sequence=numbers, time_us=pa.array(FIRST_US + numbers))
        writer.write("stock_prices", table)
    writer.flush()

    assert queries.prices(session, ticker)["sequence"].to_pylist() == list(range(30))
    assert queries.prices(session, ticker, last=7)["sequence"].to_pylist() == list(range(23, 30))


def test_times_limit_rows_with_the_end_excluded_and_dates_with_it_included(session, writer, ticker):
    for day in range(3):
        us = FIRST_US + day * DAY_US
        writer.write(
            "stock_prices",
            prices(ticker, 3, day=date(2019, 2, 15 + day), first=3 * day, time_us=us + np.arange(3) * 1000),
        )
    writer.flush()
    start = datetime.fromtimestamp((FIRST_US + DAY_US) / 1e6, UTC)

    def sequences(*limits):
        return queries.prices(session, ticker, *limits)["sequence"].to_pylist()

    assert sequences(start) == [3, 4, 5, 6, 7, 8]
    assert sequences(start, start + timedelta(milliseconds=2)) == [3, 4]
    assert sequences(None, start) == [0, 1, 2]
    assert sequences(date(2019, 2, 16), date(2019, 2, 16)) == [3, 4, 5]
    assert sequences(date(2019, 2, 17)) == [6, 7, 8]


def test_anomalies_are_found_among_the_days_of_prices(session, writer, ticker):
    days = [date(2019, 1, 1) + timedelta(days=i) for i in range(40)]
    for i, day in enumerate(days):
        table = prices(ticker, 1, day=day, first_us=FIRST_US + i * DAY_US)
        writer.write("stock_prices", table)
        if i in (2, 30):
            kept = table.select(["ticker", "day", "time_us", "source", "sequence", "price"])
            writer.write("anomalies", kept.append_column("threshold", pa.array([3.0])))
    writer.flush()

    assert queries.anomalies(session, ticker, last=5)["day"].to_pylist() == [days[2], days[30]]
    assert queries.anomalies(session, ticker, last=1)["day"].to_pylist() == [days[30]]


def test_bars_reach_back_over_years_and_may_be_final_only(session, writer, ticker):
    for year in (2012, 2019):
        day = date(year, 12, 31)
        first = int(datetime(year, 12, 31, 15, tzinfo=UTC).timestamp()) * 1_000_000
        writer.write("bars", bars(ticker, 30, day=day, first_us=first, final=np.arange(30) < 28))
    writer.flush()

    assert queries.bars(session, ticker, "1m", last=40).num_rows == 40
    final = queries.bars(session, ticker, "1m", last=40, final_only=True)
    assert final["final"].to_pylist() == [True] * 40
    assert {time.year for time in final["time"].to_pylist()} == {2012, 2019}
    assert queries.bars(session, ticker, "1m", date(2019, 1, 1), date(2019, 12, 31)).num_rows == 30
    assert queries.bars(session, ticker, "1m", date(2019, 1, 1), date(2019, 12, 30)).num_rows == 0
    assert queries.bars(session, ticker, "5m").num_rows == 0
