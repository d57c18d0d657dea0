"""Reads the cluster, and never acts: from watched or from listed objects to what the planner reads."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from operators.streamjob import around, facts, names, read
from operators.streamjob.access import accesses
from operators.streamjob.claims import Claimant, Key, claims, outputs, policies
from operators.streamjob.moments import seconds
from operators.streamjob.seen import Answer, Installation, Report, Seen
from operators.streamjob.status import Status
from operators.streamjob.status import read as read_status


class Sight(Protocol):
    """Where objects come from: the watched copies of them, or the server itself."""

    def job(self, key: Key) -> dict[str, Any] | None:
        """Return a StreamJob."""

    def objects(self, key: Key) -> list[dict[str, Any]]:
        """Return the objects with the job's label."""

    def claimants(self, output: str) -> Iterable[Claimant]:
        """Return the StreamJobs that own an output."""

    def secret(self, namespace: str, name: str) -> frozenset[str] | None:
        """Return the keys of a Secret."""

    def topics(self, key: Key, wanted: Iterable[str]) -> list[dict[str, Any]]:
        """Return those of the KafkaTopics that are there."""

    def installed(self) -> frozenset[str]:
        """Return which of the optional kinds the cluster knows."""

    def facts(self, key: Key) -> list[dict[str, Any]]:
        """Return the ConfigMaps with facts of a job's models."""

    def policies(self, model: str) -> Iterable[Claimant]:
        """Return the StreamJobs with a policy for a model."""

    def underway(self, namespace: str) -> Iterable[around.Underway]:
        """Return the runs that are under way in a namespace; a job's newest word may follow an older one."""

    def nodes(self) -> tuple[around.Node, ...] | None:
        """Return the nodes; None where they may not be read."""


def see(
    sight: Sight,
    key: Key,
    installation: Installation,
    report: Report | None,
    now: float,
    answer: Answer | None = None,
) -> Seen | None:
    """Return what is to be known of a StreamJob; None where there is none."""
    body = sight.job(key)
    if body is None:
        return None
    meta = body["metadata"]
    raw_spec = body.get("spec") or {}
    objects = sight.objects(key)
    secrets = [name for access in accesses(raw_spec, installation) for name in access.names]
    wants_topics = (raw_spec.get("source") or {}).get("createTopics")
    installed = sight.installed()
    found = read.children(objects)
    if wants_topics and "KafkaTopic" in installed:
        found = (*found, *read.children(sight.topics(key, _topics(raw_spec, installation))))
    retrains = bool(around.modelled(body))
    return Seen(
        now=now,
        name=meta["name"],
        namespace=meta["namespace"],
        uid=meta["uid"],
        generation=int(meta.get("generation", 1)),
        installation=installation,
        version=meta["resourceVersion"],
        raw_spec=raw_spec,
        annotations=meta.get("annotations") or {},
        finalizers=tuple(meta.get("finalizers") or ()),
        deleting="deletionTimestamp" in meta,
        status=_status(body),
        drivers=read.drivers(objects, now),
        children=found,
        secrets={name: sight.secret(key[0], name) for name in secrets},
        owners=_owners(sight, body, installation),
        installed=installed,
        report=report,
        created=int(seconds(meta["creationTimestamp"])) if meta.get("creationTimestamp") else 0,
        facts=facts.read(sight.facts(key)) if retrains else None,
        rivals=_rivals(sight, body) if retrains else {},
        busy=around.busy(sight.underway(key[0]), key) if retrains else (),
        missing=_missing(sight, raw_spec) if retrains else None,
        answer=answer,
    )


def _rivals(sight: Sight, body: Mapping[str, Any]) -> dict[str, str]:
    """Return the job's tickers for which an older StreamJob has a policy, each with that job's name."""
    found = {}
    for model, own in policies(body).items():
        older = [it for it in sight.policies(model) if it.uid != own.uid and it.rank < own.rank]
        if older:
            found[model.partition("/")[2]] = "/".join(min(older, key=lambda it: it.rank).key)
    return found


def _missing(sight: Sight, raw_spec: Mapping[str, Any]) -> str | None:
    asked = around.pool(raw_spec)
    known = sight.nodes() if asked is not None else None
    return None if asked is None or known is None else around.missing(*asked, known)


def _status(body: Mapping[str, Any]) -> Status:
    try:
        return read_status(body.get("status"))
    except ValueError:
        return Status()  # written by hand: begin anew, no driver is started beside one that lives


def _owners(sight: Sight, body: Mapping[str, Any], installation: Installation) -> dict[str, str]:
    """Return the job's tickers that another StreamJob owns, each with that job's name.

    The one that runs with a ticker owns it; of several that ask for it, the oldest.
    """
    meta = body["metadata"]
    taken = {}
    own = claims(body, installation)
    for output in outputs(body.get("spec") or {}, installation):
        for other in sight.claimants(output):
            if other.uid != meta["uid"] and other.rank < own[output].rank:
                taken[output.rsplit("/", 1)[1]] = "/".join(other.key)
    return taken


def _topics(raw_spec: Mapping[str, Any], installation: Installation) -> list[str]:
    own = (raw_spec.get("source") or {}).get("topic") or "prices"
    return [names.topic_object(name) for name in names.topics(own, installation.topic_prefix).values()]
