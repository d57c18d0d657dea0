"""The whole way: Kafka to tables, as a user runs it."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from tests.integration.stream.conftest import OPEN, price
from tests.integration.stream.jobs import PATIENCE_S, TICKERS, Job, send, topic, topic_name
from tickloom.bus.credentials import connection
from tickloom.bus.producer import PriceProducer
from tickloom.bus.topics import partition_for
from tickloom.indicators.engine import Block, Engine
from tickloom.market.sessions import session_table
from tickloom.sources.replay import Replay
from tickloom.store import lake

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def minutes(market_data, stack, tmp_path_factory):
    """Real minutes of five tickers through the whole application."""
    files = [market_data / "us_minute" / f"{ticker}_1min.csv" for ticker in TICKERS]
    name = topic(stack.kafka, "minutes")
    with PriceProducer(stack.kafka, name) as producer:
        for block in Replay(files, "XNYS").blocks():
            producer.send_block(block)
    job = Job(tmp_path_factory.mktemp("minutes"), stack, name)
    frames = {ticker: pd.read_csv(file).iloc[::-1] for ticker, file in zip(TICKERS, files, strict=True)}
    return job, job.run(), frames


def test_every_real_minute_becomes_a_row(minutes):
    job, totals, frames = minutes
    count = sum(len(frame) for frame in frames.values())
    assert totals["rows_in"] == totals["rows_out"] == count
    assert totals["dead_letters"] == totals["duplicates"] == totals["filtered"] == totals["late"] == 0
    assert job.rows("SELECT count(*) FROM stock_prices") == [(count,)]


def test_scores_of_real_minutes_are_those_of_pandas(minutes):
    job, totals, frames = minutes
    flagged = 0
    for ticker, frame in frames.items():
        close = frame["close"].reset_index(drop=True)
        before = close.shift(1).rolling(30)
        z_score = (close - before.mean()) / before.std(ddof=1)
        days = sorted({stamp[:10] for stamp in frame["datetime"]})
        stored = []
        for day in days:
            stored += job.rows(
                "SELECT time, us, z_score FROM stock_prices WHERE ticker = %s AND day = %s AND bucket = 0", ticker, day
            )
        stored.sort()
        values = np.array([np.nan if row[2] is None else row[2] for row in stored])
        np.testing.assert_allclose(values, z_score.to_numpy(), rtol=1e-6, atol=1e-6)
        flagged += int((z_score.abs() > 2).sum())
    assert totals["anomalies"] == flagged
    assert job.rows("SELECT count(*) FROM anomalies") == [(flagged,)]


def test_bars_of_real_minutes_are_those_of_pandas_and_their_indicators_those_of_the_library(minutes):
    job, _, frames = minutes
    table = session_table("XNYS")
    for ticker, frame in frames.items():
        local = pd.to_datetime(frame["datetime"])
        begins = (local - pd.Timedelta(minutes=1)).dt.tz_localize("America/New_York").dt.tz_convert("UTC")
        minutes_of = frame.set_index(pd.DatetimeIndex(begins))
        wanted = minutes_of.resample("5min").agg(
            {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
        )
        wanted = wanted[wanted["volume"] > 0]
        query = "SELECT time, open, high, low, close, volume, final, indicators FROM bars"
        rows = sorted(job.rows(f"{query} WHERE ticker = %s AND interval = '5m' AND year = 2019", ticker))
        assert [pd.Timestamp(row[0], tz="UTC") for row in rows] == list(wanted.index)
        np.testing.assert_array_equal(np.array([row[1:6] for row in rows]), wanted.to_numpy())
        assert all(row[6] for row in rows)
        names = sorted({name for row in rows for name in row[7]})
        engine = Engine(names)
        start_us = wanted.index.as_unit("us").asi8
        columns = [
            np.ascontiguousarray(wanted[name], dtype=float) for name in ("open", "high", "low", "close", "volume")
        ]
        _, values = engine.update(engine.initial(), Block(start_us, table.local_day(start_us), *columns))
        for row, expected in zip(rows, values, strict=True):
            known = {name: value for name, value in zip(names, expected, strict=True) if not np.isnan(value)}
            assert set(row[7]) == set(known)
            for name, value in known.items():
                assert row[7][name] == pytest.approx(value, rel=1e-9, abs=1e-9), name


def test_session_bars_of_real_minutes(minutes):
    job, _, frames = minutes
    for ticker, frame in frames.items():
        query = "SELECT day, open, high, low, close, volume, ticks FROM bars WHERE ticker = %s AND interval = '1d'"
        rows = sorted(job.rows(f"{query} AND year = 2019", ticker))
        days = frame.groupby(frame["datetime"].str[:10])
        for row, (day, of_day) in zip(rows, days, strict=True):
            assert str(row[0]) == day
            assert row[1:] == (
                of_day["open"].iloc[0],
                of_day["high"].max(),
                of_day["low"].min(),
                of_day["close"].iloc[-1],
                of_day["volume"].sum(),
                len(of_day),
            )


def test_running_again_adds_nothing(minutes):
    job, totals, _ = minutes
    before = job.tables()
    again = job.run()
    assert again["rows_in"] == 0
    assert job.tables() == before
    assert totals["rows_in"] > 0


def test_a_new_checkpoint_adds_to_the_lake_and_replaces_nothing(stack, tmp_path):
    name = topic(stack.kafka, "lake")
    records = [price("AAPL", 60 * step, 100 + step % 7, step) for step in range(300)]
    job = Job(tmp_path, stack, name, {"tickers": ["AAPL"], "processors": {"prices": {"window": 10}}})
    send(stack.kafka, name, records)
    assert job.run()["rows_out"] == 300
    own = TopicPartition(name, partition_for(b"AAPL", 3), 200)  # as retention does: the first records are gone
    admin = AdminClient(connection(stack.kafka))
    admin.delete_records([own])[own].result(30)
    job.spec = {**job.spec, "processors": {"prices": {"window": 20}}, "checkpoint": {"path": str(tmp_path / "anew")}}
    assert job.run()["rows_out"] == 100

    files = list((job.home / "lake").rglob("*.parquet"))
    for checkpoint in (job.home / "checkpoint", tmp_path / "anew"):
        identity = json.loads((checkpoint / "metadata").read_text())["id"]
        assert [file for file in files if f"-{identity}-000000000-" in file.name], checkpoint
    rows = lake.read(job.home / "lake", "XNYS", "AAPL", ["sequence", "price", "rolling_avg"])
    assert rows["sequence"].tolist() == list(range(300))
    prices = rows["price"]
    wanted = prices.shift(1).rolling(10).mean()
    wanted[200:] = prices[200:].shift(1).rolling(20).mean()
    np.testing.assert_allclose(rows["rolling_avg"], wanted, rtol=1e-9)


def test_dead_letters_keep_bytes_reason_and_place(mixed, stack, tmp_path):
    from tickloom.bus.deadletters import read as read_dead_letters

    name, kinds, _ = mixed
    job = Job(tmp_path, stack, name, name=f"dead-{name[-6:]}")
    totals = job.run()
    # other jobs of this suite refuse the same records, whose ids are then the same
    letters = list(read_dead_letters(stack.kafka, topic_name("dead-letters"), job=job.name))
    assert len(letters) == kinds["dead"] == totals["dead_letters"]
    assert len({letter.id for letter in letters}) == len(letters)
    assert {letter.topic for letter in letters} == {name}
    reasons = {letter.reason for letter in letters}
    assert reasons == {"not-json", "bad-price"}
    assert {letter.value for letter in letters if letter.reason == "not-json"} == {b"rubbish", b"no key", b"{}"}


def test_two_jobs_share_a_topic_and_each_bad_record_is_one_dead_letter(mixed, stack, tmp_path):
    name, kinds, count = mixed
    one = Job(tmp_path / "one", stack, name, {"tickers": TICKERS[:2]}, name=f"one-{name[-6:]}")
    two = Job(tmp_path / "two", stack, name, {"tickers": TICKERS[2:], "deadLetters": "own"}, name=f"two-{name[-6:]}")
    first, second = one.run(), two.run()
    assert first["rows_in"] == count
    assert second["rows_in"] <= count
    assert first["rows_out"] + second["rows_out"] == kinds["good"] + kinds["late"]
    assert first["dead_letters"] + second["dead_letters"] == kinds["dead"]
    for totals in (first, second):
        parts = ("rows_out", "dead_letters", "duplicates", "filtered")
        assert totals["rows_in"] == sum(totals[part] for part in parts)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_finishes_the_batch_and_meanwhile_nobody_else_runs_the_job(stack, tmp_path, number):
    name = topic(stack.kafka, "term")
    send(stack.kafka, name, [price("AAPL", second, 100.0, second) for second in range(2000)])
    job = Job(tmp_path, stack, name, {"source": {"maxOffsetsPerTrigger": 100}})
    process = job.start(bounded=False)
    job.wait_for(lambda found: (found["batch"] or 0) >= 2, process)
    command = [sys.executable, "-m", "tickloom.cli.main", "run", "-f", str(job.manifest()), "--home", str(job.folder)]
    environment = {**os.environ, "TICKLOOM_KAFKA": stack.kafka, "TICKLOOM_CASSANDRA": stack.cassandra}
    second = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert second.returncode == 1
    assert f"already runs here, as process {process.pid}" in second.stderr
    process.send_signal(number)
    out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, job.tail()
    totals = json.loads(out.splitlines()[-1])
    assert 300 <= totals["rows_out"] == totals["rows_in"] < 2000
    job.spec = {}  # the rest at once
    rest = job.run()
    assert totals["rows_in"] + rest["rows_in"] == 2000
    assert job.rows("SELECT count(*) FROM stock_prices") == [(2000,)]


def test_a_past_session_stays_open_while_its_replay_goes_on(stack, tmp_path):
    table = session_table("XNYS")
    closed = table.close_us[table.close_us < (time.time() - 1200) * 1e6]
    second = int(closed[-1]) / 1e6 - 3600 - OPEN  # an hour before the close of the newest session
    records = [price("AAPL", second + number, 100.0 + number % 7, number) for number in range(1000)]
    name = topic(stack.kafka, "past")
    send(stack.kafka, name, records[:500])
    job = Job(tmp_path, stack, name, {"source": {"maxOffsetsPerTrigger": 250}})
    process = job.start(bounded=False)
    told = job.home / "control" / f"close-{int(closed[-1])}.json"
    job.wait_for(lambda found: told.exists() and found["lag"] == 0, process)
    send(stack.kafka, name, records[500:])
    job.wait_for(lambda found: found.get("totals", {}).get("rows_in") == 1000, process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_S)
    job.run()
    bars = job.rows("SELECT ticks, final FROM bars WHERE ticker = 'AAPL' AND interval = '1d' ALLOW FILTERING")
    assert bars == [(1000, True)]


def test_empty_topic_then_a_ticker_in_the_middle_then_a_later_schema_version(stack, tmp_path):
    name = topic(stack.kafka, "slow")
    job = Job(tmp_path, stack, name, {"tickers": ["AAPL", "MSFT"]})
    process = job.start(bounded=False)
    job.wait_for(lambda found: found["state"] == "running", process)
    time.sleep(2)
    send(stack.kafka, name, [price("AAPL", second, 100.0, second) for second in range(50)])
    job.wait_for(lambda found: found.get("totals", {}).get("rows_out") == 50, process)
    later = [price("MSFT", second, 100.0, second) for second in range(7)]
    newer = [price("AAPL", 60 + second, 100.0, 60 + second, v=2) for second in range(3)]
    send(stack.kafka, name, later + newer + [price("AAPL", 70, 100.0, 70)])
    found = job.wait_for(lambda found: found.get("totals", {}).get("rows_in") == 61, process)
    assert found["totals"]["rows_out"] == 58
    assert found["totals"]["dead_letter_reasons"] == {"schema-version": 3}
    assert found["lag"] == 0
    assert found["state_rows"] >= 2
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0


def test_a_refused_manifest_says_why_and_exits_with_78(tmp_path, stack):
    job = Job(tmp_path, stack, "prices", {"processors": {"bars": {"indicators": ["rsi_14", "rsi_fourteen"]}}})
    command = [sys.executable, "-m", "tickloom.cli.main", "run", "-f", str(job.manifest())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 78
    assert "spec.processors.bars.indicators" in done.stderr
    assert "rsi_fourteen" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
