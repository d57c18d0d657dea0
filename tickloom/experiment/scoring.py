"""What became of forecasts: losses of log-returns, beside those of the random walk, once a close is known."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tickloom.experiment.records import Forecast, ForecastKey, Score

Closes = Mapping[int, float]
"""Final closes of one ticker by session, days since 1970."""

QUANTILES = {"lo_95": 0.025, "lo_80": 0.1, "y_hat": 0.5, "hi_80": 0.9, "hi_95": 0.975}
"""The share of outcomes that is to lie below each bound."""


@dataclass(frozen=True)
class Scored:
    """What a look at forecasts found.

    Attributes
    ----------
    scores : tuple of Score
        New ones: of sessions that have matured, and of closes that were corrected.
    waiting : tuple of Forecast
        Their session's close is not known, nor that of any later one.
    without_close : tuple of Forecast
        Closes of later sessions are known and theirs is not: a holiday that was announced, or a missing bar. They are
        scored when a close comes after all.
    unusable : tuple of Forecast
        A price of theirs is no finite number above 0.
    """

    scores: tuple[Score, ...]
    waiting: tuple[Forecast, ...]
    without_close: tuple[Forecast, ...]
    unusable: tuple[Forecast, ...]


def score(forecasts: Iterable[Forecast], closes: Closes, known: Iterable[Score], now_us: int) -> Scored:
    """Score the forecasts of one ticker whose session's close is known, and whose score does not say so yet.

    Parameters
    ----------
    forecasts
        Of one ticker.
    closes
        Final ones alone: a close that a later record may change is not known yet.
    known
        Scores of these forecasts, of any revision.
    now_us
        When this is, UTC microseconds since 1970.
    """
    last = newest(known)
    latest = max(closes, default=-1)
    found: list[Score] = []
    waiting: list[Forecast] = []
    absent: list[Forecast] = []
    unusable: list[Forecast] = []
    for forecast in forecasts:
        y = closes.get(forecast.ds)
        if y is None:
            (absent if forecast.ds < latest else waiting).append(forecast)
            continue
        if not all(_positive(it) for it in (y, forecast.y_cutoff, forecast.y_hat)):
            unusable.append(forecast)
            continue
        before = last.get(forecast.key)
        if before is None or before.y != y:
            found.append(_score(forecast, y, 0 if before is None else before.revision + 1, now_us))
    return Scored(tuple(found), tuple(waiting), tuple(absent), tuple(unusable))


def losses(forecast: Forecast, y: float) -> dict[str, float]:
    """Return the losses of a forecast whose session closed at ``y``; see ``Score.losses``.

    ``pinball`` is the mean over the quantiles that are known (Koenker and Bassett 1978, doi:10.2307/1913643). A return
    of 0, or a forecast of 0, has no direction.
    """
    moved, expected = math.log(y / forecast.y_cutoff), math.log(forecast.y_hat / forecast.y_cutoff)
    found = {
        "absolute": abs(moved - expected),
        "squared": (moved - expected) ** 2,
        "random_walk_absolute": abs(moved),
        "random_walk_squared": moved**2,
    }
    if moved and expected:
        found["direction"] = float((moved > 0) == (expected > 0))
    for level in ("80", "95"):
        low, high = getattr(forecast, f"lo_{level}"), getattr(forecast, f"hi_{level}")
        if math.isfinite(low) and math.isfinite(high):
            found[f"covered_{level}"] = float(low <= y <= high)
    bounds = {name: getattr(forecast, name) for name in QUANTILES}
    if all(_positive(it) for it in bounds.values()):
        errors = {name: moved - math.log(it / forecast.y_cutoff) for name, it in bounds.items()}
        pinball = [max(share * errors[name], (share - 1) * errors[name]) for name, share in QUANTILES.items()]
        found["pinball"] = sum(pinball) / len(pinball)
    return found


def newest(scores: Iterable[Score]) -> dict[ForecastKey, Score]:
    """Return of each forecast the score that counts: that of the highest revision."""
    found: dict[ForecastKey, Score] = {}
    for it in scores:
        if it.key not in found or found[it.key].revision < it.revision:
            found[it.key] = it
    return found


def compared(scores: Iterable[Score], arms: Sequence[str]) -> dict[int, list[dict[str, Score]]]:
    """Return by horizon, in the order of tickers and cutoffs, the scores of the cutoffs that every arm has forecast.

    Parameters
    ----------
    scores
        Of one experiment, of any revision; the highest counts.
    arms
        Those that must all have forecast.
    """
    places: dict[tuple[int, str, int], dict[str, Score]] = defaultdict(dict)
    for it in newest(scores).values():
        if it.arm in arms:
            places[it.horizon, it.ticker, it.cutoff][it.arm] = it
    found: dict[int, list[dict[str, Score]]] = {}
    for place, by_arm in sorted(places.items(), key=lambda it: it[0]):
        # the same close for all: an arm that still waits for a correction would be compared with another outcome
        if len(by_arm) == len(set(arms)) and len({it.y for it in by_arm.values()}) == 1:
            found.setdefault(place[0], []).append(by_arm)
    return found


def _score(forecast: Forecast, y: float, revision: int, now_us: int) -> Score:
    return Score(
        forecast.experiment, forecast.arm, forecast.market, forecast.ticker, forecast.interval, forecast.cutoff,
        forecast.horizon, forecast.ds, y, losses(forecast, y), revision, now_us,
    )  # fmt: skip


def _positive(value: float) -> bool:
    return math.isfinite(value) and value > 0
