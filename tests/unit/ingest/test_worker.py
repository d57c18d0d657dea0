"""A worker takes turns, loses nothing over failures, and says how it fares."""

import functools
import threading
import time
from datetime import datetime

import numpy as np
import pytest

from services.ingest.config import parse
from services.ingest.feeds import Once, feed_of
from services.ingest.metrics import Metrics
from services.ingest.worker import Worker
from tickloom.errors import TickloomError
from tickloom.sources.blocks import PriceBlock
from tickloom.sources.gbm import Gbm
from tickloom.sources.pace import at_clock

FAST = {"backoff": {"first": "1ms", "longest": "4ms"}}


def source(**more):
    return parse({"sources": [{"name": "made", "kind": "gbm", "tickers": ["AAPL"], **FAST, **more}]}).sources[0]


def block(first, count=10):
    times = np.arange(first, first + count, dtype=np.int64)
    return PriceBlock(
        tickers=["AAPL"],
        codes=np.zeros(count, dtype=np.int32),
        time_us=times * 1_000_000,
        price=times + 1.0,
        volume=np.ones(count, dtype=np.int64),
        source="test",
        sequence=times,
    )


class Broker:
    """Takes records, and fails where it is told to."""

    def __init__(self):
        self.queued, self.kept, self.refusals, self.connections = [], [], [], 0

    def connect(self):
        self.connections += 1
        self._fail("connect")
        return self

    def _fail(self, what):
        if self.refusals and self.refusals[0] == what:
            self.refusals.pop(0)
            self.queued.clear()
            raise TickloomError(f"no {what}")

    def send_block(self, block):
        self._fail("send")
        self.queued += block.sequence.tolist()

    def flush(self):
        self._fail("flush")
        self.kept += self.queued
        self.queued.clear()


@pytest.fixture
def broker():
    return Broker()


def worker(feed, broker, **more):
    return Worker(source(**more), feed, broker.connect, Metrics(), threading.Event())


def metric(made, name):
    return made.metrics.registry.get_sample_value(f"tickloom_ingest_{name}", {"source": "made"})


def once(blocks=3, pace=lambda blocks: blocks):
    return Once(lambda: iter([block(10 * number) for number in range(blocks)]), pace)


def test_everything_is_sent_once_and_then_it_has_come_to_its_end(broker):
    made = worker(once(), broker)
    made.run()
    assert broker.kept == list(range(30))
    assert made.state == "finished"
    assert [metric(made, name) for name in ("records_total", "turns_total", "failures_total")] == [30, 1, 0]
    assert metric(made, "newest_record_timestamp_seconds") == 29
    assert metric(made, "finished") == 1
    assert metric(made, "session_open") is None, "it follows no exchange"


def test_a_source_that_follows_an_exchange_says_when_it_trades(broker, monkeypatch):
    (wanted,) = parse({"sources": [{"name": "made", "kind": "yahoo", "tickers": ["AAPL"], **FAST}]}).sources
    made = Worker(wanted, feed_of(wanted), broker.connect, Metrics(), threading.Event())
    made.stop.set()
    made.run()
    for moment, trades in (("2024-03-14T15:00", 1), ("2024-03-14T21:00", 0), ("2024-03-16T15:00", 0)):
        at = datetime.fromisoformat(f"{moment}+00:00").timestamp()
        monkeypatch.setattr("services.ingest.metrics.time.time", lambda at=at: at)
        assert metric(made, "session_open") == trades, moment


@pytest.mark.parametrize("refusals", [["connect"], ["send"], ["flush"], ["connect", "connect", "send", "flush"]])
def test_after_failures_it_goes_on_and_loses_nothing(broker, refusals):
    broker.refusals = list(refusals)
    made = worker(once(), broker)
    made.run()
    assert sorted(set(broker.kept)) == list(range(30))
    assert metric(made, "failures_total") == len(refusals)
    assert metric(made, "back_off_seconds") == 0
    assert broker.connections == len(refusals) + 1


def test_what_was_acknowledged_is_not_sent_again(broker, monkeypatch):
    monkeypatch.setattr("services.ingest.worker.FLUSH_S", -1.0)  # after each block

    def failing():
        yield block(0)
        yield block(10)
        if broker.connections < 2:
            raise OSError("the source went away")
        yield block(20)

    made = worker(Once(failing, lambda blocks: blocks), broker)
    made.run()
    assert broker.kept == list(range(30))


