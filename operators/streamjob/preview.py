"""What the operator would do with a manifest now: the same look and the same plan, and nothing done."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from operators.streamjob.access import NEEDED, accesses
from operators.streamjob.actions import Action, Apply, Delete, SetFinalizer, Start, Submit, Tell, WriteStatus
from operators.streamjob.cluster import OPTIONAL, Cluster, Refused
from operators.streamjob.fields import changes, flat
from operators.streamjob.live import Live
from operators.streamjob.names import API_VERSION
from operators.streamjob.observe import see
from operators.streamjob.planner import plan
from operators.streamjob.planner.target import asked, claim_stays, kept
from operators.streamjob.read import report
from operators.streamjob.seen import Installation, Report, Seen
from operators.streamjob.validate import read
from tickloom.errors import TickloomError
from tickloom.stream.job import Spec, read_documents

NEW_UID = "00000000-0000-0000-0000-000000000000"


def documents(path: Path) -> list[dict[str, Any]]:
    """Return the StreamJobs of a YAML file.

    Raises
    ------
    TickloomError
        The file is missing, is no YAML, or holds something else.
    """
    found = read_documents(path)
    for item in found:
        if not isinstance(item, dict) or item.get("kind") != "StreamJob" or item.get("apiVersion") != API_VERSION:
            raise TickloomError(f"{path}: holds something that is not a StreamJob of {API_VERSION}")
        if not isinstance((item.get("metadata") or {}).get("name"), str):
            raise TickloomError(f"{path}: metadata.name is missing")
    if not found:
        raise TickloomError(f"{path}: holds no StreamJob")
    return found


class _WithManifest(Live):
    """The cluster as it would be with one manifest applied."""

    manifest: Mapping[str, Any]
    replaced: Mapping[str, Any] | None = None

    def job(self, key: tuple[str, str]) -> dict[str, Any] | None:
        """Return the StreamJob with the manifest's spec."""
        meta = self.manifest["metadata"]
        found = super().job(key)
        self.replaced = None if found is None else found.get("spec")
        there = found or {
            "metadata": {"uid": NEW_UID, "resourceVersion": "0", "creationTimestamp": "9999-01-01T00:00:00Z"},
        }
        changed = there.get("spec") != self.manifest.get("spec")
        generation = int(there["metadata"].get("generation", 0)) + int(changed)
        merged = {**there["metadata"], "name": key[1], "namespace": key[0], "generation": generation}
        if meta.get("annotations"):
            merged["annotations"] = {**there["metadata"].get("annotations", {}), **meta["annotations"]}
        return {**there, "metadata": merged, "spec": self.manifest.get("spec") or {}}


@dataclass(frozen=True)
class Preview:
    """What a manifest asks for, and what the operator would do next.

    Parameters
    ----------
    changes
        Fields that differ from the manifest that runs: ``field``, ``before``, ``after``, ``class``; none for a new job.
    problems
        Why the manifest would be refused; the last good one would keep running.
    actions
        Each with ``action``, ``object`` and ``why``; those of the next look, after which there is another.
    assumed
        What only a cluster knows, and was taken to be so where none was asked.
    notes
        What is asked for and will not be done, with what to do instead.
    """

    changes: list[dict[str, Any]]
    problems: list[str]
    actions: list[dict[str, str]]
    assumed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def preview(manifest: Mapping[str, Any], installation: Installation, cluster: Cluster | None) -> Preview:
    """Return what the operator would do.

    Parameters
    ----------
    manifest
        A StreamJob.
    installation
        What the operator's settings decide: the image, Secrets, the addresses that tickers are compared by.
    cluster
        Where to look; None plans for a cluster without jobs that has all else which the manifest needs.

    Raises
    ------
    TickloomError
        The cluster does not answer, or refuses to.
    """
    meta = manifest["metadata"]
    key = (meta.get("namespace") or "default", meta["name"])
    if cluster is None:
        return _unasked(key, manifest, installation)
    sight = _WithManifest(cluster, installation)
    sight.manifest = {**manifest, "spec": _readable(manifest)}
    try:
        found = see(sight, key, installation, None, time.time())
    except Refused as error:
        raise refused(error) from None
    assert found is not None
    replaced = kept(json.dumps(sight.replaced), meta["name"])
    return of(replace(found, raw_spec=manifest.get("spec") or {}, replaced=replaced, report=_kept_report(found)))


