"""The audit trail: who did what, why, and on which numbers; rows of ``routing_audit``."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from cassandra.cluster import Session

from tickloom.experiment.states import Entry
from tickloom.store import experiments

_KINDS = ("decision", "alias")


def add(session: Session, experiment: str, entries: Iterable[Entry]) -> None:
    """Write entries; one that was written before is written over with the same.

    Raises
    ------
    TickloomError
        Cassandra does not answer.
    """
    experiments.put_audit(session, [_row(experiment, it) for it in entries])


def entries(session: Session, experiment: str) -> Iterator[Entry]:
    """Yield the decisions and moves of an experiment, newest first; single assignments are left out.

    Raises
    ------
    TickloomError
        Cassandra does not answer.
    """
    for day in experiments.audit_days(session, experiment):
        found = [_entry(row) for row in experiments.audit(session, experiment, day) if row["kind"] in _KINDS]
        yield from sorted(found, key=lambda it: (it.time_us, it.id), reverse=True)


def _row(experiment: str, it: Entry) -> dict[str, Any]:
    time = datetime.fromtimestamp(it.time_us / 1e6, UTC)
    return {
        "experiment": experiment, "day": time.date(), "time": time, "id": it.id, "kind": it.kind, "who": it.who,
        "what": it.what, "why": it.why, "arm": it.arm, "ticker": it.ticker, "model_version": it.version,
        "numbers": {name: float(value) for name, value in it.numbers.items() if isfinite(value)}, "request": None,
    }  # fmt: skip


def _entry(row: Any) -> Entry:
    time_us = round(row["time"].replace(tzinfo=UTC).timestamp() * 1000) * 1000
    return Entry(
        id=row["id"], time_us=time_us, kind=row["kind"], who=row["who"], what=row["what"], why=row["why"],
        arm=row["arm"] or "", ticker=row["ticker"] or "", version=row["model_version"] or "",
        numbers=dict(row["numbers"] or {}),
    )  # fmt: skip
