"""Which days and buckets of prices a ticker has."""

from collections.abc import Iterator
from datetime import date
from itertools import groupby
from typing import Any

from cassandra.cluster import Session

from tickloom.store.connect import told
from tickloom.store.prepared import prepare

FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(9999, 12, 31)


def days(session: Session, ticker: str, first: date | None, last: date | None) -> Iterator[tuple[date, list[int]]]:
    """Yield each day from ``last`` back to ``first`` that has prices, with its buckets."""
    with told("reading"):
        statement = prepare(session, "SELECT day, bucket FROM price_days WHERE ticker = ? AND day >= ? AND day <= ?")
        rows: Any = session.execute(statement, (ticker, first or FIRST_DAY, last or LAST_DAY))
    for day, group in groupby(rows, key=lambda row: row[0]):
        yield day.date(), [bucket for _, bucket in group]
