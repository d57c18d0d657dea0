"""The statements of the tables of experiments: their states, the health of their arms, the audit trail."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from cassandra.cluster import Session

from tickloom.store.connect import told
from tickloom.store.prepared import prepare

Row = Mapping[str, Any]
HEALTH = (
    "experiment", "arm", "replica", "generation", "requests", "failures", "slow", "edges", "histogram",
    "keys", "expected", "log_odds", "recorded",
)  # fmt: skip
AUDIT = (
    "experiment", "day", "time", "id", "kind", "who", "what", "why", "arm", "ticker", "model_version", "numbers",
    "request",
)  # fmt: skip
TIMEOUT_S = 15.0


def states(session: Session) -> list[tuple[str, int, str]]:
    """Return name, revision and state of every experiment, sorted by name."""
    with told("reading the experiments' states"):
        rows = session.execute("SELECT experiment, revision, state FROM experiment_states", timeout=TIMEOUT_S)
        return sorted(tuple(row) for row in rows)


def put_state(session: Session, name: str, revision: int, status: str, state: str, expected: int | None) -> bool:
    """Write a state where the one that stands has the expected revision, None where there is none; say if it did."""
    now = datetime.now(UTC)
    with told("writing an experiment's state"):
        if expected is None:
            query = (
                "INSERT INTO experiment_states (experiment, revision, status, state, changed) "
                "VALUES (?, ?, ?, ?, ?) IF NOT EXISTS"
            )
            values: tuple[Any, ...] = (name, revision, status, state, now)
        else:
            query = (
                "UPDATE experiment_states SET revision = ?, status = ?, state = ?, changed = ? "
                "WHERE experiment = ? IF revision = ?"
            )
            values = (revision, status, state, now, name, expected)
        return bool(session.execute(prepare(session, query).bind(values), timeout=TIMEOUT_S).was_applied)


def revision(session: Session, name: str) -> int | None:
    """Return the revision of an experiment's state, None where there is none."""
    with told("reading an experiment's state"):
        query = prepare(session, "SELECT revision FROM experiment_states WHERE experiment = ?")
        found = session.execute(query, (name,), timeout=TIMEOUT_S).one()
        return None if found is None else int(found[0])


def put_health(session: Session, rows: Sequence[Row], ttl_s: int) -> None:
    """Write rows of ``arm_health`` that are gone after ``ttl_s`` seconds."""
    marks = ", ".join("?" * len(HEALTH))
    query = f"INSERT INTO arm_health ({', '.join(HEALTH)}) VALUES ({marks}) USING TTL ?"  # noqa: S608
    with told("writing the health of arms"):
        statement = prepare(session, query)
        for sent in [session.execute_async(statement, [*(it[name] for name in HEALTH), ttl_s]) for it in rows]:
            sent.result()


def health(session: Session, name: str) -> list[Row]:
    """Return the rows of ``arm_health`` of an experiment."""
    query = f"SELECT {', '.join(HEALTH)} FROM arm_health WHERE experiment = ?"  # noqa: S608
    with told("reading the health of arms"):
        found = session.execute(prepare(session, query), (name,), timeout=TIMEOUT_S)
        return [dict(zip(HEALTH, row, strict=True)) for row in found]


def put_audit(session: Session, rows: Sequence[Row]) -> None:
    """Write rows of the audit trail; the same row again changes nothing."""
    marks = ", ".join("?" * len(AUDIT))
    with told("writing the audit trail"):
        statement = prepare(session, f"INSERT INTO routing_audit ({', '.join(AUDIT)}) VALUES ({marks})")  # noqa: S608
        for sent in [session.execute_async(statement, [it.get(name) for name in AUDIT]) for it in rows]:
            sent.result()


def audit_days(session: Session, name: str) -> list[date]:
    """Return the days on which the trail has rows of an experiment, newest first; it looks at the keys of all."""
    with told("reading the audit trail"):
        found = session.execute("SELECT DISTINCT experiment, day FROM routing_audit", timeout=120)
        return sorted((row[1].date() for row in found if row[0] == name), reverse=True)


def audit(session: Session, name: str, day: date) -> Iterator[Row]:
    """Yield the rows of a day, newest first."""
    query = f"SELECT {', '.join(AUDIT)} FROM routing_audit WHERE experiment = ? AND day = ?"  # noqa: S608
    with told("reading the audit trail"):
        for row in session.execute(prepare(session, query), (name, day)):
            yield dict(zip(AUDIT, row, strict=True))
