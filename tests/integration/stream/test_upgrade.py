"""A manifest changes, its checkpoint stays: what was known goes on, what is new starts fresh, nothing is wrong."""

import signal

import numpy as np
import pandas as pd
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from tests.integration.stream.conftest import OPEN, price
from tests.integration.stream.jobs import PATIENCE_S, Job, send, topic
from tickloom.bus.credentials import connection
from tickloom.bus.topics import partition_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

DAY_S = 86_400
TICKERS = ["AAPL", "MSFT", "JPM"]  # JPM has a partition of its own
CHANGE = 225 * 60 + 150
"""When manifests change, in seconds after the open: in the middle of a minute, of five and of fifteen."""


def walk(seed):
    """Return (second, price) of two sessions, a price a minute."""
    random = np.random.default_rng(seed)
    seconds = [day * DAY_S + 30 + 60 * minute for day in (0, 1) for minute in range(390)]
    return list(zip(seconds, np.round(100 * np.exp(np.cumsum(random.normal(0, 1e-3, len(seconds)))), 2), strict=True))


FINAL = CHANGE - 60 - 600
"""Bars that end by then are final when manifests change: one watermark before the last record."""

WALKS = {ticker: walk(seed) for seed, ticker in enumerate(TICKERS)}


def between(start, end):
    """Return the records of all tickers from ``start`` to before ``end`` (seconds after the open), by time."""
    chosen = [(second, ticker, value) for ticker in TICKERS for second, value in WALKS[ticker] if start <= second < end]
    return [price(ticker, second, value, second) for second, ticker, value in sorted(chosen)]


def spec(tickers, *, window=30, indicators=("sma_5", "rsi_14"), intervals=("5m", "1d"), **more):
    processors = {"prices": {"window": window}, "bars": {"indicators": list(indicators), "intervals": list(intervals)}}
    return {"tickers": tickers, "deadLetters": "own", "processors": processors, **more}


