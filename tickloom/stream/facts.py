"""What is known of a job's models: the document that ``tickloom watch`` writes and the operator reads.

Light on purpose: the operator has neither numpy nor pandas.
"""

from collections.abc import Mapping
from datetime import date
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

KEY = "facts.json"
"""Name of the file, and key in a ConfigMap."""
SCHEMA = 1
LONGEST = 512
"""Characters of a sentence."""
Rule = Literal["both", "any", "drift", "loss"]
"""Which evidence trains again: both together, one of the two, or one of them alone."""


class Fact(BaseModel):
    """A part of the facts; what a newer release adds is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Drift(Fact):
    """Whether returns or features drifted, at the level of the document's rule."""

    found: bool = False
    id: str = Field("", max_length=128, description="The same as long as it is the same drift: the day it was found.")
    what: str = Field("", max_length=LONGEST, description="For people.")


class Loss(Fact):
    """Whether losses of matured forecasts drifted, at the level of the document's rule, and how they compare."""

    found: bool = False
    id: str = Field("", max_length=128, description="The same as long as losses stay bad: the day it was found.")
    what: str = Field("", max_length=LONGEST, description="For people.")
    ratio: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="Mean absolute error over the random walk's on the same sessions."
    )
    sessions: int = Field(0, ge=0, description="Matured sessions behind the ratio.")


class Ticker(Fact):
    """What is known of one ticker's model."""

    looked: date | None = Field(None, description="Last session that was looked at.")
    problem: str = Field(
        "", max_length=LONGEST, description="Why the last look failed; the rest is then of the look before."
    )
    drift: Drift = Drift()
    loss: Loss = Loss()
    trained: date | None = Field(None, description="Last session that the champion learned from.")
    sessions: int | None = Field(None, ge=0, description="Sessions since.")
    alarms: Mapping[str, date] = Field(
        default_factory=dict, description="Online detectors with the session of their last alarm; they decide nothing."
    )


class Facts(Fact):
    """Facts of some tickers.

    A document without a rule is one of another monitor's making, which answers for its findings itself.
    """

    v: int = Field(SCHEMA, ge=SCHEMA, le=SCHEMA)
    made: AwareDatetime = Field(description="When the facts were made.")
    rule: Rule | None = Field(None, description="Rule whose false alarms the findings are bounded for.")
    tickers: Mapping[str, Ticker]
