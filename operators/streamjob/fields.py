"""What a change of each field of the manifest asks for."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel

from tickloom.stream.job import Spec

FieldClass = Literal["ignore", "scale", "upgrade", "redeploy", "refused"]
MEANINGS: dict[FieldClass, str] = {
    "ignore": "Read by the operator alone: the driver goes on as it is.",
    "scale": "A graceful restart from the checkpoint with another number of executors.",
    "upgrade": "A graceful restart from the checkpoint.",
    "redeploy": "No checkpoint survives it: refused, unless `upgrade.mode` is `stateless`, which starts a new one.",
    "refused": "It cannot change; make another StreamJob.",
}
"""Each class with its meaning."""

CANNOT: dict[FieldClass, str] = {
    "redeploy": (
        "cannot change without losing the checkpoint's state; put it back, or set spec.upgrade.mode to stateless to "
        "begin a new checkpoint"
    ),
    "refused": "cannot change; put it back, or make another StreamJob for the other market",
}
"""Each class that a change may be refused for, with the sentence: the API server's and the operator's are one."""

CLASSES: dict[str, FieldClass] = {
    "tickers": "upgrade",
    "market": "refused",
    "state": "ignore",
    "replicas": "scale",
    "source.bootstrapServers": "upgrade",
    "source.topic": "redeploy",
    "source.keyed": "upgrade",
    "source.credentials": "upgrade",
    "source.certificates": "upgrade",
    "source.createTopics": "ignore",
    "source.minPartitions": "upgrade",
    "source.startingOffsets": "upgrade",
    "source.maxOffsetsPerTrigger": "upgrade",
    "source.failOnDataLoss": "upgrade",
    "processors.prices.window": "upgrade",
    "processors.prices.threshold": "upgrade",
    "processors.prices.watermark": "upgrade",
    "processors.prices.futureTolerance": "upgrade",
    "processors.prices.maxRecordBytes": "upgrade",
    "processors.bars.intervals": "upgrade",
    "processors.bars.indicators": "upgrade",
    "processors.bars.hours": "upgrade",
    "sinks.cassandra": "upgrade",
    "sinks.lake": "upgrade",
    "sinks.topics": "upgrade",
    "deadLetters": "upgrade",
    "trigger": "upgrade",
    "runtime.type": "upgrade",
    "runtime.image": "upgrade",
    "runtime.imagePullPolicy": "upgrade",
    "runtime.sparkVersion": "upgrade",
    "runtime.driver": "upgrade",
    "runtime.executor": "upgrade",
    "runtime.statePartitions": "redeploy",
    "runtime.serviceAccount": "upgrade",
    "runtime.nodeSelector": "upgrade",
    "runtime.tolerations": "upgrade",
    "runtime.podTemplate": "upgrade",
    "runtime.executorPodTemplate": "upgrade",
    "checkpoint.path": "redeploy",
    "checkpoint.claim.name": "redeploy",
    "checkpoint.claim.size": "ignore",
    "checkpoint.claim.storageClass": "ignore",
    "upgrade": "ignore",
    "restart": "ignore",
    "autoscaling": "ignore",
    "retention.batches": "upgrade",
    "retention.attempts": "ignore",
    "retrain": "ignore",
}
"""Path of a field, or of all below it, to its class."""


def class_of(path: str) -> FieldClass:
    """Return the class of a field; the longest path that covers it decides.

    Raises
    ------
    KeyError
        No path covers it.
    """
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        found = CLASSES.get(".".join(parts[:length]))
        if found:
            return found
    raise KeyError(path)


def leaves(model: type[BaseModel] = Spec, prefix: str = "") -> list[str]:
    """Return the path of every field of the manifest's spec that holds no further model."""
    paths: list[str] = []
    for key, inner in _fields(model):
        paths += leaves(inner, f"{prefix}{key}.") if inner else [f"{prefix}{key}"]
    return paths


@cache
def _fields(model: type[BaseModel]) -> tuple[tuple[str, type[BaseModel] | None], ...]:
    """Return a model's fields, each with the model that it holds, if it does."""
    return tuple(
        (info.alias or name, next(iter(_models(info.annotation)), None)) for name, info in model.model_fields.items()
    )


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Return the models that an annotation is, or may be (``Model | None``); none for lists of them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if getattr(annotation, "__origin__", None) is tuple:
        return []
    return [model for part in getattr(annotation, "__args__", ()) for model in _models(part)]


def flat(spec: Spec) -> dict[str, Any]:
    """Return every field with its value, by path; what is absent is None."""
    return dict(_flat(spec.model_dump(mode="json", by_alias=True), Spec, ""))


def _flat(values: Mapping[str, Any] | None, model: type[BaseModel], prefix: str) -> list[tuple[str, Any]]:
    out: list[tuple[str, Any]] = []
    for key, inner in _fields(model):
        value = None if values is None else values[key]
        out += _flat(value, inner, f"{prefix}{key}.") if inner else [(f"{prefix}{key}", value)]
    return out


def changes(old: Spec, new: Spec) -> dict[str, FieldClass]:
    """Return the fields that differ, each with its class."""
    before, after = flat(old), flat(new)
    return {path: class_of(path) for path in after if before[path] != after[path]}


def cannot_change(old: Spec, new: Spec) -> list[str]:
    """Return a sentence for each field that may not change so: what the CRD's rules with ``oldSelf`` refuse."""
    before, after = flat(old), flat(new)
    free: tuple[FieldClass, ...] = ("redeploy",) if new.upgrade.mode == "stateless" else ()
    return [
        f"spec.{path}: {CANNOT[kind]} (given: {_shown(after[path])}, was: {_shown(before[path])})"
        for path, kind in changes(old, new).items()
        if kind in CANNOT and kind not in free
    ]


def _shown(value: Any) -> Any:
    return "none" if value is None else value


def fingerprint(spec: Spec) -> str:
    """Return a hash of everything that a running driver depends on; equal hashes need no restart."""
    relevant = {path: value for path, value in flat(spec).items() if class_of(path) != "ignore"}
    text = json.dumps(relevant, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
