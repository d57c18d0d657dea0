"""Keeps one driver of the wanted specification running."""

from operators.streamjob.actions import Delete
from operators.streamjob.planner import children
from operators.streamjob.planner.draft import Draft
from operators.streamjob.planner.failing import deadline, ended, vanished
from operators.streamjob.planner.starting import LOOK_S, begin, forced_start, start
from operators.streamjob.planner.target import Target
from operators.streamjob.seen import Driver, Report
from operators.streamjob.status import Failures, Reported
from tickloom.manifest.model import milliseconds

UNANSWERED_S = 120.0
_HEALTHY = ("running",)


def keep_running(draft: Draft, target: Target) -> None:
    """Plan for a job that shall run."""
    seen, status = draft.seen, draft.status
    current = next((item for item in seen.drivers if item.epoch == status.epoch), None)
    if status.step == "None" or (current is None and status.step == "Stopping"):
        begin(draft, target)
    elif current is None and status.step == "Running":
        vanished(draft, target)
    elif current is None:
        start(draft, target)
    elif not current.alive:
        ended(draft, target, current)
    elif current.deleting or status.step == "Stopping":
        _stop(draft, target, current)
    elif current.spec_hash != target.hash:
        _change(draft, target, current)
    else:
        _watch(draft, target, current)


def _change(draft: Draft, target: Target, current: Driver) -> None:
    """Begin to replace a driver whose specification is not the wanted one."""
    scaled = draft.status.replicas != target.spec.replicas and draft.status.replicas > 0
    what = f"to {target.spec.replicas} executors" if scaled else "to the changed manifest"
    if target.rolled_back:
        what = "back to the last good manifest"
    where = "with a new checkpoint, reading the topic anew," if target.new_checkpoint else "from the checkpoint"
    draft.tell("Normal", "Stopping", f"restart {where} {what}: driver of epoch {current.epoch} stops")
    draft.why = "the driver shall be stopped"
    draft.update(step="Stopping")
    _stop(draft, target, current)


def _stop(draft: Draft, target: Target, current: Driver) -> None:
    """Have the current driver gone, and wait until it is."""
    text = f"driver of epoch {current.epoch} finishes its micro-batch"
    draft.phase("RollingBack" if target.rolled_back else "Upgrading")
    draft.condition("Ready", False, "Stopping", text)
    draft.condition("Progressing", True, "Stopping", text)
    if current.deleting:
        draft.condition("UpgradePending", True, "OldEpochAlive", f"{text}; the next starts when it is gone")
        forced_start(draft, target)
    else:
        draft.do(Delete(current.kind, current.name, current.uid, "it is replaced"))
    draft.look_again(LOOK_S)


def _watch(draft: Draft, target: Target, current: Driver) -> None:
    """Follow a driver of the wanted specification."""
    seen, status = draft.seen, draft.status
    if status.step != "Running":
        draft.update(step="Running", started_at=seen.now)
    children.ensure(draft, target)
    children.tidy(draft, target)
    report = seen.report if seen.report and seen.report.epoch == current.epoch else None
    if report is not None:
        _note(draft, report)
    healthy = current.phase == "running" and current.ready and report is not None and report.state in _HEALTHY
    if healthy and report is not None:
        _healthy(draft, target, report)
    else:
        _unhealthy(draft, current, report)
    if not draft.status.stable:
        deadline(draft, target, current)
        draft.look_again(LOOK_S)


def _note(draft: Draft, report: Report) -> None:
    draft.update(
        progress=Reported(
            batch=report.batch,
            lag=report.lag,
            rows_per_second=report.rows_per_second,
            state_rows=report.state_rows,
            committed_at=report.committed_at,
            partitions=report.partitions or draft.status.progress.partitions,
        )
    )


def _healthy(draft: Draft, target: Target, report: Report) -> None:
    seen, status, rules = draft.seen, draft.status, target.spec.upgrade
    since = status.healthy_since if status.healthy_since is not None else seen.now
    draft.update(healthy_since=since)
    draft.phase("Running")
    draft.condition("Ready", True, "Running", f"driver of epoch {status.epoch} reports progress")
    if not status.stable:
        most = max(rules.max_lag, status.lag_before or 0)
        if report.checks >= rules.stable_batches and report.lag is not None and report.lag <= most:
            draft.update(stable=True, last_stable_spec=target.json)
            draft.tell("Normal", "Stable", f"epoch {status.epoch} has proved itself: its manifest is the last good one")
        else:
            lag = "unknown" if report.lag is None else report.lag
            done = f"{report.checks} of {rules.stable_batches} checks, lag {lag} of at most {most}"
            draft.condition("Progressing", True, "Settling", done)
    if draft.status.stable:
        draft.condition("Progressing", False, "Stable")
    reset = milliseconds(target.spec.restart.reset_after) / 1000
    if status.failures.count:
        if seen.now - since >= reset:
            draft.update(failures=Failures(total=status.failures.total))
        else:
            draft.look_again(reset - (seen.now - since))


def _unhealthy(draft: Draft, current: Driver, report: Report | None) -> None:
    seen, status = draft.seen, draft.status
    started = status.started_at or seen.now
    if current.failure:
        text = f"{current.name}: {current.message or current.failure}"
        draft.degrade(current.failure, text)
    was_healthy = status.healthy_since is not None
    if report is not None and report.state == "waiting":
        text = f"{current.name}: {report.why or 'the next try comes by itself'}"
        draft.degrade("Waiting", text)
        draft.condition("Ready", False, "Waiting", text)
        draft.condition("Progressing", not was_healthy, "Waiting", text)
        return
    if was_healthy and report is None and current.ready:
        # an answer may be lost now and then; a driver that Kubernetes calls ready is not given up for that
        draft.condition("Ready", None, "ProgressUnknown", f"{current.name} does not answer at its progress address")
        draft.condition("Progressing", False, "ProgressUnknown")
        draft.look_again(LOOK_S)
        return
    draft.phase("Starting")
    state = f"; it says {report.state!r}" if report else ""
    text = f"driver of epoch {current.epoch} does not report progress yet{state}"
    draft.condition("Ready", False, "Starting", text)
    draft.condition("Progressing", True, "Starting", text)
    if not current.failure and current.ready and report is None and seen.now - started > UNANSWERED_S:
        text = f"{current.name} has run for {seen.now - started:.0f} s and does not answer at its progress address"
        draft.condition("Degraded", True, "ProgressUnknown", text)
    draft.look_again(LOOK_S)
