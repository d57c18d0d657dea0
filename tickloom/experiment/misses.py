"""What a model's next intervals are to miss, as the store has it after the last scoring."""

from collections.abc import Mapping

from cassandra.cluster import Session

from tickloom.experiment.adaptation import Misses
from tickloom.experiment.performance import MISS
from tickloom.store import ledger

_ROWS = 2_000
"""Of the newest: some nine for each of 60 horizons, whose last matured cutoffs are as many sessions apart."""


def misses(session: Session, ticker: str, model: str) -> Mapping[int, Misses]:
    """Return by horizon the share of misses to aim at by level; horizons of which nothing has matured are left out.

    Raises
    ------
    TickloomError
        Cassandra does not answer.
    """
    found: dict[int, Misses] = {}
    for row in ledger.performance(session, ticker, "1d", model, _ROWS):
        metric = str(row["metric"])
        if metric.startswith(MISS):
            found.setdefault(int(row["horizon"]), {}).setdefault(float(metric.removeprefix(MISS)) / 100, row["value"])
    return found
