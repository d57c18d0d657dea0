"""Answers of Kubeflow Pipelines, and what it is told, as values: pure."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from operators.streamjob.moments import seconds
from operators.streamjob.retrained import RunState
from operators.streamjob.seen import RunSeen

_STATES: dict[str, RunState] = {
    "RUNTIME_STATE_UNSPECIFIED": "Pending",
    "PENDING": "Pending",
    "RUNNING": "Running",
    "PAUSED": "Running",
    "CANCELING": "Running",
    "SUCCEEDED": "Succeeded",
    "SKIPPED": "Succeeded",
    "FAILED": "Failed",
    "CANCELED": "Canceled",
}
_SILENT = "Kubeflow Pipelines tells no reason; the report of its step conclude does"
Trouble = Literal["unknown", "refused", "denied", "unreachable", "missing", "absent"]


class KfpError(Exception):
    """A question without the answer that was wanted.

    Parameters
    ----------
    kind
        ``unknown``: the request was sent, and what came of it is not known; else it changed nothing.
    """

    def __init__(self, kind: Trouble, text: str) -> None:
        super().__init__(text)
        self.kind = kind


@dataclass(frozen=True)
class Found:
    """A run, and what is said of it."""

    run: RunSeen
    text: str = ""


def expiry(token: str) -> float | None:
    """Return when a JSON web token ends, in seconds since 1970; None where it does not say. It is not verified."""
    try:
        middle = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
        return float(claims["exp"])
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        return None


def kind_of(status: int, method: str) -> Trouble:
    """Return what an HTTP status of 300 or more says of a request."""
    if status in (401, 403):
        return "denied"
    if status == 404:
        return "absent"
    if status < 400:
        return "denied"  # a proxy that sends who asks to its page of sign-in
    if status < 500 and status not in (408, 409):
        return "refused"
    # 409 says that there is one already, or that the request was bad; 5xx that it failed at any point
    return "unreachable" if method == "GET" else "unknown"


def words(text: str) -> str:
    """Return the server's own words in an answer, which may be no JSON."""
    try:
        found = json.loads(text)
        return str(found.get("message") or found.get("error") or found)[:600]
    except (ValueError, AttributeError):
        return text[:200]


def fitted(parameters: Mapping[str, Any], types: Mapping[str, str] | None) -> dict[str, Any]:
    """Return parameters in the types that a pipeline has for them: what it takes as text is written as text.

    Parameters
    ----------
    types
        Names to types of the compiled pipeline, such as ``STRING``; None leaves all as they are.
    """
    return {
        name: (value if isinstance(value, str) else json.dumps(value)) if (types or {}).get(name) == "STRING" else value
        for name, value in parameters.items()
    }


def parameter_types(spec: Any) -> dict[str, str] | None:
    """Return the types of a pipeline's parameters by name, from its compiled form; None where that is not told."""
    try:
        root = (spec.get("pipeline_spec") or spec)["root"]
        told = (root.get("inputDefinitions") or {}).get("parameters") or {}
        return {name: str(about.get("parameterType")) for name, about in told.items()}
    except (AttributeError, KeyError, TypeError):
        return None


def run_of(body: Mapping[str, Any]) -> Found:
    """Return the run of an answer; a KfpError where it names none."""
    run_id = body.get("run_id")
    if not run_id:
        raise KfpError("unknown", f"the answer names no run: {json.dumps(body)[:200]}")
    state = _STATES.get(str(body.get("state", "PENDING")), "Pending")
    run = RunSeen(str(run_id), state, _moment(body.get("created_at")), _moment(body.get("finished_at")))
    text = _trouble_of(body) if state != "Succeeded" else ""
    return Found(run, text or (_SILENT if state == "Failed" else ""))


def _moment(text: Any) -> float | None:
    """Return a time in seconds since 1970; None where it is absent, or the zero that an unfinished run has."""
    try:
        found = seconds(str(text)) if text else 0.0
    except ValueError:
        return None
    return found if found > 0 else None


def _trouble_of(body: Mapping[str, Any]) -> str:
    """Return the last error that a run, or one of its tasks, tells."""
    own = [item.get("error") for item in body.get("state_history") or []]
    tasks = (body.get("run_details") or {}).get("task_details") or []
    inner = [
        {"message": f"{task.get('display_name', 'a task')}: {error['message']}"}
        for task in tasks
        if (error := task.get("error") or next((it.get("error") for it in task.get("state_history") or []), None))
        and error.get("message")
    ]
    said = [str(error["message"]) for error in [*inner, *own, body.get("error")] if error and error.get("message")]
    return said[0][:600] if said else ""
