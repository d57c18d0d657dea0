"""The forecast ledger's writer: every forecast once, off the way of the answer, through an absent store."""

import struct
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from types import TracebackType
from typing import Self

import structlog
from cassandra import InvalidRequest
from cassandra.cluster import Session
from prometheus_client import CollectorRegistry

from tickloom.bus.producer import Producer
from tickloom.bus.topics import topic_name
from tickloom.errors import TickloomError
from tickloom.experiment.outlet import Metrics, Outlet, Taken
from tickloom.experiment.records import Forecast, ForecastKey
from tickloom.experiment.rows import ledger_row, message, partition_of, prediction_row
from tickloom.store.connect import first_reason
from tickloom.store.ledger import MOST_ROWS, Partition, Row, insert_once, insert_predictions, others

log = structlog.get_logger(__name__)

CAPACITY = 100_000
"""Forecasts that wait for an absent store: a minute of 1,600 new ones a second."""
MOST_IN_FLIGHT = 16
TIMEOUT_S = 5.0
UNFIT = (struct.error, TypeError, ValueError, OverflowError)
"""What the driver raises for a value that it cannot write."""
CLOSE_S = 10.0


class LedgerWriter:
    """Writes forecasts to the ledger, and served ones to ``predictions`` and the topic ``forecasts`` as well.

    Cassandra and Kafka are written to in a thread each, so that neither waits for the other. Of two forecasts with the
    same key the ledger keeps the one that is written first, whoever writes it. One writer serves a process.

    Parameters
    ----------
    store
        Opens a session with a keyspace, which is left open; called in the writer's thread, again until it succeeds.
        None: no Cassandra.
    producer
        Of the topic, for this writer alone; None: no Kafka.
    topic
        Default that of the role ``forecasts``.
    capacity
        Forecasts that may wait for each of the two; further ones are dropped, counted and told.
    registry
        Where the metrics ``tickloom_ledger_*`` are shown; None: nowhere.
    """

    def __init__(
        self,
        store: Callable[[], Session] | None,
        producer: Producer | None,
        *,
        topic: str | None = None,
        capacity: int = CAPACITY,
        registry: CollectorRegistry | None = None,
    ) -> None:
        metrics = Metrics(registry)
        self._store = None if store is None else Outlet("cassandra", IntoCassandra(store), metrics, capacity)
        self._topic: Outlet | None = None
        if producer is not None:
            into = IntoKafka(producer, topic or topic_name("forecasts"))
            self._topic = Outlet("kafka", into, metrics, capacity, lambda: producer.waiting)

    def offer(self, forecast: Forecast) -> None:
        """Take a forecast from any thread, in microseconds; one that was taken before is left out."""
        if self._store is not None:
            self._store.put(forecast)
        if self._topic is not None and not forecast.shadow:
            self._topic.put(forecast)

    @property
    def waiting(self) -> int:
        """Forecasts that are not yet written, counted for each of Cassandra and Kafka."""
        return sum(it.waiting for it in (self._store, self._topic) if it is not None)

    def close(self, timeout_s: float = CLOSE_S) -> int:
        """Write what waits, and return how many could not be written within ``timeout_s`` seconds."""
        deadline = time.monotonic() + timeout_s
        left = sum(it.close(deadline) for it in (self._store, self._topic) if it is not None)
        if left:
            log.error("forecasts are lost to the ledger: it was closed before they were taken", lost=left)
        return left

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class IntoCassandra:
    """Writes the ledger's rows, each only where none is, and then those of ``predictions``."""

    def __init__(self, store: Callable[[], Session]) -> None:
        self._open = store
        self._session: Session | None = None

    def __call__(self, forecasts: Sequence[Forecast]) -> Taken:
        """Write what can be written now; the first failure ends it."""
        taken = Taken()
        if not forecasts:
            return taken
        session = self._session = self._session or self._open()
        for wave in _waves(forecasts):
            if taken.again:
                taken.again += [forecast for batch in wave for forecast in batch]
            else:
                _write(session, wave, taken)
        return taken


def _write(session: Session, wave: list[list[Forecast]], taken: Taken) -> None:
    """Send batches of different partitions together, and note what became of each."""
    sent = []
    for batch in wave:
        try:
            rows = [ledger_row(forecast) for forecast in batch]
            sent.append((batch, rows, insert_once(session, rows, TIMEOUT_S)))
        except UNFIT as error:
            _refuse(batch, error, taken)
    for batch, rows, future in sent:
        try:
            repeated = sum(not _same(*pair) for pair in others(session, rows, future, TIMEOUT_S))
            served = [prediction_row(forecast) for forecast in batch if not forecast.shadow]
            if served:
                insert_predictions(session, served, TIMEOUT_S).result()
        except InvalidRequest as error:  # what Cassandra calls wrong stays wrong
            _refuse(batch, error, taken)
        except Exception as error:
            taken.again += batch
            taken.error = TickloomError(first_reason(error))
        else:
            taken.repeated += repeated
            taken.written += len(batch) - repeated


def _refuse(batch: list[Forecast], error: Exception, taken: Taken) -> None:
    """Give up forecasts that would hold up all others for ever."""
    log.error("forecasts do not fit the ledger", ticker=batch[0].ticker, lost=len(batch), error=first_reason(error))
    taken.lost += len(batch)


def _same(mine: Row, found: Row) -> bool:
    """Say whether what stands is one's own: written by a try whose answer was lost."""
    return bool(mine["request"] == found["request"] and mine["recorded"] == found["recorded"])


def _waves(forecasts: Sequence[Forecast]) -> Iterator[list[list[Forecast]]]:
    """Yield batches that may be sent together: of a partition one at most, each of distinct keys."""
    groups: dict[Partition, list[dict[ForecastKey, Forecast]]] = {}
    for forecast in forecasts:
        batches = groups.setdefault(partition_of(forecast), [{}])
        if len(batches[-1]) == MOST_ROWS or forecast.key in batches[-1]:
            batches.append({})
        batches[-1][forecast.key] = forecast
    for turn in zip_longest(*groups.values()):
        found = [list(batch.values()) for batch in turn if batch is not None]
        for start in range(0, len(found), MOST_IN_FLIGHT):
            yield found[start : start + MOST_IN_FLIGHT]


class IntoKafka:
    """Puts served forecasts into the producer's queue, which tries again by itself; nothing here waits."""

    def __init__(self, producer: Producer, topic: str) -> None:
        self._producer = producer
        self._topic = topic
        self._sent = self._failed = 0

    def __call__(self, forecasts: Sequence[Forecast]) -> Taken:
        """Queue what fits, and count what the broker has acknowledged or was given up."""
        taken = Taken()
        for at, forecast in enumerate(forecasts):
            key, value = message(forecast)
            try:
                if not self._producer.offer(self._topic, key, value):
                    taken.again = list(forecasts[at:])
                    break
            except TickloomError as error:
                log.error("Kafka refuses a forecast", ticker=forecast.ticker, error=str(error))
                taken.lost += 1
        self._producer.poll(0.0 if forecasts else 0.01)
        taken.written, self._sent = self._producer.sent - self._sent, self._producer.sent
        taken.lost += self._producer.failed - self._failed
        self._failed = self._producer.failed
        return taken
