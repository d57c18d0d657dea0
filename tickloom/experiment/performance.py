"""What a model has reached on matured forecasts, beside the random walk: rows of ``model_performance``."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from scipy import stats

from tickloom.experiment.adaptation import walked
from tickloom.experiment.records import Forecast, Score
from tickloom.experiment.scoring import newest
from tickloom.forecast.significance import LEVEL, Comparison, diebold_mariano
from tickloom.store.ledger import Row

WINDOW = 250
"""Newest cutoffs that a figure is of."""
LEAST = 20
"""Cutoffs below which there is no verdict."""
MISS = "miss_"
_DAY_MS = 86_400_000
_NOMINAL = {"covered_80": ("coverage_80", 0.80), "covered_95": ("coverage_95", 0.95)}

Matured = tuple[Forecast, Score]


def performance(forecasts: Iterable[Forecast], scores: Iterable[Score]) -> list[Row]:
    """Return rows for one ticker, by model and sessions ahead, of the newest ``WINDOW`` cutoffs that have matured.

    ``mae`` and ``rmse`` are of log-returns, with the random walk's on the same cutoffs as ``baseline``, and ``rmsse``
    is the ratio of the two ``rmse``. Their verdict is that of a Diebold-Mariano test; ``lo_95`` and ``hi_95`` of
    ``mae`` are the baseline and the interval of the mean paired difference to it. The test is for one look, and these
    rows are made again and again: they describe, and decide nothing. ``coverage_80`` and ``coverage_95`` stand beside
    the level, ``miss_80`` and ``miss_95``, what the next intervals are to miss (`adaptation`), beside what that level
    promises to; ``direction`` beside the share of the more frequent direction, with exact binomial intervals.
    """
    counting = newest(scores)
    groups: dict[tuple[str, str, int], dict[int, Matured]] = defaultdict(dict)
    for it in forecasts:
        mine = counting.get(it.key)
        if mine is None:
            continue
        # a model that is an arm of several experiments counts once for each cutoff
        of_model = groups[it.interval, it.model, it.horizon]
        before = of_model.get(it.cutoff)
        if before is None or (it.recorded_us, it.experiment, it.arm) < _order(before[0]):
            of_model[it.cutoff] = (it, mine)
    found: list[Row] = []
    for (interval, model, horizon), by_cutoff in sorted(groups.items()):
        window = [by_cutoff[cutoff] for cutoff in sorted(by_cutoff)[-WINDOW:]]
        last = window[-1][0]
        place = {
            "ticker": last.ticker, "interval": interval, "model": model, "horizon": horizon,
            "cutoff": last.cutoff * _DAY_MS, "model_version": last.version,
        }  # fmt: skip
        found += [place | figures for figures in _figures(window, horizon)]
        found += [place | figures for figures in _misses([mine for _, mine in by_cutoff.values()])]
    return found


def _order(forecast: Forecast) -> tuple[int, str, str]:
    return forecast.recorded_us, forecast.experiment, forecast.arm


def _figures(matured: list[Matured], horizon: int) -> Iterator[dict[str, Any]]:
    scores = [score for _, score in matured]

    def column(name: str) -> Any:
        return np.array([it.losses[name] for it in scores if name in it.losses])

    absolute, walk = column("absolute"), column("random_walk_absolute")
    squared, squared_walk = column("squared"), column("random_walk_squared")
    enough = len(scores) >= max(LEAST, 2 * horizon)
    of_absolute = diebold_mariano(absolute, walk, horizon) if enough else None
    of_squared = diebold_mariano(squared, squared_walk, horizon) if enough else None
    yield {
        "metric": "mae", "value": float(absolute.mean()), "baseline": float(walk.mean()), "rows": len(scores),
        **_beside(float(walk.mean()), of_absolute),
    }  # fmt: skip
    rmse, baseline = math.sqrt(squared.mean()), math.sqrt(squared_walk.mean())
    verdict = {"rows": len(scores), "verdict": _verdict(of_squared)}
    yield {"metric": "rmse", "value": rmse, "baseline": baseline, **verdict}
    if baseline:
        yield {"metric": "rmsse", "value": rmse / baseline, "baseline": 1.0, **verdict}
    for name, (metric, level) in _NOMINAL.items():
        if len(inside := column(name)):
            yield {"metric": metric, "baseline": level, **_share(inside)}
    if len(right := column("direction")):
        up = np.mean([score.y > forecast.y_cutoff for forecast, score in matured if "direction" in score.losses])
        yield {"metric": "direction", "baseline": float(max(up, 1 - up)), **_share(right)}


def _misses(scores: list[Score]) -> Iterator[dict[str, Any]]:
    """Yield the shares of misses that the next intervals aim at, beside those that their levels promise."""
    for level, value in walked(scores).items():
        name = f"covered_{100 * level:g}"
        if known := sum(name in it.losses for it in scores):
            yield {"metric": f"{MISS}{100 * level:g}", "value": value, "baseline": 1 - level, "rows": known}


def _share(hits: Any) -> dict[str, Any]:
    interval = stats.binomtest(int(hits.sum()), len(hits)).proportion_ci()
    low, high = float(interval.low), float(interval.high)
    return {"value": float(hits.mean()), "lo_95": low, "hi_95": high, "rows": len(hits)}


def _beside(baseline: float, found: Comparison | None) -> dict[str, Any]:
    """Return the verdict, and the baseline with the 95 % interval of the mean difference to it."""
    if found is None or not math.isfinite(found.statistic) or found.statistic == 0:
        return {"verdict": _verdict(found)}
    half = abs(found.difference / found.statistic) * float(stats.t.ppf(0.975, found.n - 1))
    low, high = baseline + found.difference - half, baseline + found.difference + half
    return {"verdict": _verdict(found), "lo_95": low, "hi_95": high}


def _verdict(found: Comparison | None) -> str | None:
    if found is None:
        return None
    return "beats_naive" if found.p_better < LEVEL else "worse" if found.p_worse < LEVEL else "indistinguishable"
