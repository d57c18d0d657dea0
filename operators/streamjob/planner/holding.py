"""What stands against a retraining: always, or at this moment."""

from dataclasses import dataclass

from operators.streamjob.moments import stamp
from operators.streamjob.retrained import MOST_RUNS, WINDOW_S, Retraining
from operators.streamjob.seen import Seen
from operators.streamjob.triggers import Trigger, quiet_until
from tickloom.manifest.model import milliseconds
from tickloom.stream.job import Spec

UNTRIED_HOURS = 1.0
"""What a run is taken to last before one has ended, in hours."""
LATER_S = 60.0


@dataclass(frozen=True)
class Held:
    """Why nothing is started, and when to look again, in seconds."""

    reason: str
    message: str
    again_s: float = 300.0
    warn: bool = False


def standing(seen: Seen, spec: Spec) -> Held | None:
    """Return what stands against every retraining of a job, whatever is due."""
    policy = spec.retrain
    assert policy is not None
    if spec.state == "suspended":
        return Held("Suspended", "the manifest says state: suspended")
    if policy.suspend:
        return Held("Suspended", "the manifest says retrain.suspend: true")
    if seen.rivals:
        ticker, older = next(iter(seen.rivals.items()))
        text = (
            f"StreamJobs {older} and {seen.namespace}/{seen.name} both have a policy for {ticker!r} on {spec.market}; "
            f"the younger one, {seen.namespace}/{seen.name}, does not retrain: take spec.retrain or the ticker out of "
            "one of the two"
        )
        return Held("TickerShared", text, warn=True)
    if seen.installation.kubeflow is None:
        text = (
            "the operator knows no Kubeflow Pipelines; set TICKLOOM_OPERATOR_KUBEFLOW, in its chart kubeflow.endpoint"
        )
        return Held("NotConnected", text, warn=True)
    return None


def hold(seen: Seen, spec: Spec, kept: Retraining, trigger: Trigger) -> Held | None:
    """Return what stands against a trigger now; None where its run may start."""
    policy = spec.retrain
    assert policy is not None
    now, last = seen.now, kept.last
    if last is not None and not trigger.asked:
        until = last.ended + milliseconds(policy.pause) / 1000
        if now < until:
            return Held("Pausing", f"the pause after {last.name} lasts until {stamp(until)}", until - now)
    quiet = None if trigger.asked else quiet_until(policy.quiet_hours, spec.market, now)
    if quiet is not None:
        return Held("QuietHours", f"quietHours last until {stamp(quiet)}", quiet - now)
    spent = _budget(spec, kept, now)
    if spent is not None:
        return spent
    if len(seen.busy) >= policy.concurrency:
        text = f"{len(seen.busy)} of at most {policy.concurrency} runs are under way: {', '.join(seen.busy[:5])}"
        return Held("Queued", text, LATER_S)
    if seen.missing and not policy.pipeline.pool_scales_from_zero:
        text = (
            f"{seen.missing}; make a pool of nodes that has it, or set spec.retrain.pipeline.poolScalesFromZero where "
            "an autoscaler does"
        )
        return Held("PoolMissing", text, LATER_S, warn=True)
    return None


def _budget(spec: Spec, kept: Retraining, now: float) -> Held | None:
    """Return that the GPU hours of the window do not suffice for one more run."""
    policy = spec.retrain
    assert policy is not None
    within = [run for run in kept.runs if now - run.ended < WINDOW_S]
    if not within:
        # a budget below what an untried run is taken to need would never let one start
        return None
    oldest = min(run.ended for run in within) + WINDOW_S
    if len(within) >= MOST_RUNS:
        text = f"{MOST_RUNS} runs within 30 days are the most; the oldest counts until {stamp(oldest)}"
        return Held("BudgetSpent", text, oldest - now, warn=True)
    gpus = policy.pipeline.gpus
    if not gpus:
        return None
    spent = sum(run.hours(now) for run in kept.runs)
    if not spent:
        return None
    lasted = [run.finished_at - run.started_at for run in kept.runs if run.gpus and run.finished_at and run.started_at]
    needs = gpus * (max(lasted[:3]) / 3600 if lasted else UNTRIED_HOURS)
    if spent + needs <= policy.gpu_hours:
        return None
    text = (
        f"{spent:.1f} of {policy.gpu_hours:g} GPU hours of 30 days are spent and a run takes about {needs:.1f}; the "
        f"oldest run counts until {stamp(oldest)}"
    )
    return Held("BudgetSpent", text, oldest - now, warn=True)
