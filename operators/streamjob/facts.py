"""What the monitor knows of a job's models, from the ConfigMap in which it writes it: pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from operators.streamjob.moments import Moment

KEY = "facts.json"
"""Key of the ConfigMap."""
STALE_S = 3 * 86_400.0
"""Age from which facts start nothing."""


class _Fact(BaseModel):
    """A part of the facts; what a newer monitor adds is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Drift(_Fact):
    """What the tests of drift found."""

    found: bool = False
    id: str = Field("", max_length=128, description="The same as long as it is the same drift.")
    what: str = Field("", max_length=512)


class Loss(_Fact):
    """How matured forecasts fared: their loss over the random walk's on the same sessions."""

    ratio: float = Field(1.0, ge=0, allow_inf_nan=False)
    sessions: int = Field(0, ge=0)
    id: str = Field("", max_length=128, description="The same as long as it is the same run of bad sessions.")


class Ticker(_Fact):
    """What is known of one ticker's model; ``sessions`` is how many there were since it was trained."""

    drift: Drift = Drift()
    loss: Loss = Loss()
    trained: date | None = None
    sessions: int | None = Field(None, ge=0)


class _Document(_Fact):
    v: int = Field(ge=1, le=1)
    made: Moment
    tickers: dict[str, Ticker]


@dataclass(frozen=True)
class Facts:
    """Facts of a job's tickers.

    Parameters
    ----------
    made
        When they were made, in seconds since 1970; 0 where they cannot be read.
    problem
        Why they cannot be read; empty where they can.
    """

    made: float
    tickers: Mapping[str, Ticker] = field(default_factory=dict)
    problem: str = ""

    def fresh(self, now: float) -> bool:
        """Return whether they may start a run."""
        return not self.problem and now - self.made <= STALE_S


def read(bodies: Iterable[Mapping[str, Any]]) -> Facts | None:
    """Return the newest facts of some ConfigMaps; None where there is none."""
    found = [_read(body) for body in bodies]
    return max(found, key=lambda item: item.made, default=None)


def _read(body: Mapping[str, Any]) -> Facts:
    name = body["metadata"]["name"]
    text = (body.get("data") or {}).get(KEY)
    if text is None:
        return Facts(0.0, problem=f"ConfigMap {name} has no key {KEY!r}")
    try:
        document = _Document.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the document"
        return Facts(0.0, problem=f"ConfigMap {name}, {KEY}: {place}: {first['msg']}")
    return Facts(document.made, document.tickers)
