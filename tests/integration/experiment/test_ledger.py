"""The ledger's writer on a real Cassandra and a real Kafka, also while they are away."""

import dataclasses
import threading
import time
import uuid
from types import SimpleNamespace

import pytest
from cassandra import OperationTimedOut
from prometheus_client import CollectorRegistry

from tests.integration.store.proxy import Proxy
from tests.unit.experiment.ledgered import CUTOFF, forecast
from tickloom.bus.consume import records
from tickloom.bus.producer import Producer
from tickloom.bus.roles import ROLES
from tickloom.bus.topics import create
from tickloom.errors import TickloomError
from tickloom.experiment.ledger import LedgerWriter
from tickloom.experiment.rows import record_of
from tickloom.store.connect import connect
from tickloom.store.ledger import partitions, read

pytestmark = pytest.mark.integration


@pytest.fixture
def topic(stack):
    name = f"test-{uuid.uuid4().hex[:12]}"
    create(stack.kafka, {name: ROLES["forecasts"]})
    return name


def held(session, ticker):
    """Return what the ledger holds of a ticker."""
    return [record_of(row) for it in partitions(session, ticker=ticker) for row in read(session, it)]


def predictions(session, ticker):
    query = (
        "SELECT model, model_version, y_hat, lo_95 FROM predictions WHERE ticker = %s AND interval = %s AND year = %s"
    )
    return [tuple(row) for row in session.execute(query, (ticker, "1d", 2024))]


def counted(registry, name, to="cassandra"):
    return registry.get_sample_value(f"tickloom_ledger_{name}", {"to": to})


