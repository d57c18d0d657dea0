"""Begins epochs: each start of a driver has a number of its own, and no two of them write at once."""

from operators.streamjob.actions import Delete, Start
from operators.streamjob.names import FORCE_EPOCH
from operators.streamjob.planner import children
from operators.streamjob.planner.draft import Draft
from operators.streamjob.planner.target import Target
from operators.streamjob.status import Failures

LOOK_S = 10.0


def begin(draft: Draft, target: Target) -> None:
    """Begin the next epoch, unless a pause or an older driver stands in the way."""
    seen, status = draft.seen, draft.status
    epoch = status.epoch + 1
    forced = seen.annotations.get(FORCE_EPOCH) == str(epoch)
    alive = [item for item in seen.drivers if item.alive]
    if alive and not forced:
        names = ", ".join(item.name for item in alive)
        text = (
            f"{names} is not known to be gone, so epoch {epoch} does not start; if its node is lost for good, annotate "
            f"the StreamJob with {FORCE_EPOCH}={epoch}"
        )
        draft.phase("Upgrading" if status.epoch else "Pending")
        draft.condition("Ready", False, "OldEpochAlive", text)
        draft.condition("Progressing", True, "OldEpochAlive", text)
        draft.condition("UpgradePending", True, "OldEpochAlive", text)
        for item in alive:
            if not item.deleting:
                draft.do(Delete(item.kind, item.name, item.uid, "it belongs to an older epoch"))
        draft.look_again(LOOK_S)
        return
    fresh = target.hash != status.spec_hash
    series = status.checkpoint.series + int(target.new_checkpoint)
    place = children.checkpoint(seen, target.spec, series)
    draft.update(
        epoch=epoch,
        step="Starting",
        runtime=target.spec.runtime.type,
        replicas=target.spec.replicas,
        spec_hash=target.hash,
        changed_at=seen.now if fresh else status.changed_at,
        lag_before=status.progress.lag if fresh else status.lag_before,
        started_at=None,
        healthy_since=None,
        stable=False,
        last_reconciled_spec=target.json,
        checkpoint=place,
        failures=Failures(total=status.failures.total) if fresh and not target.rolled_back else status.failures,
    )
    if target.new_checkpoint:
        draft.tell("Warning", "NewCheckpoint", f"a new checkpoint begins at {place.location}; the old one is kept")
    draft.why = f"epoch {epoch} shall start"
    start(draft, target, forced=forced)


def start(draft: Draft, target: Target, *, forced: bool = False) -> None:
    """Make the driver of the current epoch and what it needs."""
    seen, status = draft.seen, draft.status
    if status.spec_hash != target.hash:  # the manifest changed between the intention and the act
        draft.update(
            spec_hash=target.hash,
            replicas=target.spec.replicas,
            runtime=target.spec.runtime.type,
            last_reconciled_spec=target.json,
            changed_at=seen.now,
            lag_before=status.progress.lag,
        )
    children.ensure(draft, target)
    driver = children.driver(seen, target, draft.status)
    forced = forced or seen.annotations.get(FORCE_EPOCH) == str(status.epoch)
    draft.do(Start(driver, draft.status.epoch, f"epoch {draft.status.epoch} runs the wanted manifest", forced))
    text = f"driver of epoch {draft.status.epoch} starts"
    if status.step != "Starting" or status.epoch != seen.status.epoch:
        draft.tell("Normal", "Starting", text)
    draft.phase("RollingBack" if target.rolled_back else "Starting")
    draft.condition("Ready", False, "Starting", text)
    draft.condition("Progressing", True, "Starting", text)
    if seen.refused:
        draft.degrade("Submission", seen.refused)
    draft.look_again(LOOK_S)


def forced_start(draft: Draft, target: Target) -> None:
    """Start although an older driver cannot be seen to be gone, where a person said so."""
    if draft.seen.annotations.get(FORCE_EPOCH) == str(draft.status.epoch + 1):
        begin(draft, target)
