"""Deals with drivers that ended, vanished, or did not prove themselves in time."""

from operators.streamjob.actions import Delete
from operators.streamjob.fields import changes
from operators.streamjob.planner import children
from operators.streamjob.planner.draft import Draft
from operators.streamjob.planner.starting import begin
from operators.streamjob.planner.target import Target, kept
from operators.streamjob.seen import Driver
from operators.streamjob.status import Failures
from tickloom.manifest.model import milliseconds


def vanished(draft: Draft, target: Target) -> None:
    """Deal with a driver that was taken away, which is no failure of its own."""
    status = draft.status
    if status.failures.epoch == status.epoch:
        _after_failure(draft, target, changed=status.spec_hash != target.hash)
        return
    draft.tell("Warning", "Evicted", f"driver of epoch {status.epoch} was taken away: starting the next")
    draft.update(failures=status.failures.model_copy(update={"total": status.failures.total + 1}))
    begin(draft, target)


def ended(draft: Draft, target: Target, current: Driver) -> None:
    """Deal with a driver that ended: on purpose, or with a failure."""
    seen, status, rules = draft.seen, draft.status, target.spec.restart
    changed = current.spec_hash != target.hash
    if status.step == "Stopping" or (current.phase == "ended" and changed):
        if not current.deleting:
            draft.do(Delete(current.kind, current.name, current.uid, "it has ended as it was asked to"))
        begin(draft, target)
        return
    if current.phase == "ended" and current.deleting:
        vanished(draft, target)
        return
    failures = status.failures
    if failures.epoch != current.epoch:
        kind = current.failure or ("Application" if current.phase == "failed" else "Evicted")
        message = current.message or "it ended without a word"
        count = failures.count + 1
        first, longest = milliseconds(rules.initial_backoff), milliseconds(rules.max_backoff)
        pause = min(first * 2 ** min(count - 1, 30), longest) / 1000
        failures = Failures(
            count=count,
            total=failures.total + 1,
            kind=kind,
            message=message[:2048],
            at=seen.now,
            next_start=seen.now + pause,
            epoch=current.epoch,
        )
        draft.update(failures=failures, healthy_since=None)
        draft.why = f"epoch {current.epoch} failed"
        draft.tell("Warning", kind, f"driver of epoch {current.epoch} failed ({kind}): {message[:600]}")
    if not deadline(draft, target, current):
        _after_failure(draft, target, changed=changed)


def _after_failure(draft: Draft, target: Target, *, changed: bool) -> None:
    """Pause, give up, or start the next driver; a changed manifest is tried at once."""
    seen, failures, rules = draft.seen, draft.status.failures, target.spec.restart
    kind = failures.kind or "Application"
    text = f"{failures.count} in a row, last {kind}: {failures.message}"
    draft.condition("Degraded", True, kind, text)
    draft.condition("Ready", False, kind, text)
    if not changed and rules.policy == "Never":
        _give_up(draft, "RestartNever", text)
    elif not changed and rules.limit and failures.count >= rules.limit:
        _give_up(draft, "TooManyFailures", text)
    elif not changed and failures.next_start is not None and seen.now < failures.next_start:
        draft.phase("BackOff")
        pause = failures.next_start - seen.now
        draft.condition("Progressing", True, kind, "the next driver starts after a pause")
        draft.look_again(pause)
    else:
        children.tidy(draft, target)
        begin(draft, target)


def _give_up(draft: Draft, reason: str, text: str) -> None:
    draft.phase("Failed")
    draft.condition("Ready", False, reason, text)
    draft.condition("Progressing", False, reason, "change the manifest, or suspend and resume, to try again")
    draft.degrade(draft.status.failures.kind or reason, text)


def deadline(draft: Draft, target: Target, current: Driver) -> bool:
    """Roll back an upgrade that is not good in time; return whether that was done."""
    seen, status, rules = draft.seen, draft.status, target.spec.upgrade
    stable = kept(status.last_stable_spec, seen.name)
    limit = milliseconds(rules.readiness_timeout) / 1000
    since = status.changed_at if status.changed_at is not None else seen.now
    if status.stable or stable is None or target.rolled_back:
        return False
    if all(kind in ("ignore", "scale") for kind in changes(stable, target.spec).values()):
        return False  # nothing to go back to that would be better: executors alone break no application
    if seen.now - since < limit:
        draft.look_again(limit - (seen.now - since))
        return False
    text = f"epoch {current.epoch} was not good within {rules.readiness_timeout}"
    if not rules.rollback:
        draft.condition("Degraded", True, "ProgressUnknown", f"{text}; spec.upgrade.rollback is false, so it stays")
        return False
    draft.tell("Warning", "RolledBack", f"{text}: going back to the last good manifest")
    draft.why = "the upgrade failed: back to the last good manifest"
    why = current.message or (status.failures.message if status.failures.count else None)
    draft.update(rejected_hash=target.hash, rejected_why=why and why[:1024], step="Stopping")
    draft.phase("RollingBack")
    draft.condition("Degraded", True, "RolledBack", f"{text}; the last good manifest comes back")
    draft.condition("Ready", False, "RolledBack", text)
    draft.condition("Progressing", True, "RolledBack", text)
    if current.alive and not current.deleting:
        draft.do(Delete(current.kind, current.name, current.uid, "its manifest did not prove itself in time"))
    return True
