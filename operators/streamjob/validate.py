"""Rules that a manifest must keep and that need more than itself: pure, from what was observed."""

import json

from operators.streamjob.access import accesses
from operators.streamjob.names import API_VERSION
from operators.streamjob.seen import Problem, Seen, Valid
from tickloom.errors import TickloomError
from tickloom.stream.job import Spec, parse

MOST_BYTES = 262_144
"""Largest spec as JSON: the status holds two copies, and a cluster's store takes 1.5 MB an object."""


def validate(seen: Seen) -> Valid:
    """Return the manifest's spec, or the rules that it breaks, each with path, value and fix."""
    size = len(json.dumps(seen.raw_spec))
    if size > MOST_BYTES:
        text = f"spec is {size:,} bytes of JSON, at most {MOST_BYTES:,}: make the pod templates in spec.runtime smaller"
        return Valid(None, (Problem("InvalidSpec", text),))
    try:
        spec = read(seen.raw_spec, seen.name)
    except TickloomError as error:
        return Valid(None, tuple(Problem("InvalidSpec", line) for line in str(error).splitlines()))
    problems = [*_executors(spec), *_secrets(seen), *_tickers(seen)]
    return Valid(spec, tuple(problems))


def read(raw_spec: object, name: str) -> Spec:
    """Return a spec of JSON.

    Raises
    ------
    TickloomError
        One line per mistake, with the field's path, the value and the known values.
    """
    document = {"apiVersion": API_VERSION, "kind": "StreamJob", "metadata": {"name": name}, "spec": raw_spec}
    return parse(document).spec


def _executors(spec: Spec) -> list[Problem]:
    if spec.runtime.type != "driverPod":
        return []
    found = []
    if spec.replicas > 1:
        text = f"spec.replicas: {spec.replicas} with spec.runtime.type driverPod, which runs with 1; use sparkOperator"
        found.append(Problem("InvalidSpec", text))
    if spec.autoscaling and spec.autoscaling.max > 1:
        text = (
            f"spec.autoscaling.max: {spec.autoscaling.max} with spec.runtime.type driverPod, which runs with 1; "
            "use sparkOperator"
        )
        found.append(Problem("InvalidSpec", text))
    return found


def _secrets(seen: Seen) -> list[Problem]:
    return [
        problem
        for access in accesses(seen.raw_spec, seen.installation)
        for problem in access.problems(seen.secrets, seen.namespace)
    ]


def _tickers(seen: Seen) -> list[Problem]:
    if not seen.owners:
        return []
    ticker, owner = next(iter(seen.owners.items()))
    more = f" and {len(seen.owners) - 1} more are" if len(seen.owners) > 1 else " is"
    text = f"spec.tickers: {ticker!r}{more} owned by StreamJob {owner}; take it out of one of the two"
    return [Problem("TickerTaken", text)]
