"""Who owns what: the outputs that one job alone may write, and the models that one policy alone retrains; pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from operators.streamjob import around
from operators.streamjob.seen import Installation

Key = tuple[str, str]
"""Namespace and name of a StreamJob."""


@dataclass(frozen=True)
class Claimant:
    """A StreamJob that owns a ticker's output, or wants to.

    Parameters
    ----------
    running
        Whether the manifest that it runs has the ticker: that goes before one that only asks for it.
    """

    created: str
    uid: str
    key: Key
    running: bool = False

    @property
    def rank(self) -> tuple[bool, str, str]:
        """Who comes first owns it."""
        return (not self.running, self.created, self.uid)


def outputs(spec: Mapping[str, Any], installation: Installation) -> list[str]:
    """Return what a job writes that no other may write: each ticker's rows in one keyspace."""
    sink = ((spec.get("sinks") or {}).get("cassandra")) or {}
    place = f"{sink.get('contactPoints') or installation.cassandra}/{sink.get('keyspace') or installation.keyspace}"
    tickers = spec.get("tickers") or []
    return [f"{place}/{ticker}" for ticker in tickers if isinstance(ticker, str)]


def claims(body: Mapping[str, Any], installation: Installation) -> dict[str, Claimant]:
    """Return what a StreamJob owns or asks for: the outputs of its manifest, and of the one that it runs."""
    meta = body["metadata"]
    asked = outputs(body.get("spec") or {}, installation)
    try:
        last = json.loads((body.get("status") or {}).get("lastReconciledSpec") or "{}")
    except ValueError:
        last = {}
    run = set(outputs(last, installation)) if isinstance(last, dict) else set()
    about = (meta["creationTimestamp"], meta["uid"], (meta["namespace"], meta["name"]))
    return {output: Claimant(*about, running=output in run) for output in {*asked, *run}}


def policies(body: Mapping[str, Any]) -> dict[str, Claimant]:
    """Return the models for which a StreamJob has a policy."""
    meta = body["metadata"]
    claimant = Claimant(meta["creationTimestamp"], meta["uid"], (meta["namespace"], meta["name"]))
    return dict.fromkeys(around.modelled(body), claimant)