def test_pauses_grow_to_the_longest(broker):
    class Never:
        trades = None

        def next(self, now):
            return now

        def blocks(self):
            raise OSError("no")

        def done(self, block):
            raise AssertionError

        ended = done

    made = worker(Never(), broker, backoff={"first": "1ms", "longest": "8ms"})
    pauses = []
    made.stop.wait = lambda seconds=None: pauses.append(seconds) or (len(pauses) > 30 and made.stop.set())
    made.run()
    pauses = [pause for pause in pauses if pause]
    assert max(pauses) <= 0.008
    assert min(pauses[6:]) >= 0.006
    assert metric(made, "failures_total") >= 10


def test_a_source_that_fails_says_why_and_ends_when_it_is_stopped(broker):
    broker.refusals = ["connect"] * 1000
    made = worker(once(), broker, backoff={"first": "10ms", "longest": "50ms"})
    thread = threading.Thread(target=made.run)
    thread.start()
    time.sleep(0.3)
    assert (made.state, made.failure) == ("failing", "no connect")
    made.stop.set()
    thread.join(5)
    assert made.state == "stopped"
    assert not broker.kept


def test_a_stopped_source_has_what_it_sent_acknowledged(broker):
    made = worker(once(1000, pace=lambda blocks: (time.sleep(0.005) or it for it in blocks)), broker)
    thread = threading.Thread(target=made.run)
    thread.start()
    while len(broker.queued) < 50:
        time.sleep(0.001)
    made.stop.set()
    thread.join(5)
    assert not broker.queued
    assert len(broker.kept) >= 50
    assert broker.kept == list(range(len(broker.kept)))


def test_a_made_series_that_has_caught_up_waits_for_the_clock_and_can_be_stopped(broker, monkeypatch):
    wanted = source(rate=100_000, sessions=2, step=600)
    opens = datetime.fromisoformat("2024-03-13T13:30+00:00").timestamp()
    now = datetime.fromisoformat("2024-03-16T12:00+00:00")  # a Saturday
    monkeypatch.setattr("services.ingest.feeds.Gbm", functools.partial(Gbm, now=now))
    slept = []
    held = functools.partial(at_clock, clock=now.timestamp, sleep=slept.append)
    monkeypatch.setattr("services.ingest.feeds.at_clock", held)
    made = Worker(wanted, feed_of(wanted), broker.connect, Metrics(), threading.Event())
    thread = threading.Thread(target=made.run)
    thread.start()
    while len(slept) < 3:
        time.sleep(0.001)
    made.stop.set()
    thread.join(5)
    assert made.state == "stopped"
    assert len(broker.kept) == 2 * 40, "6.5 hours of 14 March and of the 15th, a record each ten minutes"
    assert metric(made, "newest_record_timestamp_seconds") == opens + 86400 * 2 + 6.5 * 3600
    assert set(slept) == {1.0}


def test_a_made_series_is_the_same_after_a_failure(broker):
    wanted = source(count=500, rate=100_000)
    broker.refusals = ["flush"]
    made = Worker(wanted, feed_of(wanted), broker.connect, Metrics(), threading.Event())
    made.run()
    assert broker.kept == list(range(500))


def test_a_folder_of_files_is_replayed_in_order(tmp_path, broker):
    for ticker, price in (("AAPL", 1), ("MSFT", 2)):
        rows = "".join(f"2024-03-14 09:{30 + minute}:00,{price},{price},{price},{price},5\n" for minute in range(5))
        (tmp_path / f"{ticker}_1min.csv").write_text("timestamp,open,high,low,close,volume\n" + rows)
    wanted = parse({"sources": [{"name": "made", "kind": "replay", "files": [str(tmp_path)]}]}).sources[0]
    made = Worker(wanted, feed_of(wanted), broker.connect, Metrics(), threading.Event())
    made.run()
    assert sorted(broker.kept) == sorted([*range(5), *range(5)])


def test_an_empty_folder_is_named(tmp_path):
    wanted = parse({"sources": [{"name": "made", "kind": "replay", "files": [str(tmp_path)]}]}).sources[0]
    with pytest.raises(TickloomError, match=r"holds no \*.csv"):
        feed_of(wanted)
