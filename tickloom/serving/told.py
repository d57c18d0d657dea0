"""What is answered over HTTP; all prices are in the market's currency."""

from datetime import date
from typing import Any

from pydantic import BaseModel, Field


class Interval(BaseModel):
    """Where the close is expected to fall."""

    level: float = Field(description="Per cent of outcomes that it is to hold.")
    lower: float
    upper: float


class Session(BaseModel):
    """The forecast of one session."""

    session: date
    ahead: int = Field(description="Sessions after the last known one.")
    close: float
    change: float = Field(description="Of the last known close, as a fraction.")
    intervals: list[Interval] = Field(description="Empty where the model's errors are not known.")


class Freshness(BaseModel):
    """How old the prices are."""

    cutoff: date = Field(description="Last session whose close is known.")
    last_session: date = Field(description="Last session of the exchange that has ended.")
    sessions_behind: int


class Why(BaseModel):
    """What moves the forecast of the next session: by occlusion, so the parts need not add up."""

    feature: str
    change: float = Field(description="Log-return by which the feature moves it.")


class Answer(BaseModel):
    """A forecast."""

    request: str = Field(description="Id of the request, for the ledger and the logs.")
    ticker: str
    market: str
    experiment: str
    arm: str
    model: str
    version: str
    verdict: str = Field(
        description="Against the random walk in walk-forward: beats_naive, indistinguishable, worse or not evaluated."
    )
    remark: str
    learned_to: date = Field(description="Last session that the model was fitted to.")
    close: float = Field(description="At the cutoff.")
    forecast: list[Session]
    freshness: Freshness
    degraded: str | None = Field(
        description="Why this is not what the model says now: null, `last forecast`, or `naive`, the last close."
    )
    why: list[Why] | None = None


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    request: str
    errors: list[dict[str, Any]] | None = Field(None, description="Each field that is wrong, with the fix.")


class Batch(BaseModel):
    """Forecasts in the order of the tickers; null where there is none, and then a problem in its place."""

    forecasts: list[Answer | None]
    problems: list[Problem | None]


class KnownArm(BaseModel):
    """An arm of an experiment that takes part now."""

    name: str
    model: str = Field(description="Alias or version of each ticker's registered model.")
    weight: float = Field(description="Share of the keys that it answers; 0 for a shadow.")


class KnownExperiment(BaseModel):
    """An experiment that runs."""

    name: str
    market: str
    tickers: list[str] | None = Field(description="Null for all of the market that have a model for every arm.")
    mode: str
    epoch: int = Field(description="Of the weights.")
    arms: list[KnownArm]


class Experiments(BaseModel):
    """What runs, and what is wrong with what does not."""

    experiments: list[KnownExperiment]
    problems: list[Problem]


class KnownModel(BaseModel):
    """A version that an alias names."""

    ticker: str
    market: str
    alias: str
    version: str


class KnownTicker(BaseModel):
    """A ticker that can be forecast."""

    ticker: str
    market: str
    name: str | None = None
    aliases: list[str]