def _readable(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a manifest's spec; nothing where it cannot be read, for that names nothing to look for in the cluster."""
    spec: Mapping[str, Any] = manifest.get("spec") or {}
    try:
        read(spec, manifest["metadata"]["name"])
    except TickloomError:
        return {}
    return spec


def refused(error: Refused) -> TickloomError:
    """Return what is said of a cluster that gives no answer, or not the one that was asked for."""
    what = "the cluster refuses" if error.status else "the cluster does not answer"
    return TickloomError(f"{what}: {error}; `tickloom plan --offline` asks none")


def _unasked(key: tuple[str, str], manifest: Mapping[str, Any], installation: Installation) -> Preview:
    """Return what the operator would do in a cluster of which nothing is known, and what that takes."""
    secrets = dict.fromkeys(
        (name for access in accesses(_readable(manifest), installation) for name in access.names),
        frozenset(chain(*NEEDED)),
    )
    seen = Seen(
        now=time.time(),
        name=key[1],
        namespace=key[0],
        uid=NEW_UID,
        generation=1,
        installation=installation,
        raw_spec=manifest.get("spec") or {},
        annotations=manifest["metadata"].get("annotations") or {},
        secrets=secrets,
        installed=frozenset(OPTIONAL),
    )
    target, _ = asked(seen)
    if target is None:
        return of(seen)
    assumed = [f"namespace {key[0]} has the Secret {name!r}, with its keys" for name in secrets]
    if target.spec.runtime.type == "sparkOperator":
        assumed.append("the cluster has kubeflow's spark-operator")
    if target.spec.source.create_topics is not None:
        assumed.append("the cluster has Strimzi")
    return replace(of(seen), assumed=assumed)


def of(seen: Seen) -> Preview:
    """Return what the operator would do next of what was seen."""
    target, problems = asked(seen)
    last = kept(seen.status.last_reconciled_spec, seen.name)
    note = None if target is None else claim_stays(seen, target.spec)
    return Preview(
        [] if last is None or target is None else _changes(last, target.spec),
        [item.message for item in problems],
        [_line(action) for action in plan(seen).actions],
        notes=[] if note is None else [note],
    )


def _changes(last: Spec, new: Spec) -> list[dict[str, Any]]:
    before, after = flat(last), flat(new)
    return [
        {"field": path, "before": before[path], "after": after[path], "class": kind}
        for path, kind in changes(last, new).items()
    ]


def _kept_report(seen: Seen) -> Report | None:
    """Return what the status keeps of the driver's last report, so that a driver which runs counts as healthy."""
    status = seen.status
    if status.healthy_since is None:
        return None
    about = {"state": "running", **status.progress.model_dump()}
    return report(about, status.epoch, seen.now)


def _line(action: Action) -> dict[str, str]:
    match action:
        case WriteStatus(status=status):
            what, on = "status", f"{status.phase}, epoch {status.epoch}, step {status.step}"
        case SetFinalizer(present=present):
            what, on = "finalizer", "added" if present else "removed"
        case Apply(manifest=manifest):
            what, on = "apply", f"{manifest['kind']} {manifest['metadata']['name']}"
        case Start(manifest=manifest):
            what, on = "start", f"{manifest['kind']} {manifest['metadata']['name']}"
        case Delete(kind=kind, name=name):
            what, on = "delete", f"{kind} {name}"
        case Submit(name=name, pipeline=pipeline):
            what, on = "submit", f"{pipeline} {name}"
        case Tell(type=type, reason=reason):
            what, on = "event", f"{type} {reason}"
    return {"action": what, "object": on, "why": action.why}
