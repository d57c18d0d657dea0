"""Which specification is to run: the manifest's, or the last good one where that is refused."""

import json
from dataclasses import dataclass

from operators.streamjob import autoscale
from operators.streamjob.fields import changes, fingerprint
from operators.streamjob.planner.draft import Draft
from operators.streamjob.seen import Problem
from operators.streamjob.validate import read, validate
from tickloom.errors import TickloomError
from tickloom.stream.job import Spec

SECRET_AGAIN_S = 15.0
LAST_GOOD = "the last good manifest keeps running"


@dataclass(frozen=True)
class Target:
    """What is to run.

    Parameters
    ----------
    spec
        With the number of executors, the runtime and the image that are really used.
    image
        Image of the pods.
    hash
        Its fingerprint.
    new_checkpoint
        Whether the change from the current driver begins a new checkpoint.
    """

    spec: Spec
    image: str
    hash: str
    new_checkpoint: bool = False
    rolled_back: bool = False

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
    valid = validate(seen)
    last = kept(seen.status.last_reconciled_spec, seen.name)
    problems = list(valid.problems)
    target = None
    if valid.spec is not None and not problems:
        target, problem = _of_manifest(draft, valid.spec, last)
        problems += [problem] if problem else []
    if target is not None:
        return _unless_rejected(draft, target)
    text = "; ".join(item.message for item in problems)
    draft.degrade(problems[0].reason, text, each_message=True)
    if any(item.reason == "SecretMissing" for item in problems):
        draft.look_again(SECRET_AGAIN_S)  # Secrets are not watched: that would take the right to list them all
    if last is None:
        return None
    draft.condition("UpgradePending", True, problems[0].reason, LAST_GOOD)
    return _resolved(draft, last, keep=True)[0]


def _of_manifest(draft: Draft, spec: Spec, last: Spec | None) -> tuple[Target | None, Problem | None]:
    target, problem = _resolved(draft, spec)
    if target is None or last is None:
        return target, problem
    lost = [path for path, kind in changes(last, target.spec).items() if kind == "redeploy"]
    if not lost:
        return target, None
    if spec.upgrade.mode != "stateless":
        text = (
            f"spec.{lost[0]} cannot change without losing the checkpoint's state; put it back, or set "
            "spec.upgrade.mode to stateless to begin a new checkpoint"
        )
        return None, Problem("StateWouldBeLost", text)
    return Target(target.spec, target.image, target.hash, new_checkpoint=True), None


def _unless_rejected(draft: Draft, target: Target) -> Target:
    """Return the last stable spec instead of one that did not prove itself in time."""
    seen = draft.seen
    if target.hash != seen.status.rejected_hash:
        return target
    stable = kept(seen.status.last_stable_spec, seen.name)
    if stable is None:
        return target
    draft.condition(
        "Degraded",
        True,
        "RolledBack",
        "this manifest was not good in time and the last good one runs; change it, and it is tried again"
        + (f". What was wrong: {seen.status.rejected_why}" if seen.status.rejected_why else ""),
    )
    good, _ = _resolved(draft, stable, keep=True)
    assert good is not None
    return Target(good.spec, good.image, good.hash, rolled_back=True)


def _resolved(draft: Draft, spec: Spec, *, keep: bool = False) -> tuple[Target | None, Problem | None]:
    """Return the spec with runtime, executors and image as they are used; ``keep`` takes it as it was."""
    seen = draft.seen
    problem = None
    if not keep:
        replicas = autoscale.wanted(draft, spec) if spec.autoscaling else spec.replicas
        asks = replicas > 1 or spec.runtime.executor is not None or spec.runtime.type == "sparkOperator"
        installed = "SparkApplication" in seen.installed
        if spec.runtime.type == "sparkOperator" and not installed:
            text = (
                "spec.runtime.type: sparkOperator, and the cluster has no SparkApplication; install kubeflow's "
                "spark-operator, or use driverPod"
            )
            return None, Problem("NoExecutors", text)
        runtime = "sparkOperator" if asks and installed and spec.runtime.type != "driverPod" else "driverPod"
        if runtime == "driverPod" and replicas > 1:
            text = (
                f"{replicas} executors were asked for and the cluster has no SparkApplication: one driver pod runs; "
                "install kubeflow's spark-operator"
            )
            draft.degrade("NoExecutors", text, each_message=True)
            replicas = 1
        replicas = _capped(draft, spec, replicas)
        spec = spec.model_copy(
            update={"replicas": replicas, "runtime": spec.runtime.model_copy(update={"type": runtime})}
        )
    # the image belongs to what ran well: the operator's own default may be another one by the time of a rollback
    image = spec.runtime.image or seen.installation.image
    spec = spec.model_copy(update={"runtime": spec.runtime.model_copy(update={"image": image})})
    return Target(spec, image, fingerprint(spec)), problem


def _capped(draft: Draft, spec: Spec, replicas: int) -> int:
    """Return at most as many executors as the topic has partitions, or as ``minPartitions`` makes of them."""
    partitions = draft.seen.status.progress.partitions
    if partitions is None:
        return replicas
    most = max(partitions, spec.source.min_partitions or 1)
    if replicas > most:
        text = (
            f"{replicas} executors were asked for and the topic has {most} partitions for them: {most} run; "
            "spec.source.minPartitions splits further"
        )
        draft.degrade("ScaleCapped", text, each_message=True)
        return most
    return replicas