def run_part(job, records, wanted):
    """Send records, let the job read them as ``wanted`` says, and stop it as an operator does."""
    job.spec = wanted
    send(job.stack.kafka, job.topic, records)
    process = job.start(bounded=False)
    job.wait_for(lambda found: found.get("totals", {}).get("rows_in") == len(records), process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, job.tail()


def run_rest(job, records, wanted):
    """Send the last records and run the job to their end."""
    job.spec = wanted
    send(job.stack.kafka, job.topic, records)
    totals = job.run()
    assert totals["rows_in"] == len(records)
    assert totals["dead_letters"] == totals["duplicates"] == totals["late"] == 0
    return totals


def ticks(job, ticker):
    """Return a ticker's rows: seconds after the open, price, z-score."""
    query = "SELECT time, price, z_score FROM stock_prices WHERE ticker = %s AND day = %s AND bucket = 0"
    rows = [row for day in ("2024-03-14", "2024-03-15") for row in job.rows(query, ticker, day)]
    seconds = [_second(row[0]) for row in rows]
    frame = pd.DataFrame({"second": seconds, "price": [row[1] for row in rows], "z": [row[2] for row in rows]})
    return frame.astype({"z": float}).sort_values("second", ignore_index=True)


def _second(time):
    return round((pd.Timestamp(time) - pd.Timestamp(OPEN, unit="s")).total_seconds())


def bars(job, ticker, interval):
    """Return a ticker's bars by their start in seconds after the open."""
    query = "SELECT time, open, high, low, close, volume, ticks, final, indicators FROM bars"
    rows = job.rows(f"{query} WHERE ticker = %s AND interval = %s AND year = 2024", ticker, interval)
    return {_second(row[0]): row[1:] for row in sorted(rows)}


def z_scores(prices, window):
    """Return pandas' z-scores: each price against those before it."""
    series = pd.Series(prices)
    before = series.shift(1).rolling(window)
    return ((series - before.mean()) / before.std(ddof=1)).to_numpy()


def expected_bars(ticker, length, *, since=0):
    """Return open, high, low, close, volume and ticks of the bars that begin at or after ``since``."""
    frame = pd.DataFrame(WALKS[ticker], columns=["second", "price"])
    within = frame["second"] % DAY_S
    frame["start"] = frame["second"] - within + (within // length * length)
    grouped = frame.groupby("start")["price"]
    found = grouped.agg(["first", "max", "min", "last", "count"])
    return {
        int(start): (row["first"], row["max"], row["min"], row["last"], int(row["count"]) * 10, int(row["count"]))
        for start, row in found.iterrows()
        if start >= since
    }


@pytest.fixture(scope="module")
def untouched(stack, tmp_path_factory):
    """AAPL and MSFT in one run."""
    job = Job(tmp_path_factory.mktemp("untouched"), stack, topic(stack.kafka, "untouched"))
    run_rest(job, between(0, 2 * DAY_S), spec(["AAPL", "MSFT"]))
    return job


def test_a_new_ticker_and_a_new_indicator_leave_everything_else_as_it_was(untouched, stack, tmp_path):
    job = Job(tmp_path, stack, topic(stack.kafka, "wider"))
    run_part(job, between(0, CHANGE), spec(["AAPL", "MSFT"]))
    admin = AdminClient(connection(stack.kafka))
    own = TopicPartition(job.topic, partition_for(b"JPM", 3), 10)  # as retention does: its first records are gone
    admin.delete_records([own])[own].result(30)
    run_rest(job, between(CHANGE, 2 * DAY_S), spec(TICKERS, indicators=("sma_5", "sma_10", "rsi_14")))

    for ticker in ("AAPL", "MSFT"):
        pd.testing.assert_frame_equal(ticks(job, ticker), ticks(untouched, ticker))
        for interval, length in (("5m", 300), ("1d", DAY_S)):
            found, wanted = bars(job, ticker, interval), bars(untouched, ticker, interval)
            assert {start: row[:7] for start, row in found.items()} == {s: row[:7] for s, row in wanted.items()}
            closes = pd.Series({start: row[3] for start, row in wanted.items()})
            seen = list(closes.index[closes.index + length > FINAL])
            for start, row in found.items():
                known = dict(row[7] or {})
                late = known.pop("sma_10", None)
                assert known == dict(wanted[start][7] or {})
                wait = start not in seen[9:]
                assert (late is None) == wait, (ticker, interval, start)
                assert late is None or late == pytest.approx(closes.loc[:start].tail(10).mean(), rel=1e-12)

    fresh = ticks(job, "JPM")
    wanted = [(second, value) for second, value in WALKS["JPM"] if second >= CHANGE]
    assert list(zip(fresh["second"], fresh["price"], strict=True)) == wanted
    np.testing.assert_allclose(fresh["z"], z_scores(fresh["price"], 30), rtol=1e-6, atol=1e-6)


def test_windows_tickers_and_intervals_come_and_go(untouched, stack, tmp_path):
    second_change = DAY_S + CHANGE
    job = Job(tmp_path, stack, topic(stack.kafka, "changing"))
    run_part(job, between(0, CHANGE), spec(["AAPL", "MSFT"]))
    run_part(job, between(CHANGE, second_change), spec(["AAPL"], window=50, intervals=("5m", "15m")))
    run_rest(job, between(second_change, 2 * DAY_S), spec(["AAPL", "MSFT"], window=10, intervals=("5m", "1d")))

    found = ticks(job, "AAPL")
    assert list(zip(found["second"], found["price"], strict=True)) == WALKS["AAPL"]
    first, second = (int((found["second"] < change).sum()) for change in (CHANGE, second_change))
    prices = found["price"].to_numpy()
    by_window = {window: z_scores(prices, window) for window in (30, 50, 10)}
    # the longer window waits for twenty prices more than the thirty that were kept
    wanted = np.concatenate(
        [by_window[30][:first], np.full(20, np.nan), by_window[50][first + 20 : second], by_window[10][second:]]
    )
    np.testing.assert_allclose(found["z"], wanted, rtol=1e-6, atol=1e-6)

    assert {start: row[:6] for start, row in bars(job, "AAPL", "5m").items()} == expected_bars("AAPL", 300)
    assert {s: row[7] for s, row in bars(job, "AAPL", "5m").items()} == {
        s: row[7] for s, row in bars(untouched, "AAPL", "5m").items()
    }
    quarters = bars(job, "AAPL", "15m")
    for start, row in expected_bars("AAPL", 900, since=CHANGE).items():
        if start + 900 <= second_change - 600:  # the last ones stay open: the interval goes before their time has come
            assert quarters[start][:7] == (*row, True)

    assert min(quarters) > CHANGE  # the bar under way would lack its beginning
    assert [row[6] for row in bars(job, "AAPL", "1d").values()] == [False]  # cut off, and not begun in the middle

    back = ticks(job, "MSFT")
    taken = [(s, value) for s, value in WALKS["MSFT"] if not CHANGE <= s < second_change]
    assert list(zip(back["second"], back["price"], strict=True)) == taken
    again = int((back["second"] < CHANGE).sum())
    scores = z_scores(back["price"], 10)  # against the prices that the job has applied, those before its pause included
    np.testing.assert_allclose(back["z"][again:], scores[again:], rtol=1e-6, atol=1e-6)
    whole = expected_bars("MSFT", 300)
    for start, row in bars(job, "MSFT", "5m").items():
        if not CHANGE - 300 < start < second_change:
            assert row[:7] == (*whole[start], True)


def test_a_keyed_job_keeps_the_partitions_of_tickers_that_went(stack, tmp_path):
    name = topic(stack.kafka, "keyed")
    job = Job(tmp_path, stack, name)
    first, second = between(0, CHANGE), between(CHANGE, DAY_S)
    job.spec = spec(["AAPL"], source={"keyed": True})
    send(stack.kafka, name, first)
    assert job.run()["rows_in"] == 2 * len(first) // 3
    job.spec = spec(["JPM"], source={"keyed": True})
    send(stack.kafka, name, second)
    totals = job.run()
    assert totals["rows_in"] == 2 * len(second) // 3 + len(first + second) // 3
    assert job.rows("SELECT count(*) FROM stock_prices WHERE ticker = 'JPM' ALLOW FILTERING") == [(390,)]
