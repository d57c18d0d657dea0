"""Times: seconds since 1970 in the code, RFC 3339 in objects, as Kubernetes' own."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema


def stamp(moment: float) -> str:
    """Return a time to the second, as metav1.Time is written."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_stamp(moment: float) -> str:
    """Return a time to the microsecond, as metav1.MicroTime is written."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds(text: str) -> float:
    """Return a time of Kubernetes in seconds since 1970."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def _read(value: object) -> object:
    return seconds(value) if isinstance(value, str) else value  # a number is how earlier releases wrote it


Moment = Annotated[
    float,
    BeforeValidator(_read),
    PlainSerializer(micro_stamp, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A field of the status that holds a time."""
