"""Rows for every table of the keyspace, whatever its columns are, and what the tables say of them."""

import json
import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

from cassandra.cluster import Session
from cassandra.concurrent import execute_concurrent_with_args
from cassandra.query import UNSET_VALUE

PER_TABLE = 400
UNSET_IN = 5
"""One cell in so many is left unset."""
TICKERS = ("ATW", "IAM", "é\n")
OURS = "schema_migrations"
"""The one table whose rows the application writes itself when it makes the others."""


def tables(session: Session, keyspace: str) -> dict[str, list[tuple[str, str, str]]]:
    """Return the columns of each table: name, kind (``partition_key``, ``clustering``, ``regular``), type."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    query = "SELECT table_name, column_name, kind, type FROM system_schema.columns WHERE keyspace_name = %s"
    for table, *column in session.execute(query, (keyspace,)):
        found.setdefault(table, []).append(tuple(column))
    return found


def fill(session: Session, keyspace: str, seed: int) -> int:
    """Write rows into every table but that of the migrations, and return how many."""
    dice, written = random.Random(seed), 0
    for table, columns in sorted(tables(session, keyspace).items()):
        if table == OURS:
            continue
        names = ", ".join(name for name, _, _ in columns)
        marks = ", ".join("?" for _ in columns)
        insert = session.prepare(f"INSERT INTO {keyspace}.{table} ({names}) VALUES ({marks})")
        rows = [[_cell(dice, kind, number, type_) for _, kind, type_ in columns] for number in range(PER_TABLE)]
        execute_concurrent_with_args(session, insert, rows, concurrency=64)
        written += len(rows)
    return written


def _cell(dice: random.Random, kind: str, number: int, type_: str) -> Any:
    if kind == "regular" and dice.randrange(UNSET_IN) == 0:
        return UNSET_VALUE
    value = {
        "text": lambda: dice.choice(TICKERS) if kind == "partition_key" else str(number),
        "int": lambda: number if kind == "clustering" else dice.randrange(3),
        "smallint": lambda: dice.randrange(1000),
        "bigint": lambda: dice.randrange(2**60),
        "double": lambda: dice.gauss(100, 20),
        "boolean": lambda: dice.random() < 0.5,
        "date": lambda: date(2026, 1, 1) + timedelta(dice.randrange(3)),
        "timestamp": lambda: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number),
        "frozen<list<double>>": lambda: [dice.random() for _ in range(dice.randrange(4))],
        "frozen<list<bigint>>": lambda: [dice.randrange(2**60) for _ in range(dice.randrange(4))],
        "frozen<map<text, double>>": lambda: {f"sma_{n}": dice.random() for n in range(dice.randrange(4))},
    }
    return value[type_]()


def contents(session: Session, keyspace: str) -> dict[str, list[dict[str, Any]]]:
    """Return every cell of every table, in an order of its own."""
    return {
        table: sorted(
            (json.loads(row[0]) for row in session.execute(f"SELECT JSON * FROM {keyspace}.{table}")), key=repr
        )
        for table in tables(session, keyspace)
    }


def empty(session: Session, keyspace: str) -> None:
    """Take every row of every table away."""
    for table in tables(session, keyspace):
        session.execute(f"TRUNCATE {keyspace}.{table}", timeout=60)
