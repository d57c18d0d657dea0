"""The fields of an ``Experiment``: arms, modes, guardrails and its end, with every default and every rule."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationInfo, field_validator, model_validator

from tickloom.manifest.mistakes import mistake, mistakes
from tickloom.manifest.model import Duration, Model, Name, Ticker, milliseconds
from tickloom.market.instruments import known_market, unlisted

CHAMPION = "champion"
"""Name of the arm that the others are compared with, and that answers once an experiment is called off."""
PREVIOUS = "previous-champion"
"""Alias of the version that was the champion before, and the arm that forecasts it while a promotion is watched."""

Mode = Literal["fixed", "canary", "thompson", "epsilonGreedy", "championChallenger"]
MODES: tuple[Mode, ...] = get_args(Mode)
STICKINESS = r"^(client|ticker|header:[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64})$"
REFERENCE = r"^([1-9][0-9]{0,8}|[A-Za-z][A-Za-z0-9_-]{0,127})$"
_SECRET = ("authorization", "cookie", "proxy-authorization", "x-api-key")
_CLOSE = 1e-9

Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class Arm(Model):
    """One way to forecast."""

    name: Name = Field(description="Name in the ledger, in metrics, and in the alias `challenger-NAME`.")
    model: str = Field(
        "",
        pattern=REFERENCE,
        description="Alias or version of each ticker's registered model; by default `champion` for the arm of that "
        "name and `challenger-NAME` for others.",
    )
    weight: float | None = Field(
        None, ge=0, le=1, description="Share of the keys that it answers; the weights of all arms sum to 1."
    )
    shadow: bool = Field(False, description="Answers nobody; forecasts every request off the answer's path.")

    @model_validator(mode="before")
    @classmethod
    def _default_model(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        name, model = data.get("name"), data.get("model")
        if model is None and isinstance(name, str):
            return {**data, "model": CHAMPION if name == CHAMPION else f"challenger-{name}"}
        if isinstance(model, int) and not isinstance(model, bool):
            return {**data, "model": str(model)}  # a version is a number in YAML
        return data


class Canary(Model):
    """A ramp: an arm begins with few keys and gets more while no guardrail breaks."""

    arm: Name = Field(description="Arm that is let in step by step.")
    steps: Annotated[tuple[Share, ...], Field(min_length=1, max_length=50)] = Field(
        (0.01, 0.05, 0.25, 0.5), description="Its shares, rising; the last one stays."
    )
    every: Duration = Field("1h", description="How long each step lasts.")

    @field_validator("steps")
    @classmethod
    def _rising(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        wrong = next((at for at in range(1, len(value)) if value[at] <= value[at - 1]), None)
        if wrong is not None:
            raise mistakes([((wrong,), f"{value[wrong]} is not above the step before, {value[wrong - 1]}")])
        return value


class Bandit(Model):
    """How the modes `thompson` and `epsilonGreedy` move the weights."""

    every: Duration = Field("1d", description="Length of an epoch, within which weights stay as they are.")
    epsilon: float = Field(0.1, ge=0, le=1, description="`epsilonGreedy`: share that is spread over all arms.")
    least: float = Field(0.05, ge=0, le=0.5, description="`thompson`: least share of each arm, so that all are seen.")
    least_rewards: int = Field(
        20, ge=2, le=100_000, description="Weights stay as the file has them until every arm has so many rewards."
    )
    seed: int = Field(0, ge=0, description="Another seed draws other samples.")


class Coverage(Model):
    """How often matured closes must lie inside an arm's intervals."""

    level: Literal[80, 95] = Field(95, description="Which interval, in percent.")
    least: float = Field(0.85, gt=0, lt=1, description="Least share inside, a fraction.")
    sessions: int = Field(60, ge=5, le=1000, description="How many of the last sessions count.")

    @model_validator(mode="after")
    def _below_its_level(self) -> "Coverage":
        if self.least > self.level / 100:
            raise mistake(
                "least", f"{self.least} is more than the level {self.level} % promises; take {self.level / 100} or less"
            )
        return self


class Guardrails(Model):
    """What takes an arm out at once, whatever it is worth."""

    error_rate: float | None = Field(0.01, gt=0, lt=1, description="Most requests that may fail, a fraction.")
    p99: Duration | None = Field(None, description="Time within which 99 % of its answers must be there.")
    coverage: Coverage | None = Field(None, description="Coverage of its intervals.")
    window: Duration = Field("5m", description="How far back requests count; 1s to 1h.")
    least_requests: int = Field(200, ge=1, le=10_000_000, description="No verdict on fewer requests.")

    @field_validator("window")
    @classmethod
    def _bounded(cls, value: str) -> str:
        if not 1000 <= milliseconds(value) <= 3_600_000:
            raise ValueError(f"window {value!r} must be from 1s to 1h")
        return value


class End(Model):
    """When the experiment is over, and who decides."""

    alpha: float = Field(0.05, gt=0, le=0.2, description="Chance of promoting an arm that is no better.")
    horizon: int = Field(1, ge=1, le=250, description="Sessions ahead of the forecasts that are compared.")
    least_sessions: int = Field(20, ge=1, le=5000, description="No decision on fewer matured sessions.")
    most_sessions: int = Field(250, ge=1, le=5000, description="After so many the champion stays.")
    decision: Literal["automatic", "approve"] = Field(
        "automatic", description="`approve` waits for a person once the evidence is there."
    )
    watch: Duration = Field("1h", description="How long after a promotion a broken guardrail takes it back.")
    watch_sessions: int = Field(
        125,
        ge=0,
        le=5000,
        description="Matured sessions after a promotion in which forecasts that are worse than the former champion's, "
        "or intervals that do not hold, take it back; 0: none.",
    )

    @model_validator(mode="after")
    def _in_order(self) -> "End":
        if self.least_sessions > self.most_sessions:
            raise mistake(
                "leastSessions",
                f"{self.least_sessions} is more than mostSessions, {self.most_sessions}: nothing would ever be decided",
            )
        return self


