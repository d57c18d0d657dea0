"""What a client returns; all prices are in the market's currency."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from tickloom.client.errors import ServiceError


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a close is expected to fall.

    Attributes
    ----------
    level : float
        Per cent of outcomes that it is to hold.
    lower, upper : float
    """

    level: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Session:
    """The forecast of one session.

    Attributes
    ----------
    session : date
    ahead : int
        Sessions after the last known one.
    close : float
    change : float
        Of the last known close, as a fraction.
    intervals : tuple of Interval
        Empty where the model's errors are not known.
    """

    session: date
    ahead: int
    close: float
    change: float
    intervals: tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class Forecast:
    """A forecast of a ticker's next sessions.

    Attributes
    ----------
    ticker, market : str
    sessions : tuple of Session
    close : float
        The last known close, that of ``cutoff``.
    cutoff, last_session : date
        The last session whose close is known, and the last one that has ended.
    sessions_behind : int
        Between the two.
    experiment, arm, model, version : str
        Who made it.
    verdict, remark : str
        Against the random walk, in walk-forward.
    learned_to : date
        Last session that the model was fitted to.
    degraded : str or None
        Why this is not what the model says now: ``last forecast``, or ``naive``, the last close.
    why : dict of str to float, or None
        Log-return by which each feature moves the next session's forecast, where that was asked for and is known.
    request : str
        Id of the request.
    raw : mapping
        The answer as it came.
    """

    ticker: str
    market: str
    sessions: tuple[Session, ...]
    close: float
    cutoff: date
    last_session: date
    sessions_behind: int
    experiment: str
    arm: str
    model: str
    version: str
    verdict: str
    remark: str
    learned_to: date
    degraded: str | None
    why: Mapping[str, float] | None
    request: str
    raw: Mapping[str, Any]

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Forecast":
        """Read an answer."""
        sessions = tuple(
            Session(
                date.fromisoformat(it["session"]), it["ahead"], it["close"], it["change"],
                tuple(Interval(one["level"], one["lower"], one["upper"]) for one in it["intervals"]),
            )
            for it in told["forecast"]
        )  # fmt: skip
        fresh, why = told["freshness"], told.get("why")
        names = ("ticker", "market", "close", "experiment", "arm", "model", "version", "verdict", "remark", "degraded")
        return cls(
            sessions=sessions,
            cutoff=date.fromisoformat(fresh["cutoff"]),
            last_session=date.fromisoformat(fresh["last_session"]),
            sessions_behind=fresh["sessions_behind"],
            learned_to=date.fromisoformat(told["learned_to"]),
            why=None if why is None else {it["feature"]: it["change"] for it in why},
            request=told["request"],
            raw=told,
            **{name: told[name] for name in names},
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """Forecasts in the order of the tickers that were asked for.

    Attributes
    ----------
    forecasts : tuple of Forecast or None
        None where there is none.
    errors : tuple of ServiceError or None
        Why there is none.
    """

    forecasts: tuple[Forecast | None, ...]
    errors: tuple[ServiceError | None, ...]

    @classmethod
    def of(cls, told: Mapping[str, Sequence[Any]]) -> "Batch":
        """Read an answer."""
        return cls(
            tuple(None if it is None else Forecast.of(it) for it in told["forecasts"]),
            tuple(None if it is None else ServiceError.of(it) for it in told["problems"]),
        )


@dataclass(frozen=True, slots=True)
class Model:
    """A version that an alias names."""

    ticker: str
    market: str
    alias: str
    version: str


@dataclass(frozen=True, slots=True)
class Ticker:
    """A ticker that can be forecast; ``name`` is None where no list of instruments has it."""

    ticker: str
    market: str
    name: str | None
    aliases: tuple[str, ...]
