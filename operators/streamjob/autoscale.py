"""How many executors a job needs, from the lag that its checkpoint shows: pure."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from operators.streamjob.status import Autoscaled
from tickloom.manifest.model import milliseconds
from tickloom.stream.job import Spec

if TYPE_CHECKING:
    from operators.streamjob.seen import Report, Seen
    from tickloom.stream.deployment import Autoscaling

HEADROOM = 0.8
"""Share of an executor's capacity that arriving records may take."""
SPARE = 0.6
"""Share to which fewer executors must be able to bring it, for there to be fewer: the gap keeps them from going to and
fro."""


@dataclass(frozen=True)
class Decision:
    """A change of the number of executors: what the status keeps of it, and its event."""

    kept: Autoscaled
    reason: str
    text: str


def decide(rules: "Autoscaling", report: "Report", replicas: int) -> tuple[int, str]:
    """Return the number of executors that the load needs, and why.

    One executor's capacity is the measured rate of processing over the executors that did it. Arriving records may take
    ``HEADROOM`` of the capacity; a backlog beyond the target must be worked off within ``catch_up``.

    Parameters
    ----------
    rules
        Limits and targets.
    report
        Lag in records; rates in records a second.
    replicas
        Executors that run now.
    """
    rate, arriving, lag = report.rows_per_second, report.arrival_per_second, report.lag
    if not rate or arriving is None or lag is None:
        return replicas, "rates are not known yet"
    each = rate / max(1, replicas)
    behind_s = lag / rate
    target_s = milliseconds(rules.target_lag) / 1000
    excess = max(0.0, lag - rate * target_s)
    load = arriving / HEADROOM + excess / (milliseconds(rules.catch_up) / 1000)
    needed = max(1, math.ceil(load / each - 1e-9))
    about = f"{arriving:.0f} records/s arrive, {each:.0f} records/s an executor, {behind_s:.0f} s behind"
    if needed < replicas:
        spare = max(1, math.ceil(arriving / SPARE / each - 1e-9))
        needed = min(replicas, max(needed, spare)) if excess == 0 else replicas
    return min(rules.max, max(rules.min, needed)), about


def wanted(seen: "Seen", spec: Spec) -> tuple[int, Decision | None]:
    """Return the number of executors, and what is decided now: at most one change within the stabilisation."""
    rules = spec.autoscaling
    assert rules is not None
    status, report, last = seen.status, seen.report, seen.status.autoscaling
    replicas = last.replicas if last else min(rules.max, max(rules.min, spec.replicas))
    replicas = min(rules.max, max(rules.min, replicas))
    running = status.replicas or replicas
    since = last.at if last else (status.started_at or seen.now)
    settled = seen.now - since >= milliseconds(rules.stabilization) / 1000
    decision = None
    if report is not None and status.stable and settled and report.epoch == status.epoch:
        number, why = decide(rules, report, running)
        if number != replicas:
            decision = Decision(
                Autoscaled(replicas=number, at=seen.now, reason=why[:512]),
                "ScaleAdvice" if rules.advice else "Scaled",
                f"{replicas} to {number} executors: {why}",
            )
            replicas = number
    return spec.replicas if rules.advice else replicas, decision
