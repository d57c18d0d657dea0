"""How the arms fare at the requests of all replicas of the service, and whether their shares are those of the weights.

Each replica writes what it has counted every few seconds; the judge adds what is recent. What was counted of another
generation of the models (`State.generation`) is left out: it was another version that failed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import exp, log

from cassandra.cluster import Session

from tickloom.errors import TickloomError
from tickloom.experiment.guardrails import Counts
from tickloom.experiment.ratio import Ratio
from tickloom.experiment.states import State
from tickloom.manifest.model import milliseconds
from tickloom.store import experiments

KEPT_S = 180
"""Seconds after which the figures of a replica that is gone are gone as well."""


@dataclass(frozen=True)
class Health:
    """What all replicas have counted.

    Attributes
    ----------
    counts : Mapping
        Requests by arm within the guardrails' window.
    keys, expected : Mapping
        Keys by arm, and how many the weights let expect.
    ratio_p : float
        Anytime-valid p-value of the shares: the least of the replicas', times their number (Bonferroni), for a key may
        come to several of them.
    replicas : int
    """

    counts: Mapping[str, Counts] = field(default_factory=dict)
    keys: Mapping[str, int] = field(default_factory=dict)
    expected: Mapping[str, float] = field(default_factory=dict)
    ratio_p: float = 1.0
    replicas: int = 0


def publish(
    session: Session,
    replica: str,
    experiment: str,
    counts: Mapping[str, Counts],
    *,
    generation: int,
    ratio: Ratio | None = None,
    kept_s: int = KEPT_S,
) -> None:
    """Write what a replica has counted, over what it wrote before.

    Parameters
    ----------
    replica
        Name of the process, the same for as long as it lives and no other's: the pod's.
    counts
        By arm, of the window up to now.
    generation
        `State.generation` of the models that were counted. When it changes, begin new windows.
    ratio
        Of the keys that this process has dealt; None where only one arm answers.
    kept_s
        Seconds for which it counts if it is not renewed.

    Raises
    ------
    TickloomError
        Cassandra does not answer.
    """
    now = datetime.now(UTC)
    rows = [
        {
            "experiment": experiment, "arm": arm, "replica": replica, "generation": generation,
            "requests": it.requests, "failures": it.failures, "slow": it.slow,
            "edges": list(it.edges), "histogram": list(it.histogram),
            "keys": 0 if ratio is None else ratio.counts.get(arm, 0),
            "expected": 0.0 if ratio is None else ratio.expected.get(arm, 0.0),
            "log_odds": 0.0 if ratio is None else ratio.most, "recorded": now,
        }
        for arm, it in counts.items()
    ]  # fmt: skip
    experiments.put_health(session, rows, kept_s)


def of(session: Session, state: State) -> Health:
    """Return how the arms of an experiment fare now, within its guardrails' window.

    Raises
    ------
    TickloomError
        Cassandra does not answer.
    """
    window = milliseconds(state.experiment.spec.guardrails.window) / 1000
    return read(session, state.name, state.generation, recent_s=min(KEPT_S, window))


def read(session: Session, experiment: str, generation: int, *, recent_s: float = KEPT_S) -> Health:
    """Return what all replicas have counted of a generation.

    Parameters
    ----------
    recent_s
        Seconds for which a replica's figures count; the guardrails' window at most.

    Raises
    ------
    TickloomError
        Cassandra does not answer.
    """
    since = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=recent_s)
    rows = [it for it in experiments.health(session, experiment) if it["generation"] == generation]
    rows = [it for it in rows if it["recorded"] >= since]
    counts: dict[str, Counts] = {}
    keys: dict[str, int] = {}
    expected: dict[str, float] = {}
    odds: dict[str, float] = {}
    for it in rows:
        mine = Counts(it["requests"], it["failures"], it["slow"], tuple(it["edges"]), tuple(it["histogram"]))
        try:
            counts[it["arm"]] = counts[it["arm"]] + mine if it["arm"] in counts else mine
        except TickloomError:
            continue  # a replica that has not read the changed limit yet; it will have in seconds
        keys[it["arm"]] = keys.get(it["arm"], 0) + it["keys"]
        expected[it["arm"]] = expected.get(it["arm"], 0.0) + it["expected"]
        odds[it["replica"]] = max(it["log_odds"], odds.get(it["replica"], 0.0))
    highest = max(odds.values(), default=0.0)
    return Health(counts, keys, expected, min(1.0, exp(log(len(odds)) - highest)) if odds else 1.0, len(odds))
