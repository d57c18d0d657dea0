"""The statements of the forecast ledger and of the tables that are filled with it: rows in, rows out.

A row is a mapping of column to value; a date is a number of days since 1970, a timestamp milliseconds since 1970, and
what is absent, None or NaN stays unset.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from cassandra.cluster import ResponseFuture, Session
from cassandra.query import UNSET_VALUE, BatchStatement, BatchType
from cassandra.util import Date

from tickloom.store.connect import told
from tickloom.store.prepared import prepare

Row = Mapping[str, Any]
Partition = tuple[str, str, str, int]
"""Experiment, ticker, interval and year of the cutoff."""

MOST_ROWS = 100
"""Rows of a conditional batch."""
PAGE = 5000
PARTITION = ("experiment", "ticker", "interval", "year")
KEY = (*PARTITION, "cutoff", "horizon", "arm", "kind", "revision")
COLUMNS = (
    *KEY, "market", "ds", "model", "model_version", "shadow", "request", "features",
    "y_cutoff", "y_hat", "lo_80", "hi_80", "lo_95", "hi_95", "y", "losses", "recorded",
)  # fmt: skip
PREDICTION = (
    "ticker", "interval", "year", "cutoff", "model", "ds",
    "model_version", "y_hat", "lo_80", "hi_80", "lo_95", "hi_95", "created",
)  # fmt: skip
PERFORMANCE = (
    "ticker", "interval", "model", "cutoff", "metric", "horizon",
    "model_version", "value", "baseline", "lo_95", "hi_95", "verdict", "rows",
)  # fmt: skip
_DATES = ("cutoff", "ds")
_EPOCH, _MILLISECOND = datetime(1970, 1, 1), timedelta(milliseconds=1)  # the driver's times bear no zone


def insert_once(session: Session, rows: Sequence[Row], timeout_s: float) -> ResponseFuture:
    """Send rows of one partition that are to be written only if none of them is there; ``others`` reads the answer.

    Their keys must be distinct. Two such batches of a partition at a time make each other wait.
    """
    marks = ", ".join("?" * len(COLUMNS))
    query = f"INSERT INTO forecast_ledger ({', '.join(COLUMNS)}) VALUES ({marks}) IF NOT EXISTS"  # noqa: S608
    statement = prepare(session, query)
    batch = BatchStatement(BatchType.UNLOGGED)
    for row in rows:
        batch.add(statement, [_dated(name, row) for name in COLUMNS])
    batch.is_idempotent = True
    return session.execute_async(batch, timeout=timeout_s)


def others(session: Session, rows: Sequence[Row], sent: ResponseFuture, timeout_s: float) -> list[tuple[Row, Row]]:
    """Wait until rows that ``insert_once`` has sent are there, and return those that were there before.

    Returns
    -------
    list of (row, row)
        The row that was to be written, and the one that stands instead of it. The two are equal where an earlier try
        was written and its answer lost.

    Raises
    ------
    DriverException, NoHostAvailable
        As the driver says it; any of the rows may be written or not.
    """
    found: list[tuple[Row, Row]] = []
    while True:
        answer = sent.result()
        there = {
            _place(row): row for row in (_read(answer.column_names, row) for row in answer) if not row["[applied]"]
        }
        if not there:
            return found
        found += [(row, there[_place(row)]) for row in rows if _place(row) in there]
        rows = [row for row in rows if _place(row) not in there]
        if not rows:
            return found
        sent = insert_once(session, rows, timeout_s)


def partitions(session: Session, experiment: str | None = None, ticker: str | None = None) -> list[Partition]:
    """Return the partitions of the ledger, sorted; it looks at the keys of all."""
    with told("reading the ledger"):
        rows = session.execute(f"SELECT DISTINCT {', '.join(PARTITION)} FROM forecast_ledger", timeout=120)  # noqa: S608
        found = [tuple(row) for row in rows]
    return sorted(it for it in found if experiment in (None, it[0]) and ticker in (None, it[1]))


def read(session: Session, partition: Partition, first_cutoff: int | None = None) -> Iterator[Row]:
    """Yield the rows of a partition, the newest cutoff first."""
    query = f"SELECT {', '.join(COLUMNS)} FROM forecast_ledger WHERE " + " AND ".join(f"{it} = ?" for it in PARTITION)  # noqa: S608
    limits = [] if first_cutoff is None else [Date(first_cutoff)]
    with told("reading the ledger"):
        bound = prepare(session, query + " AND cutoff >= ?" * len(limits)).bind((*partition, *limits))
        bound.fetch_size = PAGE
        for row in session.execute(bound):
            yield _read(COLUMNS, row)


def insert_predictions(session: Session, rows: Sequence[Row], timeout_s: float) -> ResponseFuture:
    """Send rows of one partition of ``predictions``; the one made last stands, whichever comes last."""
    batch = BatchStatement(BatchType.UNLOGGED)
    statement = _insert(session, "predictions", PREDICTION, "USING TIMESTAMP ?")
    for row in rows:
        batch.add(statement, [*(_cell(row.get(name)) for name in PREDICTION), row["created"] * 1000])
    batch.is_idempotent = True
    return session.execute_async(batch, timeout=timeout_s)


def insert_performance(session: Session, rows: Sequence[Row]) -> None:
    """Write rows of ``model_performance``.

    Raises
    ------
    TickloomError
        Cassandra did not take them.
    """
    with told("writing what models reached"):
        statement = _insert(session, "model_performance", PERFORMANCE)
        values = [[_cell(row.get(name)) for name in PERFORMANCE] for row in rows]
        for future in [session.execute_async(statement, it) for it in values]:
            future.result()


def performance(session: Session, ticker: str, interval: str, model: str, most: int) -> list[Row]:
    """Return the newest rows of ``model_performance`` of a ticker's model, the newest cutoff first.

    Raises
    ------
    TickloomError
        Cassandra does not answer.
    """
    with told("reading what models reached"):
        names = ", ".join(PERFORMANCE)
        where = "ticker = ? AND interval = ? AND model = ? LIMIT ?"
        statement = prepare(session, f"SELECT {names} FROM model_performance WHERE {where}")  # noqa: S608
        found = session.execute(statement, (ticker, interval, model, most))
        return [dict(zip(PERFORMANCE, row, strict=True)) for row in found]


def _insert(session: Session, table: str, columns: Sequence[str], using: str = "") -> Any:
    marks = ", ".join("?" * len(columns))
    return prepare(session, f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) {using}")  # noqa: S608


def _place(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in KEY[len(PARTITION) :])


def _cell(value: Any) -> Any:
    return UNSET_VALUE if value is None or (isinstance(value, float) and math.isnan(value)) else value


def _dated(name: str, row: Row) -> Any:
    value = row.get(name)
    return Date(value) if name in _DATES else _cell(value)


def _read(names: Sequence[str], row: Sequence[Any]) -> Row:
    """Return a row of the ledger with dates as days and its timestamp as milliseconds since 1970."""
    found = dict(zip(names, row, strict=True))
    for name in _DATES:
        if found.get(name) is not None:
            found[name] = found[name].days_from_epoch
    if found.get("recorded") is not None:
        found["recorded"] = round((found["recorded"] - _EPOCH) / _MILLISECOND)
    if found.get("losses") is not None:
        found["losses"] = dict(found["losses"])
    return found
