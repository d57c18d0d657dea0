"""Stops a job: because it is suspended, or because it goes."""

from operators.streamjob import names
from operators.streamjob.actions import Delete, SetFinalizer
from operators.streamjob.planner.draft import Draft
from operators.streamjob.status import Failures

LOOK_S = 5.0
_ORDER = ("Service", "PodDisruptionBudget", "ConfigMap")


def suspend(draft: Draft) -> None:
    """Plan for a job that shall stand still and keep its checkpoint."""
    status = draft.status
    if _drivers_go(draft, "the manifest says state: suspended"):
        draft.phase("Suspending")
        draft.update(step="Stopping")
        draft.condition("Suspended", False, "Stopping", "the driver finishes its micro-batch")
        draft.condition("Ready", False, "Stopping")
        draft.condition("Progressing", True, "Stopping")
        return
    if status.phase != "Suspended":
        draft.tell("Normal", "Suspended", f"nothing runs; the checkpoint is kept: {_place(draft)}")
    draft.phase("Suspended")
    draft.update(
        step="None",
        healthy_since=None,
        started_at=None,
        failures=Failures(total=status.failures.total),
    )
    draft.condition("Suspended", True, "Suspended", f"the checkpoint is kept: {_place(draft)}")
    draft.condition("Ready", False, "Suspended")
    draft.condition("Progressing", False, "Suspended")


def delete(draft: Draft) -> None:
    """Plan for a job that goes: driver, then what is its own, then the finalizer."""
    seen = draft.seen
    if names.FINALIZER not in seen.finalizers:
        draft.again_s = 3600
        return
    draft.phase("Deleting")
    draft.condition("Ready", False, "Deleting")
    draft.condition("Progressing", True, "Deleting", f"the checkpoint: {_place(draft)}")
    if _drivers_go(draft, "the StreamJob is deleted"):
        draft.update(step="Stopping")
        return
    draft.update(step="None")
    for kind in _ORDER:
        for child in seen.children:
            if child.kind == kind and not child.deleting:
                draft.do(Delete(kind, child.name, child.uid, "the StreamJob is deleted"))
    keep = seen.annotations.get(names.KEEP_CHECKPOINT, "true").lower() != "false"
    claim = seen.child("PersistentVolumeClaim", names.claim(seen.name))
    if keep:
        draft.tell("Normal", "CheckpointKept", f"the checkpoint is kept: {_place(draft)}")
    elif claim is not None and not claim.deleting:
        draft.do(Delete("PersistentVolumeClaim", claim.name, claim.uid, f"{names.KEEP_CHECKPOINT} is false"))
        draft.tell("Normal", "CheckpointDeleted", f"the checkpoint went with the job: {_place(draft)}")
    draft.do(SetFinalizer(False, "everything of the job is gone"))


def _drivers_go(draft: Draft, why: str) -> bool:
    """Delete all drivers; return whether one of them may still be alive."""
    alive = False
    for driver in draft.seen.drivers:
        if not driver.deleting:
            draft.do(Delete(driver.kind, driver.name, driver.uid, why))
        alive = alive or driver.alive
    if alive:
        draft.look_again(LOOK_S)
    return alive


def _place(draft: Draft) -> str:
    place = draft.status.checkpoint
    claim = f"claim {place.claim}, " if place.claim else ""
    return f"{claim}{place.location or 'none was written'}"
