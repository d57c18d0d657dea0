"""What is told of a forecast."""

from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from tickloom.serving.asked import BatchRequest, ForecastRequest
from tickloom.serving.problems import ProblemError
from tickloom.serving.routed import Routed
from tickloom.serving.sessions import Standing
from tickloom.serving.wire import Asked, Made

EPOCH = date(1970, 1, 1)
LAST, NAIVE = "last forecast", "naive"
"""Why an answer is not what the model says now: it is its last forecast, or the last close."""


def told(
    wanted: ForecastRequest | BatchRequest,
    asked: Asked,
    routed: Routed,
    made: Made,
    degraded: str | None,
    request: str,
    standing: Standing,
) -> dict[str, Any]:
    """Return the answer in JSON's types, as ``told.Answer`` describes it.

    Parameters
    ----------
    wanted
        What the request says.
    asked
        What of it the inference process was asked for one ticker.
    degraded
        Why this is not what the model says now, None where it is.
    standing
        Of the market.

    Raises
    ------
    ProblemError
        The model forecasts fewer sessions than are wanted.
    """
    longest = len(made["days"])
    if wanted.horizon is not None and wanted.horizon > longest:
        raise ProblemError(
            422, "horizon-too-long",
            f"horizon: {made['model']} of {asked['ticker']} forecasts {longest} sessions ahead, not "
            f"{wanted.horizon}; ask for {longest} or fewer",
            [{"field": "horizon", "problem": f"must be at most {longest}", "value": wanted.horizon}],
        )  # fmt: skip
    close, wanted_levels = made["close"], wanted.shares()
    sessions = []
    for at in range(min(wanted.horizon or (1 if degraded == NAIVE else longest), longest)):
        price = made["price"][at]
        spans = [
            {"level": round(100 * level, 6), "lower": lower[at], "upper": upper[at]}
            for level, lower, upper in zip(made["levels"], made["lower"], made["upper"], strict=False)
            if level in wanted_levels
        ]
        day = day_text(made["days"][at])
        sessions.append(
            {"session": day, "ahead": at + 1, "close": price, "change": price / close - 1, "intervals": spans}
        )
    last = standing.last if asked["as_of"] is None else standing.up_to(asked["as_of"])
    behind = standing.behind(made["cutoff"]) if asked["as_of"] is None else 0
    why = made.get("why")
    return {
        "request": request,
        "ticker": asked["ticker"],
        "market": asked["market"],
        "experiment": routed.experiment,
        "arm": routed.arm,
        "model": made["model"],
        "version": made["version"],
        "verdict": made["verdict"],
        "remark": made["remark"] or learned_later(made),
        "learned_to": made["learned_to"],
        "close": close,
        "forecast": sessions,
        "freshness": {
            "cutoff": day_text(made["cutoff"]),
            "last_session": day_text(last),
            "sessions_behind": behind,
        },
        "degraded": degraded,
        "why": None if why is None else [{"feature": name, "change": value} for name, value in why.items()],
    }


def learned_later(made: Made) -> str:
    """Return what must be said of a model that was fitted to sessions which it is asked to forecast."""
    if made["learned_to"] <= day_text(made["cutoff"]):
        return ""
    return f"it learned from sessions after the cutoff, to {made['learned_to']}: it may know what it forecasts"


@lru_cache(maxsize=10_000)
def day_text(days: int) -> str:
    """Return a date as ISO 8601 has it, from days since 1970."""
    return day(days).isoformat()


def day(days: int) -> date:
    """Return a date from days since 1970."""
    return EPOCH + timedelta(days=days)
