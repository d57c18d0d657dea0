"""The hot path into Cassandra: tables of Arrow as batches of one partition each, many in flight."""

import struct
import time
from collections import deque
from dataclasses import dataclass
from datetime import date
from queue import Empty, SimpleQueue
from typing import Any

import pyarrow as pa
import structlog
from cassandra import (
    AuthenticationFailed,
    ConsistencyLevel,
    DriverException,
    InvalidRequest,
    Unauthorized,
)
from cassandra.cluster import EXEC_PROFILE_DEFAULT, NoHostAvailable, ResponseFuture, Session
from cassandra.connection import ConnectionException
from cassandra.protocol import BatchMessage, SyntaxException
from cassandra.query import BatchStatement, BatchType

from tickloom.errors import TickloomError
from tickloom.store.connect import first_reason
from tickloom.store.rowbytes import Chunk
from tickloom.store.targets import Target, Targets

log = structlog.get_logger(__name__)

FINAL = (InvalidRequest, Unauthorized, AuthenticationFailed, SyntaxException, TickloomError)
"""Errors that trying again does not cure; every other one is waited out."""
TIMEOUT_S = 15.0
MAX_BYTES_IN_FLIGHT = 1 << 20
"""More than about this the socket does not take at once, and the driver calls the connection overloaded."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.01, 5.0
SILENT_S = 0.5
"""Seconds for which failures go without a word: a busy connection is no news."""
SAY_EVERY_S = 10.0
DAY_COLUMNS = ["ticker", "day", "bucket"]
REMEMBERED_S = 86_400.0
"""Seconds after which the entry of a ticker's day in ``price_days`` is written again."""


class _RowsMessage(BatchMessage):  # type: ignore[misc]
    """A BATCH message whose rows are bytes already."""

    def __init__(self, chunk: Chunk, consistency: int, timestamp: int) -> None:
        super().__init__(BatchType.UNLOGGED, (), consistency, timestamp=timestamp)
        self.chunk = chunk

    def send_body(self, f: Any, protocol_version: int) -> None:
        """Write the message as protocol version 5 has it: the timestamp is the one of the first try."""
        f.write(struct.pack(">BH", 1, self.chunk.rows))
        f.write(self.chunk.data)
        f.write(struct.pack(">HIq", self.consistency_level, 0x20, self.timestamp))


@dataclass
class _Request:
    """A chunk on its way, with the timestamp that makes every try the same write."""

    table: str
    message: _RowsMessage
    statement: BatchStatement


