"""What goes wrong, as problem+json (RFC 9457): the field, the value and the fix, and never a stack trace."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from tickloom.manifest.mistakes import PATTERNS

MEDIA_TYPE = "application/problem+json"
NOT_JSON = "the body is not readable as JSON; send an object with the fields of /docs"
_FIELD = re.compile(r"(?:^|: )(?P<field>(?:spec|metadata|kind|apiVersion)[\w.\[\]]*): (?P<problem>.*)")
_TYPES = "https://tickloom.dev/problems/"
_FORMS = {**PATTERNS, r"^[A-Z]{4}$": "four capital letters such as XNYS"}
_SAID = {
    "extra_forbidden": "is unknown; leave it out",
    "missing": "is missing",
    "string_type": "must be text",
    "string_unicode": "must be text of whole characters",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "finite_number": "must be a finite number",
    **dict.fromkeys(("model_attributes_type", "model_type", "dict_type"), "must be an object with the fields of /docs"),
    **dict.fromkeys(
        ("date_type", "date_parsing", "date_from_datetime_parsing", "date_from_datetime_inexact"),
        "must be a date of the calendar such as 2024-03-08",
    ),
}
"""What is said of a mistake, by its type; without it, or a form or size, what the library says."""


class ProblemError(Exception):
    """An answer that says what is wrong.

    Parameters
    ----------
    status
        Of HTTP.
    kind
        Names the sort of problem in its ``type``, such as ``unknown-ticker``.
    detail
        A sentence with the thing, the value and the fix.
    errors
        A field, what is wrong with it, and the value, for each mistake.
    headers
        Further headers, such as ``Retry-After``.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        errors: Sequence[Mapping[str, Any]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, detail
        self.errors, self.headers = errors, dict(headers or {})

    def body(self, request: str = "") -> dict[str, Any]:
        """Return what is answered, without numbers that JSON does not have."""
        told = {
            "type": _TYPES + self.kind,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "request": request,
        }
        return told | ({"errors": [_sayable(it) for it in self.errors]} if self.errors else {})

    def response(self, request: str = "") -> Response:
        """Return it as an answer of HTTP."""
        content = json.dumps(self.body(request), allow_nan=False).encode()
        return Response(content, self.status, self.headers, MEDIA_TYPE)


def wrong_experiment(sentence: str) -> ProblemError:
    """Return what is wrong with an experiment, from a sentence such as ``Experiment trial: spec.arms: sum to 0.9``.

    A file may be named before the experiment; without a field it is the arms, of which one lacks a model.
    """
    found = _FIELD.search(sentence)
    field, problem = (found["field"], found["problem"]) if found else ("spec.arms", sentence)
    return ProblemError(422, "invalid-experiment", sentence, [{"field": field, "problem": problem}])


def of_validation(errors: Sequence[Mapping[str, Any]]) -> ProblemError:
    """Return what pydantic found in a request; a body that is no JSON is 400, one that says what cannot be is 422."""
    if any(it["type"] == "json_invalid" for it in errors):
        return ProblemError(400, "not-json", NOT_JSON)
    told = [_mistake(it) for it in errors]
    first = told[0]
    more = f", and {len(told) - 1} more" if len(told) > 1 else ""
    return ProblemError(422, "invalid-request", f"{first['field']}: {first['problem']}{more}", told)


def _mistake(error: Mapping[str, Any]) -> dict[str, Any]:
    place = [str(it) for it in error["loc"] if it not in ("body", "query", "path")]
    found: dict[str, Any] = {"field": ".".join(place) or "body", "problem": _text(error)}
    if error["type"] != "missing" and isinstance(value := error.get("input"), (str, int, float)):
        found["value"] = value[:80] if isinstance(value, str) else value
    return found


def _text(error: Mapping[str, Any]) -> str:
    kind, limits = error["type"], error.get("ctx", {})
    if kind in _SAID:
        return _SAID[kind]
    if kind == "string_pattern_mismatch":
        return f"must be {_FORMS.get(limits['pattern'], 'of another form, which /docs shows')}"
    if kind in ("too_long", "string_too_long"):
        have = f", not {limits['actual_length']:,}" if limits.get("actual_length") is not None else ""
        return f"must have at most {limits['max_length']:,} {'items' if kind == 'too_long' else 'characters'}{have}"
    if kind in ("too_short", "string_too_short"):
        least, what = limits["min_length"], "item" if kind == "too_short" else "character"
        return f"must have at least {least:,} {what}{'' if least == 1 else 's'}"
    text = str(error["msg"]).replace("Input should be", "must be").removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def _sayable(it: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in it.items()
    }
