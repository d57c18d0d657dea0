"""What all models of YAML files share: the frozen model, durations, names."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

DURATION = r"^[1-9][0-9]{0,4}(ms|s|m|h|d)$"
Duration = Annotated[str, Field(pattern=DURATION)]
Quantity = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,6}(m|[KMGT]i?)?$")]
"""Kubernetes' way to write an amount: ``500m``, ``2``, ``10Gi``."""
Ticker = Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9.\-]{0,15}$")]
Name = Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")]
ObjectName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]
"""Name of an object of Kubernetes."""

_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def milliseconds(duration: str) -> int:
    """Return a duration such as ``10m`` or ``500ms`` in milliseconds."""
    digits = duration.rstrip("mshd")
    return int(digits) * _UNIT_MS[duration[len(digits) :]]


class Model(BaseModel):
    """A frozen part of a file: camelCase in YAML, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Metadata(BaseModel):
    """The part of Kubernetes' object metadata that matters on one machine."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: Name
    namespace: str = "default"
