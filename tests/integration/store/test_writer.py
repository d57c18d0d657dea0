"""The writer on a real node: what was written is what is read, also when the node goes away."""

import threading
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from structlog.testing import capture_logs

from tickloom.errors import TickloomError
from tickloom.store import queries
from tickloom.store.connect import connect
from tickloom.store.rows import dump
from tickloom.store.writer import Writer

from .proxy import Proxy
from .tables import DAY, FIRST_US, bars, prices

pytestmark = pytest.mark.integration


def test_prices_are_read_as_they_were_written(session, ticker):
    unknown = np.array([np.nan, 1.5, np.nan, 2.5])
    table = prices(ticker, 4, z_score=unknown, volume=pa.array([1, None, 3, None]), interval=[None, "1m", None, "1m"])
    writer = Writer(session)
    writer.write("stock_prices", table)
    writer.flush()

    found = queries.prices(session, ticker)
    assert found["time"].cast(pa.int64()).to_pylist() == table["time_us"].to_pylist()
    assert found["z_score"].to_pylist() == [None, 1.5, None, 2.5]
    assert found["volume"].to_pylist() == [1, None, 3, None]
    assert found["interval"].to_pylist() == [None, "1m", None, "1m"]
    assert found["price"].to_pylist() == table["price"].to_pylist()
    assert found["rolling_avg"].null_count == 4
    assert set(found["day"].to_pylist()) == {DAY}


def test_unset_cells_leave_no_tombstone(session, ticker):
    """A cell that was known stays known when a later write does not know it; a null would delete it."""
    writer = Writer(session)
    writer.write("stock_prices", prices(ticker, 1, z_score=[1.5]))
    writer.write("stock_prices", prices(ticker, 1, z_score=pa.array([None], pa.float64()), price=[7.0]))
    writer.flush()

    (row,) = queries.prices(session, ticker).to_pylist()
    assert (row["z_score"], row["price"]) == (1.5, 7.0)


def test_writing_again_changes_nothing(session, ticker):
    table = prices(ticker, 250)
    writer = Writer(session)
    for _ in range(3):
        writer.write("stock_prices", table)
    writer.flush()
    assert queries.prices(session, ticker).num_rows == 250


def test_a_later_write_wins_over_an_earlier_one(session, ticker):
    writer = Writer(session)
    for close in range(50):
        writer.write("bars", bars(ticker, 1, close=[float(close)]))
    writer.flush()
    assert queries.bars(session, ticker, "1m")["close"].to_pylist() == [49.0]


def test_bars_of_many_tickers_keep_their_indicators(session, ticker):
    names = [f"{ticker}{i}" for i in range(300)]
    maps = [
        None if i % 3 == 0 else [("sma20", float(i)), *([("rsi14", 0.5)] if i % 3 == 1 else [])] for i in range(300)
    ]
    table = bars(ticker, 300, ticker=names, indicators=pa.array(maps, pa.map_(pa.string(), pa.float64())))
    writer = Writer(session)
    writer.write("bars", table)
    writer.flush()

    for i in (0, 1, 2, 299):
        (row,) = queries.bars(session, names[i], "1m").to_pylist()
        assert dict(row["indicators"] or []) == dict(maps[i] or [])
        assert row["close"] == 100.0 + i


def test_many_rows_in_many_partitions_arrive_whole(session, ticker):
    tickers = [f"{ticker}{i}" for i in range(7)]
    tables = [prices(name, 1301, bucket=bucket) for name in tickers for bucket in (0, 1)]
    writer = Writer(session, max_in_flight=3)
    writer.write("stock_prices", pa.concat_tables(tables).take(np.random.default_rng(0).permutation(7 * 2 * 1301)))
    writer.flush()
    for name in tickers:
        assert queries.prices(session, name).num_rows == 2 * 1301


def test_the_days_of_a_ticker_are_noted(session, ticker):
    writer = Writer(session)
    writer.write("stock_prices", prices(ticker, 3, day=date(2019, 2, 14)))
    writer.write("stock_prices", prices(ticker, 3, bucket=1))
    writer.flush()
    found = [row for row in dump(session, "price_days") if row["ticker"] == ticker]
    assert [(row["day"], row["bucket"]) for row in found] == [(date(2019, 2, 14), 0), (DAY, 1)]


def test_a_refused_write_names_the_table_and_the_writer_goes_on(session, ticker):
    writer = Writer(session)
    with pytest.raises(TickloomError, match="table bars has no column 'shut'"):
        writer.write("bars", bars(ticker, 1).append_column("shut", pa.array([1.0])))
    with pytest.raises(TickloomError, match="no table 'barns'"):
        writer.write("barns", bars(ticker, 1))
    with pytest.raises(TickloomError, match=r"table bars: rows with the columns .* are refused: .*time"):
        writer.write("bars", bars(ticker, 1).drop_columns(["time_us"]))
    with pytest.raises(TickloomError, match="time_us 1550241000000001 is not a whole millisecond"):
        writer.write("bars", bars(ticker, 1, first_us=FIRST_US + 1))
    writer.write("stock_prices", prices(ticker, 1, source=["x" * 70_000]))  # longer than a clustering key may be
    with pytest.raises(TickloomError, match=r"table stock_prices: .*65535"):
        writer.flush()
    writer.write("bars", bars(ticker, 2))
    writer.flush()
    assert queries.bars(session, ticker, "1m").num_rows == 2


def test_a_table_may_change_while_a_writer_is_open(session, ticker):
    """A change makes the node forget the prepared statements of the table."""
    writer = Writer(session)
    writer.write("bars", bars(ticker, 2))
    writer.flush()
    session.execute("ALTER TABLE bars ADD remark text")
    try:
        writer.write("bars", bars(ticker, 3))
        writer.flush()
        assert queries.bars(session, ticker, "1m").num_rows == 3
    finally:
        session.execute("ALTER TABLE bars DROP remark")


def write_all(writer, table):
    writer.write("stock_prices", table)
    writer.flush()


@pytest.fixture
def proxied(stack, keyspace):
    proxy = Proxy(stack.cassandra)
    session = connect(proxy.address, keyspace)
    yield proxy, session
    session.cluster.shutdown()
    proxy.cut()


def test_an_outage_is_waited_out_and_said(proxied, session, ticker):
    proxy, through = proxied
    writer = Writer(through, max_in_flight=8)
    writer.write("stock_prices", prices(ticker, 500))
    writer.flush()
    proxy.cut()
    threading.Timer(3, proxy.mend).start()
    with capture_logs() as said:
        for i in range(1, 6):
            writer.write("stock_prices", prices(ticker, 500, first=500 * i))
        writer.flush()

    assert queries.prices(session, ticker).num_rows == 3000
    events = [line["event"] for line in said]
    assert events[0] == "Cassandra does not take writes; trying again"
    assert events[-1] == "Cassandra takes writes again"
    assert len(events) < 6


def test_patience_has_an_end_and_the_writer_works_afterwards(proxied, session, ticker):
    proxy, through = proxied
    writer = Writer(through, patience_s=1)
    proxy.cut()
    with pytest.raises(TickloomError, match=r"Cassandra took no write for \d s .*`tickloom status`"):
        write_all(writer, prices(ticker, 500))

    proxy.mend()
    patient = Writer(through)
    patient.write("stock_prices", prices(ticker, 500))
    patient.flush()
    assert queries.prices(session, ticker).num_rows == 500