class Spec(Model):
    """What is compared, for whom, and until when.

    A part that the mode does not use may stand there: another mode is then a change of one word.
    """

    market: str = Field(description="Exchange of the tickers, by its market identifier code (ISO 10383).")
    tickers: Annotated[tuple[Ticker, ...], Field(min_length=1, max_length=2000)] | None = Field(
        None, description="Tickers that take part; absent: all of the market that have a model for every arm."
    )
    mode: Mode = Field("championChallenger", description="How the arm that answers is chosen.")
    stickiness: str = Field(
        "client", pattern=STICKINESS, description="What stays with its arm: `client`, `ticker` or `header:NAME`."
    )
    salt: str | None = Field(
        None, min_length=1, max_length=253, description="Another salt deals all keys anew; by default the name."
    )
    arms: Annotated[tuple[Arm, ...], Field(min_length=2, max_length=16)] = Field(
        description="Two arms or more, one of them named `champion`."
    )
    canary: Canary | None = Field(None, validate_default=True, description="The ramp of the mode `canary`.")
    bandit: Bandit = Field(default_factory=Bandit, description="The modes `thompson` and `epsilonGreedy`.")
    guardrails: Guardrails = Field(default_factory=Guardrails, description="What takes an arm out at once.")
    end: End = Field(default_factory=End, description="When it is over, and who decides.")

    @field_validator("market")
    @classmethod
    def _known_market(cls, value: str) -> str:
        return known_market(value)

    @field_validator("tickers")
    @classmethod
    def _tickers_trade_on_market(cls, value: tuple[str, ...] | None, info: ValidationInfo) -> tuple[str, ...] | None:
        found = [((), f"ticker {ticker!r} is listed twice") for ticker in repeated(value or ())]
        if value and "market" in info.data:
            found += [((), text) for text in unlisted(value, info.data["market"])]
        if found:
            raise mistakes(found)
        return value

    @field_validator("stickiness")
    @classmethod
    def _no_secret(cls, value: str) -> str:
        if value.partition(":")[2].lower() in _SECRET:
            raise ValueError(f"{value!r} would write a secret into the ledger; take client, or another header")
        return value

    @field_validator("arms")
    @classmethod
    def _arms_agree(cls, value: tuple[Arm, ...], info: ValidationInfo) -> tuple[Arm, ...]:
        found = _wrong_arms(value, info.data.get("mode", "championChallenger"))
        if found:
            raise mistakes(found)
        return value

    @field_validator("canary")
    @classmethod
    def _canary_is_an_arm(cls, value: Canary | None, info: ValidationInfo) -> Canary | None:
        arms = [arm.name for arm in info.data.get("arms", ()) if not arm.shadow and arm.name != CHAMPION]
        if value is None and info.data.get("mode") == "canary":
            raise ValueError("mode canary needs it: arm, and if you like steps and every")
        if value is not None and "arms" in info.data and value.arm not in arms:
            raise mistake(
                "arm", f"{value.arm!r} is no arm that could be let in; those are: {', '.join(arms) or 'none'}"
            )
        return value


def _wrong_arms(arms: Sequence[Arm], mode: Mode) -> list[tuple[tuple[str | int, ...], str]]:
    names = [arm.name for arm in arms]
    found: list[tuple[tuple[str | int, ...], str]] = [
        ((), f"{names.count(name)} arms have the name {name!r}; keep one, or rename") for name in repeated(names)
    ]
    if PREVIOUS in names:
        found.append(((names.index(PREVIOUS), "name"), f"{PREVIOUS!r} is the arm of the former champion while a "
                      "promotion is watched; take another"))  # fmt: skip
    if CHAMPION not in names:
        found.append(((), f"none is named {CHAMPION!r}, which the others are compared with; there are: "
                          f"{', '.join(names)}"))  # fmt: skip
    for at, arm in enumerate(arms):
        if arm.shadow and arm.name == CHAMPION:
            found.append(((at, "shadow"), "the champion answers when all else fails, and cannot be a shadow"))
        if arm.shadow and arm.weight:
            found.append(((at, "weight"), f"{arm.weight} of a shadow, which answers nobody; leave one of the two out"))
    answering = [(at, arm) for at, arm in enumerate(arms) if not arm.shadow]
    given = [arm.weight for _, arm in answering if arm.weight is not None]
    if len(answering) < 2 and mode not in ("fixed", "championChallenger"):
        found.append(((), f"mode {mode} needs 2 arms that are no shadows, not {len(answering)}"))
    if not given and (mode != "fixed" or len(answering) < 2):
        return found  # the mode has weights of its own to begin with
    found += [
        ((at, "weight"), f"is missing, and other arms have one; arm {arm.name!r} needs one, or shadow: true")
        for at, arm in answering
        if arm.weight is None
    ]
    if len(given) == len(answering) and abs(sum(given) - 1) > _CLOSE:
        found.append(((), f"the weights of arms that are no shadows sum to {sum(given):.10g}, and must sum to 1"))
    return found


def repeated(values: Iterable[str]) -> list[str]:
    """Return the values that are there more than once, each once."""
    listed = list(values)
    return [value for value in dict.fromkeys(listed) if listed.count(value) > 1]
