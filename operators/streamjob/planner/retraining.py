"""Retrains models where the policy of a job says so: one run at a time, each sent once."""

from operators.streamjob import names
from operators.streamjob.actions import Submit
from operators.streamjob.moments import stamp
from operators.streamjob.planner.draft import Draft
from operators.streamjob.planner.holding import hold, standing
from operators.streamjob.planner.submission import parameters
from operators.streamjob.retrained import Retraining, Run
from operators.streamjob.seen import Answer
from operators.streamjob.triggers import Trigger, cooling, first, measured, next_due, still
from tickloom.stream.job import Spec

KIND = "Retraining"
SETTLE_S = 60.0
"""How long after it was sent a run that nobody finds may still appear: longer than any request lives."""
GIVE_UP_S = 86_400.0
"""How long a run is tried to be sent."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 30.0, 3600.0
LOOK_S = 5.0
WAITS_S = 900.0
"""How long a run that Kubeflow Pipelines has may be pending before it is said what it may wait for."""
_TROUBLES = {"denied": "Unauthorized", "unreachable": "Unreachable", "missing": "PipelineMissing", "refused": "Refused"}


def retrain(draft: Draft, spec: Spec) -> None:
    """Plan what the policy asks for now: follow the run under way, else start the one that is due."""
    seen, kept = draft.seen, draft.status.retraining
    if spec.retrain is None and (kept is None or kept.active is None):
        if kept is not None:
            draft.update(retraining=None)
        return
    kept = kept or Retraining(since=seen.now)
    draft.update(retraining=kept)
    if kept.active is not None:
        _follow(draft, spec, kept, kept.active)
    else:
        _decide(draft, spec, kept)


def _decide(draft: Draft, spec: Spec, kept: Retraining) -> None:
    """Start a run where one is due and nothing stands against it."""
    seen, policy = draft.seen, spec.retrain
    assert policy is not None
    answered = still(kept.answered, spec, seen.facts, seen.now)
    if answered != kept.answered:
        kept = kept.model_copy(update={"answered": answered})
        draft.update(retraining=kept)
    stands = standing(seen, spec)
    if stands is not None:
        _say(draft, False, stands.reason, stands.message, warn=stands.warn)
        return
    trigger = first(spec, kept, seen.facts, seen.annotations.get(names.RETRAIN), seen.now)
    upcoming = next_due(policy, spec.market, seen.now)
    if upcoming is not None:
        draft.look_again(upcoming - seen.now + 1)
    if trigger is None:
        _idle(draft, spec, kept, upcoming)
        return
    name = names.retraining(seen.name, seen.uid, trigger.kind, trigger.of)
    if any(run.name == name for run in kept.runs):
        draft.update(retraining=_answering(kept, trigger))
        _idle(draft, spec, kept, upcoming)
        draft.look_again(1.0)
        return
    held = hold(seen, spec, kept, trigger)
    if held is not None:
        _say(draft, False, held.reason, f"{trigger.why}: {held.message}", warn=held.warn)
        draft.look_again(held.again_s)
        return
    run = Run(
        name=name,
        trigger=trigger.kind,
        due=trigger.due,
        state="Submitting",
        tickers=trigger.tickers,
        sent_at=seen.now,
        gpus=policy.pipeline.gpus,
    )
    draft.tell("Normal", "Retraining", f"{run.name} is sent: {trigger.why}")
    _send(draft, spec, _answering(kept, trigger), run)


def _answering(kept: Retraining, trigger: Trigger) -> Retraining:
    return kept.model_copy(update={"answered": {**kept.answered, **trigger.answers}})


def _send(draft: Draft, spec: Spec, kept: Retraining, run: Run) -> None:
    """Write that a run is to be sent, and have it sent: in this order, so that a killed operator looks for it first."""
    policy = spec.retrain
    assert policy is not None
    draft.update(retraining=kept.with_run(run, draft.seen.now))
    draft.why = f"run {run.name} shall be sent"
    draft.do(
        Submit(
            name=run.name,
            attempt=run.attempt,
            pipeline=policy.pipeline.name,
            parameters=parameters(draft.seen, spec, run),
            description=f"{draft.seen.namespace}/{draft.seen.name}: {run.trigger}",
            why=f"{run.trigger} was due at {stamp(run.due)}",
        )
    )
    _say(draft, None, "Submitting", f"{run.name} ({run.trigger}) is sent")
    draft.look_again(LOOK_S)


def _follow(draft: Draft, spec: Spec, kept: Retraining, run: Run) -> None:
    """Follow a run until it ends."""
    seen = draft.seen
    answer = seen.answer
    if answer is not None and (answer.name != run.name or answer.attempt != run.attempt):
        answer = None
    if seen.installation.kubeflow is None:
        text = f"{run.name} ({run.trigger}) was {run.state.lower()}; the operator knows no Kubeflow Pipelines any more"
        _say(draft, None, "NotConnected", text, warn=True)
    elif answer is not None and answer.run is not None:
        _known(draft, spec, kept, run, answer)
    elif run.state == "Submitting":
        _submitting(draft, spec, kept, run, answer)
    else:
        _unheard(draft, kept, run, answer)


def _waits(spec: Spec, state: str, since: float | None, now: float) -> str:
    """Return what a run that does not begin may wait for, which the operator need not be able to see."""
    if state != "Pending" or since is None or now - since < WAITS_S or spec.retrain is None:
        return ""
    pipeline = spec.retrain.pipeline
    labels = ", ".join(f"{key}={value}" for key, value in pipeline.node_selector.items())
    asked = [f"the labels {labels}"] if labels else []
    asked += [f"{pipeline.gpus} {pipeline.accelerator}"] if pipeline.gpus else []
    what = f"; it may wait for a node with {' and '.join(asked)}" if asked else ""
    return f" since {stamp(since)}{what}"


def _known(draft: Draft, spec: Spec, kept: Retraining, run: Run, answer: Answer) -> None:
    """Take over what Kubeflow Pipelines says of a run."""
    assert answer.run is not None
    seen, told = draft.seen, answer.run
    started = run.started_at or told.created_at or run.sent_at
    ended = told.state not in ("Pending", "Running")
    now = run.model_copy(
        update={
            "state": told.state,
            "id": told.id,
            "started_at": started,
            "finished_at": (told.finished_at or seen.now) if ended else None,
            "retry_at": None,
            "trouble": None,
            "message": answer.text[:1024],
        }
    )
    after = kept.with_trained(now, seen.now) if told.state == "Succeeded" else kept
    draft.update(retraining=after.with_run(now, seen.now))
    about = f"{run.name} ({run.trigger})"
    if run.state == "Submitting":
        draft.tell("Normal", "RetrainingStarted", f"{about} is run {told.id} of Kubeflow Pipelines")
    if not ended:
        missing = f"; {seen.missing}" if seen.missing else _waits(spec, told.state, started, seen.now)
        text = f"{about} is {told.state.lower()}" + (f": {answer.text}" if answer.text else "") + missing
        _say(draft, True, "PoolMissing" if seen.missing else told.state, text, warn=bool(seen.missing))
        draft.look_again(LOOK_S * 6)
        return
    good = told.state == "Succeeded"
    text = about + {"Succeeded": " has ended well", "Failed": " failed", "Canceled": " was ended"}.get(told.state, "")
    text += f": {answer.text}" if answer.text else ""
    draft.tell("Normal" if good else "Warning", f"Retraining{told.state}", text)
    draft.condition(KIND, False, f"Run{told.state}", text)
    draft.look_again(1.0)


def _submitting(draft: Draft, spec: Spec, kept: Retraining, run: Run, answer: Answer | None) -> None:
    """Deal with a run of which it is not known that Kubeflow Pipelines has it."""
    seen = draft.seen
    sent = run.sent_at if run.sent_at is not None else run.due
    if answer is not None and answer.kind in _TROUBLES and answer.submitted and run.retry_at is None:
        pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(run.attempt - 1, 10))
        run = run.model_copy(
            update={
                "retry_at": seen.now + pause,
                "trouble": _TROUBLES[answer.kind],
                "message": answer.text[:1024],
            }
        )
        draft.update(retraining=kept.with_run(run, seen.now))
    absent = answer is not None and answer.kind == "absent" and answer.asked_at >= sent + SETTLE_S
    stands = standing(seen, spec) if spec.retrain is not None else None
    stopped = spec.retrain is None or stands is not None
    unsent = run.retry_at is not None or absent
    if unsent and (stopped or seen.now - run.due > GIVE_UP_S + SETTLE_S):
        why = "the policy is gone" if spec.retrain is None else stands.message if stands is not None else run.message
        _give_up(draft, kept, run, why or "Kubeflow Pipelines did not take it within a day")
        return
    if absent or (run.retry_at is not None and seen.now >= run.retry_at):
        again = run.model_copy(
            update={"attempt": run.attempt + 1, "sent_at": seen.now, "retry_at": None, "trouble": None}
        )
        _send(draft, spec, kept, again)
        return
    if run.retry_at is not None:
        text = f"{run.name} ({run.trigger}) is sent again at {stamp(run.retry_at)}: {run.message}"
        _say(draft, False, run.trouble or "Refused", text, warn=True)
        draft.look_again(run.retry_at - seen.now)
        return
    text = f"{run.name} ({run.trigger}) was sent at {stamp(sent)} and its answer is not known; it is looked for by name"
    if answer is not None and answer.text:
        text += f": {answer.text}"
    unknown = answer is not None or seen.now - sent > LOOK_S
    _say(draft, None, "SubmissionUnknown" if unknown else "Submitting", text)
    draft.look_again(LOOK_S)


def _give_up(draft: Draft, kept: Retraining, run: Run, why: str) -> None:
    now = run.model_copy(
        update={"state": "Failed", "finished_at": draft.seen.now, "retry_at": None, "message": why[:1024]}
    )
    draft.update(retraining=kept.with_run(now, draft.seen.now))
    text = f"{run.name} ({run.trigger}) is not sent any more: {why}"
    draft.tell("Warning", "RetrainingFailed", text)
    draft.condition(KIND, False, "RunFailed", text)
    draft.look_again(1.0)


def _unheard(draft: Draft, kept: Retraining, run: Run, answer: Answer | None) -> None:
    """Deal with a run that Kubeflow Pipelines had, where it now says nothing of it."""
    about = f"{run.name} ({run.trigger})"
    if answer is not None and answer.kind == "absent":
        now = run.model_copy(update={"state": "Lost", "finished_at": draft.seen.now})
        draft.update(retraining=kept.with_run(now, draft.seen.now))
        text = f"{about} is gone from Kubeflow Pipelines"
        draft.tell("Warning", "RetrainingLost", text)
        draft.condition(KIND, False, "RunLost", text)
        draft.look_again(1.0)
        return
    if answer is None:
        _say(draft, True, run.state, f"{about} is {run.state.lower()}")
    else:
        text = f"{about} was {run.state.lower()} when last heard of: {answer.text}"
        _say(draft, None, _TROUBLES.get(answer.kind, "Unreachable"), text, warn=True)
    draft.look_again(LOOK_S * 6)


def _idle(draft: Draft, spec: Spec, kept: Retraining, upcoming: float | None) -> None:
    """Say how the last run ended, what comes next, and what can start nothing."""
    seen, last = draft.seen, kept.last
    said = []
    if last is not None:
        ended = f" at {stamp(last.finished_at)}" if last.finished_at is not None else ""
        said.append(
            f"{last.name} ({last.trigger}): {last.state}{ended}" + (f", {last.message}" if last.message else "")
        )
    if upcoming is not None:
        said.append(f"next by schedule at {stamp(upcoming)}")
    reason = f"Run{last.state}" if last is not None else "Idle"
    rests = cooling(spec, kept, seen.facts, seen.now)
    if rests and spec.retrain is not None:
        told = ", ".join(f"{ticker} {passed}" for ticker, passed in sorted(rests.items())[:5])
        said.append(f"evidence rests for {spec.retrain.cool_down} sessions after a run that trained; passed: {told}")
        reason = "CoolingDown"
    lacking = _lacking(draft, spec)
    if lacking:
        said.append(lacking)
        old = seen.facts is not None and not seen.facts.problem and not seen.facts.fresh(seen.now, spec.market)
        reason = "FactsOld" if old else "NoFacts" if last is None else reason
    draft.condition(KIND, False, reason, "; ".join(said))
    if seen.facts is not None and seen.facts.fresh(seen.now, spec.market):
        draft.look_again(3600.0)


def _lacking(draft: Draft, spec: Spec) -> str:
    """Return why evidence, age and new sessions can start nothing; empty where they can, or need not."""
    seen, policy = draft.seen, spec.retrain
    assert policy is not None
    if not (policy.rule is not None or policy.max_age is not None or policy.new_sessions is not None):
        return ""
    facts = seen.facts
    if facts is None:
        label = f"{names.LABEL_FACTS}={seen.name}"
        return f"drift, losses and ages are unknown: no ConfigMap here has the label {label}"
    if facts.problem:
        return f"drift, losses and ages are unknown: {facts.problem}"
    if not facts.fresh(seen.now, spec.market):
        return f"drift, losses and ages are of {stamp(facts.made)}, too old to start a run: a session has closed since"
    if policy.rule is not None and not measured(policy, facts):
        return (
            f"drift and losses were looked at by rule {facts.rule}, and the policy's is {policy.rule}; wait for a look"
        )
    failed = [f"{ticker}: {it.problem}" for ticker in spec.tickers if (it := facts.tickers.get(ticker)) and it.problem]
    return f"not looked at: {'; '.join(failed[:3])}" if failed else ""


def _say(draft: Draft, value: bool | None, reason: str, message: str, *, warn: bool = False) -> None:
    """Set the condition; with an event where it warns for a new reason."""
    draft.condition(KIND, value, reason, message)
    before = next((item for item in draft.seen.status.conditions if item.type == KIND), None)
    if warn and (before is None or before.reason != reason):
        draft.tell("Warning", reason, message)
