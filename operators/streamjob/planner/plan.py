"""The plan of one look at one StreamJob."""

from operators.streamjob.actions import Plan, SetFinalizer
from operators.streamjob.names import FINALIZER
from operators.streamjob.planner.draft import Draft
from operators.streamjob.planner.retraining import retrain
from operators.streamjob.planner.running import keep_running
from operators.streamjob.planner.stopping import delete, suspend
from operators.streamjob.planner.target import choose
from operators.streamjob.seen import Seen


def plan(seen: Seen) -> Plan:
    """Return what is to be done now, in order, and when to look again.

    The status comes first: it names the step before the step is done, so that an operator which is killed
    in between carries on.
    """
    draft = Draft(seen)
    if seen.deleting:
        delete(draft)
        return draft.finish()
    if FINALIZER not in seen.finalizers:
        draft.do(SetFinalizer(True, "so that the job is stopped gently before it goes"))
    target = choose(draft)
    if target is None:
        draft.phase("Refused")
        draft.condition("Ready", False, "InvalidSpec", "there is no good manifest to run; Degraded says why")
        draft.condition("Progressing", False, "InvalidSpec", "change the manifest")
    elif target.spec.state == "suspended":
        draft.update(tickers=len(target.spec.tickers))
        suspend(draft)
    else:
        draft.update(tickers=len(target.spec.tickers))
        keep_running(draft, target)
    if target is not None:
        retrain(draft, target.spec)
    return draft.finish()
