"""What stands around a retraining, from objects of the cluster: other jobs' policies and runs, and nodes; pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from operators.streamjob.retrained import ACTIVE

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Node:
    """A node: its labels, and how much of each resource pods may have of it."""

    labels: Mapping[str, str]
    offers: Mapping[str, str]


@dataclass(frozen=True)
class Underway:
    """The run that a StreamJob's status says is under way.

    Parameters
    ----------
    job
        Namespace and name.
    version
        Of the StreamJob's object, of which the newer one counts.
    run
        Name of the run; None where none is.
    """

    job: tuple[str, str]
    version: int
    run: str | None


def underway(body: Body) -> Underway:
    """Return the run that is under way by a StreamJob's status."""
    meta = body["metadata"]
    runs = ((body.get("status") or {}).get("retraining") or {}).get("runs") or [{}]
    run = runs[0].get("name") if runs[0].get("state") in ACTIVE else None
    return Underway((meta["namespace"], meta["name"]), int(meta["resourceVersion"]), run)


def busy(known: Iterable[Underway], job: tuple[str, str]) -> tuple[str, ...]:
    """Return the runs of other StreamJobs of a job's namespace; of two words on one job the newer counts."""
    newest: dict[tuple[str, str], Underway] = {}
    for item in known:
        old = newest.get(item.job)
        if old is None or old.version <= item.version:
            newest[item.job] = item
    others = (it for it in newest.values() if it.job != job and it.job[0] == job[0])
    return tuple(sorted(it.run for it in others if it.run is not None))


def modelled(body: Body) -> list[str]:
    """Return the models that a StreamJob's policy retrains: market and ticker of each."""
    spec = body.get("spec") or {}
    if not isinstance(spec.get("retrain"), Mapping):
        return []
    tickers = spec.get("tickers") or []
    return [f"{spec.get('market')}/{ticker}" for ticker in tickers if isinstance(ticker, str)]


def pool(spec: Body) -> tuple[dict[str, str], int, str] | None:
    """Return labels, GPUs and their resource that a policy asks of nodes; None where it asks nothing."""
    policy = spec.get("retrain")
    asked = policy.get("pipeline") if isinstance(policy, Mapping) else None
    if not isinstance(asked, Mapping):
        return None
    labels, gpus = asked.get("nodeSelector") or {}, asked.get("gpus") or 0
    if not isinstance(labels, Mapping) or not isinstance(gpus, int) or not (labels or gpus):
        return None
    named = {str(key): str(value) for key, value in labels.items()}
    return named, gpus, str(asked.get("accelerator") or "nvidia.com/gpu")


def missing(labels: Mapping[str, str], gpus: int, accelerator: str, nodes: Sequence[Node]) -> str | None:
    """Return what no node has of what a run asks for, in words; None where one has it all."""
    for key, value in labels.items():
        if not any(node.labels.get(key) == value for node in nodes):
            return f"no node has the label {key}={value}" + _instead(key, nodes)
    fit = [node for node in nodes if all(node.labels.get(key) == value for key, value in labels.items())]
    named = ", ".join(f"{key}={value}" for key, value in labels.items())
    if labels and not fit:
        return f"no node has all of the labels {named}"
    if gpus and not any(_number(node.offers.get(accelerator)) >= gpus for node in fit):
        return f"no node{f' with {named}' if named else ''} offers {gpus} {accelerator}"
    return None


def nodes(bodies: Iterable[Body]) -> Iterator[Node]:
    """Yield what is to be known of nodes."""
    for body in bodies:
        offers = (body.get("status") or {}).get("allocatable") or {}
        yield Node(body["metadata"].get("labels") or {}, offers)


def _instead(key: str, nodes: Sequence[Node]) -> str:
    there = sorted({value for node in nodes if (value := node.labels.get(key)) is not None})
    return f" (there is {', '.join(there[:4])})" if there else ""


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdigit() else 0
