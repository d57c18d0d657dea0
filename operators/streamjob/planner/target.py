"""Which specification is to run: the manifest's, or the last good one where that is refused."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from operators.streamjob import autoscale, names
from operators.streamjob.access import with_secrets
from operators.streamjob.fields import cannot_change, changes, fingerprint
from operators.streamjob.planner.draft import Draft
from operators.streamjob.seen import Problem, Seen
from operators.streamjob.validate import read, validate
from tickloom.errors import TickloomError
from tickloom.stream.job import Spec

SECRET_AGAIN_S = 15.0


@dataclass(frozen=True)
class Target:
    """What is to run.

    Parameters
    ----------
    spec
        With the number of executors, the runtime, the image and the Secrets that are really used.
    image
        Image of the pods.
    hash
        Its fingerprint.
    new_checkpoint
        Whether the change from the current driver begins a new checkpoint.
    rolled_back
        Whether this is the last stable spec instead of the manifest.
    lacks
        What runs otherwise than it was asked for.
    decision
        What the autoscaler decided now.
    """

    spec: Spec
    image: str
    hash: str
    new_checkpoint: bool = False
    rolled_back: bool = False
    lacks: tuple[Problem, ...] = ()
    decision: autoscale.Decision | None = None

    @property
    def json(self) -> str:
        """Return the spec as the status keeps it."""
        return dumped(self.spec)


def dumped(spec: Spec) -> str:
    """Return a spec as JSON, without what has its default."""
    return json.dumps(spec.model_dump(mode="json", by_alias=True, exclude_defaults=True), separators=(",", ":"))


def kept(text: str | None, name: str) -> Spec | None:
    """Return a spec that the status keeps; None where there is none, or this release cannot read it."""
    try:
        return read(json.loads(text), name) if text else None
    except (ValueError, TickloomError):
        return None


def choose(draft: Draft) -> Target | None:
    """Return what is to run; None where the manifest is refused and nothing good came before.

    Sets the condition Degraded where that is not the manifest itself.
    """
    seen = draft.seen
    target, problems = asked(seen)
    if target is None or problems:
        return _last_good(draft, problems)
    stable = kept(seen.status.last_stable_spec, seen.name) if target.hash == seen.status.rejected_hash else None
    if stable is not None:
        return _rolled_back(draft, stable)
    if target.decision is not None:
        draft.tell("Normal", target.decision.reason, target.decision.text)
        draft.update(autoscaling=target.decision.kept)
    note = claim_stays(seen, target.spec)
    if note is not None and seen.generation != seen.status.observed_generation:
        draft.tell("Warning", "ClaimStays", note)
    for item in target.lacks:
        draft.degrade(item.reason, item.message, each_message=True)
    return target


def asked(seen: Seen) -> tuple[Target | None, tuple[Problem, ...]]:
    """Return what the manifest asks for, and why it is refused; None where it cannot be read."""
    valid = validate(seen)
    if valid.spec is None:
        return None, valid.problems
    target, problems = _resolved(seen, valid.spec)
    last = kept(seen.status.last_reconciled_spec, seen.name)
    olds = [spec for spec in (last, seen.replaced) if spec is not None]
    refused = dict.fromkeys(text for old in olds for text in cannot_change(old, target.spec))
    problems = (*valid.problems, *problems, *(Problem("StateWouldBeLost", text) for text in refused))
    lost = last is not None and "redeploy" in changes(last, target.spec).values()
    return replace(target, new_checkpoint=lost), problems


def claim_stays(seen: Seen, new: Spec) -> str | None:
    """Return what is to be said of a changed size or class of a claim that is there: it does nothing by itself."""
    last = kept(seen.status.last_reconciled_spec, seen.name)
    changed = {} if last is None else changes(last, new)
    asked_for = [field for field in ("size", "storageClass") if f"checkpoint.claim.{field}" in changed]
    wanted = new.checkpoint.claim
    if not asked_for:
        return None
    if wanted.name is not None:
        return (
            f"spec.checkpoint.claim.{asked_for[0]}: not read, for claim {wanted.name!r} is your own; it stays as it is"
        )
    name = names.claim(seen.name)
    there = seen.child("PersistentVolumeClaim", name)
    if there is None:
        return None
    if "storageClass" in asked_for:
        return (
            f"spec.checkpoint.claim.storageClass: {wanted.storage_class or 'none'}, and claim {name!r} stays as it is, "
            "for no claim changes its class; put it back"
        )
    has = there.body["spec"]["resources"]["requests"]["storage"]
    if has == wanted.size:
        return None
    patch = json.dumps({"spec": {"resources": {"requests": {"storage": wanted.size}}}})
    return (
        f"spec.checkpoint.claim.size: {wanted.size}, and claim {name!r} stays as it is ({has}), for the operator only "
        "makes claims; where its storage class lets claims grow, expand it: "
        f"kubectl patch pvc {name} -n {seen.namespace} --type=merge -p '{patch}'"
    )


def _last_good(draft: Draft, problems: Sequence[Problem]) -> Target | None:
    """Return the last good spec instead of a refused one."""
    seen, reason = draft.seen, problems[0].reason
    draft.degrade(reason, "; ".join(item.message for item in problems), each_message=True)
    if any(item.reason == "SecretMissing" for item in problems):
        draft.look_again(SECRET_AGAIN_S)  # Secrets are not watched: that would take the right to list them all
    last = kept(seen.status.last_reconciled_spec, seen.name)
    if last is None:
        return None
    draft.condition("UpgradePending", True, reason, "the last good manifest keeps running")
    return _as_it_was(seen, last)


def _rolled_back(draft: Draft, stable: Spec) -> Target:
    """Return the last stable spec instead of one that did not prove itself in time."""
    why = draft.seen.status.rejected_why
    draft.condition(
        "Degraded",
        True,
        "RolledBack",
        "this manifest was not good in time, so the last good one takes its place; change it, and it is tried again"
        + (f". What was wrong: {why}" if why else ""),
    )
    return replace(_as_it_was(draft.seen, stable), rolled_back=True)


def _as_it_was(seen: Seen, spec: Spec) -> Target:
    """Return a spec that was resolved once."""
    # the image belongs to what ran well: the operator's own default may be another one by the time of a rollback
    image = spec.runtime.image or seen.installation.image
    spec = spec.model_copy(update={"runtime": spec.runtime.model_copy(update={"image": image})})
    return Target(spec, image, fingerprint(spec))


def _resolved(seen: Seen, spec: Spec) -> tuple[Target, tuple[Problem, ...]]:
    """Return the spec with runtime, executors, image and Secrets as they are used, and what stands against it."""
    replicas, decision = autoscale.wanted(seen, spec) if spec.autoscaling else (spec.replicas, None)
    problems, lacks = [], []
    runtime = spec.runtime.type
    installed = "SparkApplication" in seen.installed
    if runtime == "sparkOperator" and not installed:
        text = (
            "spec.runtime.type: sparkOperator, and the cluster has no SparkApplication; install kubeflow's "
            "spark-operator, or use driverPod"
        )
        problems.append(Problem("NoExecutors", text))
    if runtime == "auto":
        runtime = "sparkOperator" if installed and (replicas > 1 or spec.runtime.executor is not None) else "driverPod"
    if runtime == "driverPod" and replicas > 1:
        text = (
            f"{replicas} executors were asked for and the cluster has no SparkApplication: one driver pod runs; "
            "install kubeflow's spark-operator"
        )
        lacks.append(Problem("NoExecutors", text))
        replicas = 1
    most = _most_executors(seen, spec)
    if most is not None and replicas > most:
        text = (
            f"{replicas} executors were asked for and the topic has {most} partitions for them: {most} run; "
            "spec.source.minPartitions splits further"
        )
        lacks.append(Problem("ScaleCapped", text))
        replicas = most
    spec = spec.model_copy(update={"replicas": replicas, "runtime": spec.runtime.model_copy(update={"type": runtime})})
    spec = with_secrets(spec, seen.installation)
    return replace(_as_it_was(seen, spec), decision=decision, lacks=tuple(lacks)), tuple(problems)


def _most_executors(seen: Seen, spec: Spec) -> int | None:
    """Return as many executors as the topic has partitions, or as ``minPartitions`` makes of them."""
    partitions = seen.status.progress.partitions
    return None if partitions is None else max(partitions, spec.source.min_partitions or 1)