def test_a_forecast_is_written_once_though_two_writers_are_offered_it_many_times(stack, session, ticker, topic):
    mine = [forecast(ticker=ticker, arm=arm, horizon=h, shadow=arm == "b") for arm in "ab" for h in range(1, 131)]
    registries = [CollectorRegistry(), CollectorRegistry()]
    writers = [
        LedgerWriter(lambda: session, Producer(stack.kafka), topic=topic, registry=registry) for registry in registries
    ]

    def offer(writer, number):
        for _ in range(3):
            for one in mine:
                writer.offer(dataclasses.replace(one, request=f"r-{number}", y_hat=100.0 + number))

    threads = [threading.Thread(target=offer, args=it) for it in zip(writers, range(2), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [writer.close(60) for writer in writers] == [0, 0]

    found = held(session, ticker)
    assert sorted(one.key for one in found) == sorted(one.key for one in mine)
    assert {(one.request, one.y_hat) for one in found} <= {("r-0", 100.0), ("r-1", 101.0)}
    assert sum(counted(registry, "written_total") for registry in registries) == len(mine)
    assert sum(counted(registry, "repeated_total") for registry in registries) == len(mine)
    ids = [body["id"] for body in records(stack.kafka, topic, ticker)]
    assert sorted(ids) == sorted(f"one|a|{ticker}|1d|2024-03-15|{h}" for h in range(1, 131))


def test_the_first_write_stands_and_reads_back_as_it_was_made(session, ticker):
    first = forecast(ticker=ticker, lo_80=99.5)
    with LedgerWriter(lambda: session, None) as writer:
        writer.offer(first)
    with LedgerWriter(lambda: session, None) as again:
        again.offer(dataclasses.replace(first, y_hat=1.0, request="r-2"))
        again.offer(dataclasses.replace(first, arm="b", shadow=True))
    assert held(session, ticker) == [dataclasses.replace(first, arm="b", shadow=True), first]


def test_served_forecasts_alone_are_predictions_and_messages(stack, session, ticker, topic):
    unknown = float("nan")
    with LedgerWriter(lambda: session, Producer(stack.kafka), topic=topic) as writer:
        writer.offer(forecast(ticker=ticker, lo_95=unknown))
        writer.offer(forecast(ticker=ticker, arm="b", model="gbm", shadow=True))
    assert predictions(session, ticker) == [("lstm", "7", 101.0, None)]
    (body,) = records(stack.kafka, topic, ticker)
    assert (body["arm"], body["model"], body["lo_95"], body["y_hat"]) == ("champion", "lstm", None, 101.0)


def test_a_minute_of_forecasts_outlasts_an_absent_store_and_kafka_does_not_wait(
    stack, keyspace, session, ticker, topic
):
    """24,000 distinct ones of 20 tickers, offered while Cassandra refuses connections and for a while after."""
    proxy = Proxy(stack.cassandra)
    through = connect(proxy.address, keyspace)
    registry = CollectorRegistry()
    writer = LedgerWriter(lambda: through, Producer(stack.kafka), topic=topic, registry=registry)
    writer.offer(forecast(ticker=f"{ticker}0", cutoff=CUTOFF - 1))
    while writer.waiting:
        time.sleep(0.05)
    proxy.cut()
    mine = [
        forecast(ticker=f"{ticker}{i % 20}", cutoff=CUTOFF + i // 20 % 60, horizon=1 + i // 1200, shadow=i % 3 > 0)
        for i in range(24_000)
    ]
    for i, one in enumerate(mine):
        writer.offer(one)
        if i == 12_000:
            until = time.monotonic() + 30
            while counted(registry, "written_total", "kafka") < 4001:
                assert time.monotonic() < until
                time.sleep(0.05)
            assert counted(registry, "written_total") == 1
            proxy.mend()
    assert writer.close(180) == 0
    through.cluster.shutdown()
    proxy.cut()
    found = {one.key for i in range(20) for one in held(session, f"{ticker}{i}")}
    assert found == {one.key for one in mine} | {("one", "champion", f"{ticker}0", CUTOFF - 1, 1)}
    assert counted(registry, "dropped_total") == counted(registry, "dropped_total", "kafka") == 0
    assert counted(registry, "written_total") == 24_001
    assert counted(registry, "repeated_total") == 0
    assert counted(registry, "retried_total") > 0


def test_an_absent_kafka_does_not_stop_the_store_nor_the_end(session, ticker):
    registry = CollectorRegistry()
    writer = LedgerWriter(lambda: session, Producer("127.0.0.1:1"), topic="forecasts", registry=registry)
    for h in range(1, 51):
        writer.offer(forecast(ticker=ticker, horizon=h))
    assert writer.close(5) == 50  # of Kafka
    assert len(held(session, ticker)) == 50
    assert counted(registry, "dropped_total", "kafka") == 50


def test_a_store_that_is_not_there_at_the_start_is_opened_when_it_comes(session, ticker):
    asked = []

    def store():
        asked.append(1)
        if len(asked) < 4:
            raise TickloomError("Cassandra does not answer")
        return session

    with LedgerWriter(store, None) as writer:
        writer.offer(forecast(ticker=ticker))
    assert len(held(session, ticker)) == 1
    assert len(asked) == 4


class Deaf:
    """A session that hears no answer to the first ``lost`` of its requests, though they arrive."""

    def __init__(self, session, lost):
        self.session, self.lost = session, lost

    def prepare(self, query):
        return self.session.prepare(query)

    def execute_async(self, *arguments, **more):
        sent = self.session.execute_async(*arguments, **more)
        self.lost -= 1
        if self.lost < 0:
            return sent
        sent.result()
        return SimpleNamespace(result=self.hears_nothing)

    @staticmethod
    def hears_nothing():
        raise OperationTimedOut


def test_a_forecast_whose_answer_was_lost_is_ones_own(session, ticker):
    registry = CollectorRegistry()
    with LedgerWriter(lambda: Deaf(session, 1), None, registry=registry) as writer:
        writer.offer(forecast(ticker=ticker))
    assert held(session, ticker) == [forecast(ticker=ticker)]
    assert predictions(session, ticker) == [("lstm", "7", 101.0, 96.0)]
    assert (counted(registry, "written_total"), counted(registry, "repeated_total")) == (1, 0)


def test_what_cassandra_calls_wrong_is_lost_alone(session, ticker):
    registry = CollectorRegistry()
    with LedgerWriter(lambda: session, None, registry=registry) as writer:
        writer.offer(forecast(ticker=ticker, experiment="x" * 70_000))  # longer than a partition's key may be
        writer.offer(forecast(ticker=f"{ticker}Z"))
    assert held(session, ticker) == []
    assert len(held(session, f"{ticker}Z")) == 1
    assert counted(registry, "dropped_total") == 1