class Writer:
    """Writes rows and waits out an absent Cassandra; not for more than one thread.

    Every write is idempotent: its timestamp is chosen once, so that a retry never overtakes a later write. The keys of
    one call's rows must be distinct.

    Parameters
    ----------
    session
        Of ``tickloom.store.connect``, with a keyspace.
    max_in_flight
        Batches that may be unanswered at a time; ``write`` waits for room.
    patience_s
        Seconds for which writes are tried again while none succeeds.
    """

    def __init__(self, session: Session, *, max_in_flight: int = 128, patience_s: float = 300.0) -> None:
        self._session = session
        self._profile = session.get_execution_profile(EXEC_PROFILE_DEFAULT)
        self._max_in_flight = max_in_flight
        self._patience_s = patience_s
        self._targets = Targets(session)
        self._answers: SimpleQueue[tuple[_Request, BaseException | None]] = SimpleQueue()
        self._in_flight = self._bytes_in_flight = 0
        self._again: deque[_Request] = deque()
        self._failing_since: float | None = None
        self._pause_s = 0.0
        self._said = 0.0
        self._days: dict[tuple[str, date, int], float] = {}

    def write(self, table: str, rows: pa.Table) -> None:
        """Queue rows; returns when the last of them is on its way, not when it is acknowledged.

        Parameters
        ----------
        table
            Name of a table of the session's keyspace.
        rows
            Columns bear the names of the table's; a timestamp ``x`` may be given as ``x_us``, int64 microseconds
            since 1970. Nulls and NaN stay unset. ``indicators`` is a map of text to float64 that leaves out what is
            unknown.

        Raises
        ------
        TickloomError
            A column is unknown or does not fit, a write was refused, or Cassandra was away for longer than
            ``patience_s``; what is unacknowledged then may be written or not, and the writer starts afresh.
        """
        if table == "stock_prices" and set(DAY_COLUMNS) <= set(rows.column_names):
            self._note_days(rows)
        self._queue(table, rows)

    def flush(self) -> None:
        """Wait until everything is acknowledged; raises as ``write`` does."""
        while self._in_flight or self._again:
            self._settle()

    def close(self) -> None:
        """Close the session; what is not flushed is lost."""
        self._session.cluster.shutdown()

    def _queue(self, table: str, rows: pa.Table) -> None:
        target = self._target(table, rows)
        for chunk in target.encoder.encode(target.split_times(rows)):
            while self._in_flight >= self._max_in_flight or self._bytes_in_flight >= MAX_BYTES_IN_FLIGHT or self._again:
                self._settle()
            message = _RowsMessage(chunk, ConsistencyLevel.LOCAL_QUORUM, self._session.cluster.timestamp_generator())
            statement = BatchStatement(BatchType.UNLOGGED)
            statement.routing_key = chunk.routing_key
            statement.keyspace = self._session.keyspace
            statement.is_idempotent = True
            self._send(_Request(table, message, statement))

    def _send(self, request: _Request) -> None:
        future = ResponseFuture(
            self._session,
            request.message,
            request.statement,
            TIMEOUT_S,
            retry_policy=self._profile.retry_policy,
            load_balancer=self._profile.load_balancing_policy,
        )
        self._in_flight += 1
        self._bytes_in_flight += len(request.message.chunk.data)
        answers = self._answers
        future.add_callbacks(
            callback=lambda _rows: answers.put((request, None)), errback=lambda error: answers.put((request, error))
        )
        future.send_request()

    def _settle(self) -> None:
        """Take one answer, or send again what waits for its time."""
        if self._again and self._pause_s == 0.0:
            self._send(self._again.popleft())
            return
        if not self._in_flight:
            self._wait_and_probe()
            return
        try:
            request, error = self._answers.get(timeout=TIMEOUT_S * 4)
        except Empty:
            raise self._abandon(f"no answer within {TIMEOUT_S * 4:g} s") from None
        self._in_flight -= 1
        self._bytes_in_flight -= len(request.message.chunk.data)
        if error is None:
            self._recovered()
        elif isinstance(error, FINAL):
            raise self._abandon(f"table {request.table}: {first_reason(error)}") from error
        else:
            self._again.append(request)
            self._failed(error)

    def _recovered(self) -> None:
        if self._failing_since is not None:
            if self._said:
                log.info("Cassandra takes writes again", after_s=round(time.monotonic() - self._failing_since, 1))
            self._failing_since, self._pause_s, self._said = None, 0.0, 0.0

    def _failed(self, error: BaseException) -> None:
        """Note a failure that may pass; raises when there was nothing else for longer than the patience."""
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        if self._pause_s == 0.0:
            self._pause_s = FIRST_PAUSE_S
        away_s = now - self._failing_since
        if away_s > self._patience_s:
            raise self._abandon(
                f"Cassandra took no write for {away_s:.0f} s ({first_reason(error)}); is it up? (`tickloom status`)"
            ) from error
        if away_s >= SILENT_S and now - self._said >= SAY_EVERY_S:
            self._said = now
            log.warning(
                "Cassandra does not take writes; trying again",
                error=first_reason(error),
                waiting_batches=len(self._again) + self._in_flight,
                failing_s=round(away_s, 1),
                given_up_after_s=self._patience_s,
            )

    def _wait_and_probe(self) -> None:
        """Wait, then send one batch to see whether Cassandra is back; its success releases the others."""
        self._pause()
        self._send(self._again.popleft())

    def _pause(self) -> None:
        time.sleep(self._pause_s)
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)

    def _target(self, table: str, rows: pa.Table) -> Target:
        """Return what is known of the table, which the first time has to be asked for."""
        while True:
            try:
                return self._targets.of(table, tuple(rows.column_names))
            except (NoHostAvailable, ConnectionException, DriverException) as error:
                if isinstance(error, FINAL):
                    raise self._abandon(f"table {table}: {first_reason(error)}") from error
                self._failed(error)
                self._pause()

    def _abandon(self, reason: str) -> TickloomError:
        """Forget what is unacknowledged and return the error that says so."""
        waiting = len(self._again) + self._in_flight
        self._answers = SimpleQueue()  # late answers go to the old one
        self._in_flight = self._bytes_in_flight = 0
        self._again.clear()
        self._days.clear()
        self._failing_since, self._pause_s, self._said = None, 0.0, 0.0
        more = f"; {waiting} further batches were given up" if waiting else ""
        return TickloomError(f"keyspace {self._session.keyspace}: {reason}{more}")

    def _note_days(self, rows: pa.Table) -> None:
        """Write down which days and buckets the rows bring, unless that was done not long ago."""
        now = time.monotonic()
        keys = rows.select(DAY_COLUMNS)
        days = keys.set_column(1, "day", keys["day"].cast(pa.date32())).group_by(keys.column_names).aggregate([])
        found = list(zip(*(days[name].to_pylist() for name in keys.column_names), strict=True))
        fresh = [now - self._days.get(key, float("-inf")) > REMEMBERED_S for key in found]
        if any(fresh):
            self._queue("price_days", days.filter(pa.array(fresh)))
            self._days.update((key, now) for key, new in zip(found, fresh, strict=True) if new)
