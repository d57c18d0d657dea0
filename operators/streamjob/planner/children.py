"""What belongs to a job besides its driver: made when absent, brought back when changed, removed when old."""

from collections.abc import Mapping
from typing import Any

from operators.streamjob import names, render, render_driver
from operators.streamjob.actions import Apply, Delete
from operators.streamjob.planner.draft import Draft
from operators.streamjob.planner.target import Target
from operators.streamjob.seen import Seen
from operators.streamjob.status import CheckpointPlace, Status
from tickloom.stream.job import Spec

_ABSENT = object()


def checkpoint(seen: Seen, spec: Spec, series: int) -> CheckpointPlace:
    """Return where the checkpoint of a job lies."""
    claim = spec.checkpoint.claim.name or names.claim(seen.name)
    base = spec.checkpoint.path or f"{render.HOME}/jobs/{seen.namespace}/{seen.name}/checkpoint"
    location = base if series == 0 else f"{base.rstrip('/')}-{series}"
    return CheckpointPlace(claim=claim, location=location, series=series)


def _subject(seen: Seen, target: Target, status: Status) -> render.Subject:
    return render.Subject(
        name=seen.name,
        namespace=seen.namespace,
        uid=seen.uid,
        epoch=status.epoch,
        hash=target.hash,
        spec=target.spec,
        image=target.image,
        installation=seen.installation,
        location=status.checkpoint.location,
        incarnation=seen.created,
    )


def driver(seen: Seen, target: Target, status: Status) -> render.Manifest:
    """Return the driver's manifest."""
    of = _subject(seen, target, status)
    return render_driver.spark_application(of) if target.spec.runtime.type == "sparkOperator" else render_driver.pod(of)


def ensure(draft: Draft, target: Target) -> None:
    """Plan for everything that a driver needs, where it is absent or was changed."""
    seen = draft.seen
    of = _subject(seen, target, draft.status)
    for manifest in (render.config(of), render.service(of), render.disruption_budget(of)):
        _bring_back(draft, manifest)
    shared = [] if target.spec.checkpoint.claim.name else [render.claim(of)]
    shared += render.topics(of) if "KafkaTopic" in seen.installed else []
    for manifest in shared:
        name = manifest["metadata"]["name"]
        if seen.child(manifest["kind"], name) is None:
            draft.do(Apply(manifest, f"{manifest['kind']} {name} is absent"))


def _bring_back(draft: Draft, manifest: render.Manifest) -> None:
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    found = draft.seen.child(kind, name)
    if found is None:
        draft.do(Apply(manifest, f"{kind} {name} is absent"))
    elif not found.deleting and (where := difference(_compared(manifest, found.body), found.body)):
        if manifest.get("immutable"):
            draft.do(Delete(kind, name, found.uid, f"{where} was changed and cannot be changed back"))
            draft.look_again(1.0)
        else:
            draft.do(Apply(manifest, f"{where} was changed"))


def _compared(manifest: render.Manifest, found: Mapping[str, Any]) -> render.Manifest:
    """Return what of a manifest an object must have.

    The server lets nobody change an immutable ConfigMap's data, which another release may write in other words.
    """
    if manifest.get("immutable") and found.get("immutable"):
        return {key: value for key, value in manifest.items() if key != "data"}
    return manifest


def tidy(draft: Draft, target: Target) -> None:
    """Plan to remove drivers that have ended and the configuration of older epochs."""
    seen, status = draft.seen, draft.status
    ended = sorted((item for item in seen.drivers if not item.alive and item.epoch != status.epoch), key=_newest)
    kept = {item.epoch for item in ended[: target.spec.retention.attempts]}
    for item in ended[target.spec.retention.attempts :]:
        if not item.deleting:
            draft.do(Delete(item.kind, item.name, item.uid, "it has ended and enough of its kind are kept"))
    alive = {item.epoch for item in seen.drivers if item.alive} | kept | {status.epoch, seen.status.epoch}
    for child in seen.children:
        epoch = (child.body.get("metadata") or {}).get("labels", {}).get(names.LABEL_EPOCH)
        if child.kind == "ConfigMap" and epoch is not None and int(epoch) not in alive and not child.deleting:
            draft.do(Delete(child.kind, child.name, child.uid, "no driver reads it any more"))


def _newest(driver: Any) -> int:
    return -int(driver.epoch)


def difference(wanted: Any, found: Any, path: str = "") -> str | None:
    """Return the path of the first value of ``wanted`` that ``found`` has otherwise; None where there is none.

    What ``found`` has beyond that is the cluster's own: defaults, status, other owners' fields.
    """
    pairs: list[tuple[str, Any, Any]] = []
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        given = {key: value for key, value in wanted.items() if key in found or value not in ({}, [], None)}
        pairs = [(f"{path}.{key}".lstrip("."), value, found.get(key, _ABSENT)) for key, value in given.items()]
    elif isinstance(wanted, list) and isinstance(found, list) and len(found) == len(wanted):
        pairs = [(f"{path}[{i}]", value, found[i]) for i, value in enumerate(wanted)]
    elif wanted != found:
        return path or "the object"
    return next((where for at, a, b in pairs if (where := difference(a, b, at))), None)
