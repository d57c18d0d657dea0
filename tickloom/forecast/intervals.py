"""Conformal intervals around forecasts, each from the errors that were known when it was made.

An error of the cutoff s at horizon h is known at session s + h and not before. The first cutoffs have no interval:
their errors are what the later ones are calibrated with. Three ways:

``split``
    Before each fold, from all errors known then, at the same distance on both sides (mapie's SplitConformalRegressor).
``enbpi``
    At each cutoff, from the newest ``window`` errors, each side for itself. That is the sequential half of EnbPI (Xu
    and Xie 2021, arXiv:2010.09107); its other half, a bootstrap ensemble, is not needed where errors come from
    forecasts out of the sample, as a walk-forward's do.
``aci``
    As ``enbpi``, and the share of misses aimed at is moved up after an outcome inside and down after one outside, by
    ``gamma`` (Gibbs and Candès 2021, arXiv:2106.00170). An outcome h sessions ahead is judged by the interval that was
    given for it.

mapie's TimeSeriesRegressor does the last two as well, and tests hold both equal where it can: at horizon 1 with a full
window. It has no word for an outcome that is known only h sessions later, and takes 0.2 to 0.4 ms a step; this takes a
fiftieth.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tickloom.errors import TickloomError
from tickloom.forecast.history import Floats, History
from tickloom.forecast.residuals import (
    LEVELS,
    METHODS,
    ConformalResiduals,
    Method,
    labels,
    least_scores,
    nested,
    two_sided,
)

Counts = npt.NDArray[np.int64]
CALIBRATION = 100
WINDOW = 250
GAMMA = 0.01
_DECAYS = (0.94, 0.995)  # the first from the RiskMetrics Technical Document, 4th edition, 1996, section 5.3
_WARM_UP = 20


def volatility(history: History) -> Floats:
    """Return the standard deviation of daily log-returns known at each close, float64[n].

    The root of two exponentially weighted means of squared returns, averaged: one of the last weeks and one of the last
    year. The first alone overshoots, since volatility goes back to its mean: its intervals are too narrow in calm times
    and too wide in wild ones. NaN for the first 20 sessions.
    """
    squares = pd.Series(np.diff(np.log(history.close), prepend=np.nan) ** 2)
    means = [squares.ewm(alpha=1 - decay, min_periods=_WARM_UP).mean().to_numpy(np.float64) for decay in _DECAYS]
    found: Floats = np.sqrt(np.mean(means, axis=0))
    return found


def with_volatility(long: pd.DataFrame, histories: Iterable[History]) -> pd.DataFrame:
    """Return forecasts with the column ``volatility``, that of the cutoff.

    Raises
    ------
    TickloomError
        A ticker has no history, or a cutoff lies where it is not known or is 0.
    """
    known = pd.concat(
        [
            pd.DataFrame(
                {
                    "unique_id": it.ticker,
                    "cutoff": it.day.astype("datetime64[D]").astype("datetime64[s]"),
                    "volatility": volatility(it),
                }
            )
            for it in histories
        ]
    ).set_index(["unique_id", "cutoff"])["volatility"]
    found = known.reindex(pd.MultiIndex.from_frame(long[["unique_id", "cutoff"]])).to_numpy()
    wrong = np.flatnonzero(~(found > 0))
    if len(wrong):
        row = long.iloc[wrong[0]]
        raise TickloomError(
            f"{row['unique_id']}: volatility at {row['cutoff']:%Y-%m-%d} is {found[wrong[0]]:g}; it needs "
            f"{_WARM_UP} sessions before the cutoff and a price that moves; start later, or do not scale by it"
        )
    return long.assign(volatility=found)


def with_intervals(
    long: pd.DataFrame,
    method: Method = "enbpi",
    *,
    levels: Sequence[float] = LEVELS,
    calibration: int = CALIBRATION,
    window: int = WINDOW,
    gamma: float = GAMMA,
    scaled: bool = True,
) -> pd.DataFrame:
    """Return the forecasts of a walk-forward with ``lo-80, hi-80, lo-95, hi-95`` in prices.

    Parameters
    ----------
    long : DataFrame
        Of ``walk_forward``; where ``scaled``, with ``volatility``.
    levels
        In rising order; each interval holds those before it.
    calibration
        Errors that must be known before the first interval; before, the columns are NaN.
    window
        Errors that ``enbpi`` and ``aci`` look back on.
    gamma
        Step of ``aci``, 0..1.
    scaled
        Divide errors by the volatility known at their cutoff (times the root of the horizon) and multiply by that of
        the new one. Without it, an interval is as wide in calm weeks as in wild ones: it holds 95 % over the years and
        far fewer in the weeks that matter.

    Raises
    ------
    TickloomError
        The method is unknown, or the levels need more errors than ``calibration``.
    """
    _check(method, levels, calibration, window, gamma)
    names = [name for pair in labels(levels) for name in pair]
    parts = []
    for _, group in long.groupby(["unique_id", "model", "seed", "h"], sort=False):
        one = group.sort_values("cutoff", kind="stable")
        series = _Series(one, scaled)
        if method == "split":
            bounds = _split(series, one["fold"].to_numpy(), levels, calibration)
        else:
            bounds, _ = _walk(series, levels, calibration, window, gamma if method == "aci" else 0.0)
        shape = (len(one), len(names))
        moves = series.forecast[:, None] + series.scale[:, None] * nested(bounds).reshape(shape)
        prices = one["y_cutoff"].to_numpy()[:, None] * np.exp(moves)
        parts.append(pd.DataFrame(prices, one.index, names))
    return long.join(pd.concat(parts)) if parts else long.assign(**dict.fromkeys(names, np.nan))


def conformal_residuals(
    long: pd.DataFrame,
    model: str,
    method: Method = "enbpi",
    *,
    levels: Sequence[float] = LEVELS,
    window: int = WINDOW,
    calibration: int = CALIBRATION,
    gamma: float = GAMMA,
    scaled: bool = True,
) -> ConformalResiduals:
    """Return what a saved model needs for the intervals of the forecasts after the walk-forward.

    Parameters
    ----------
    long : DataFrame
        Of one ticker. Of a model with several seeds the errors of the first are taken.

    Raises
    ------
    TickloomError
        The model is not in it, there are several tickers, or too few outcomes are known.
    """
    _check(method, levels, calibration, window, gamma)
    mine = long[long["model"] == model]
    if mine["unique_id"].nunique() != 1:
        raise TickloomError(
            f"model {model!r} has forecasts of {mine['unique_id'].nunique()} tickers here, and errors are of one; "
            f"models: {', '.join(sorted(long['model'].unique()))}"
        )
    mine = mine[(mine["seed"] == mine["seed"].min()) & mine["y"].notna()].sort_values("cutoff")
    scores, misses = [], []
    for ahead, one in mine.groupby("h", sort=True):
        series = _Series(one, scaled)
        if len(one) < calibration:
            raise TickloomError(
                f"{model}: {len(one)} outcomes {ahead} sessions ahead are known and {calibration} are needed; "
                "take more or longer folds"
            )
        kept = series.scores if method == "split" else series.scores[-window:]
        _, adapted = _walk(series, levels, calibration, window, gamma if method == "aci" else 0.0)
        scores.append(kept)
        misses.append(adapted)
    return ConformalResiduals(model, method, tuple(levels), scaled, tuple(scores), np.array(misses))


def _check(method: Method, levels: Sequence[float], calibration: int, window: int, gamma: float) -> None:
    if method not in METHODS:
        raise TickloomError(f"intervals {method!r} are unknown; known: {', '.join(METHODS)}")
    if not levels or list(levels) != sorted(levels) or not all(0 < it < 1 for it in levels):
        raise TickloomError(f"levels {list(levels)} must be fractions in rising order, such as 0.8, 0.95")
    least = least_scores(levels)
    for name, value in (("calibration", calibration), ("window", window)):
        if value < least:
            raise TickloomError(f"{name} {value} must be {least} or more: level {max(levels):g} needs so many errors")
    if not 0 <= gamma <= 1:
        raise TickloomError(f"gamma {gamma} must lie between 0 and 1")


class _Series:
    """Forecasts of one ticker, model, seed and horizon in the order of their cutoffs."""

    def __init__(self, one: pd.DataFrame, scaled: bool) -> None:
        now = np.log(one["y_cutoff"].to_numpy())
        self.forecast: Floats = np.log(one["y_hat"].to_numpy()) - now
        self.outcome: Floats = np.log(one["y"].to_numpy()) - now
        unit = np.ones(len(one))
        if scaled:
            if "volatility" not in one:
                raise TickloomError("forecasts have no column volatility; add it (with_volatility) or do not scale")
            unit = one["volatility"].to_numpy() * np.sqrt(one["h"].to_numpy(np.float64))
        self.scale: Floats = unit
        self.scores: Floats = (self.outcome - self.forecast) / unit
        self.known: Counts = np.searchsorted(one["ds"].to_numpy(), one["cutoff"].to_numpy(), side="right")
        """How many of the scores are known at each cutoff."""


def _walk(
    series: _Series, levels: Sequence[float], calibration: int, window: int, gamma: float
) -> tuple[Floats, Floats]:
    """Return bounds in units of the scale, float64[m, levels, 2], and the shares of misses aimed at in the end."""
    aimed = 1 - np.asarray(levels)
    misses = aimed.copy()
    scores = series.scores.tolist()
    bounds = np.full((len(scores), len(levels), 2), np.nan)
    held: list[float] = []
    taken = 0

    def take() -> None:
        nonlocal misses, taken
        score = scores[taken]
        if gamma and not np.isnan(bounds[taken, 0, 0]):
            inside = (bounds[taken, :, 0] < score) & (score < bounds[taken, :, 1])
            misses = np.clip(misses + gamma * (aimed - ~inside), 0, 1)
        insort(held, score)
        if taken >= window:
            del held[bisect_left(held, scores[taken - window])]
        taken += 1

    for at, known in enumerate(series.known.tolist()):
        while taken < known:
            take()
        if taken >= calibration:
            bounds[at] = [two_sided(held, miss) for miss in misses.tolist()]
    while taken < len(scores) and not np.isnan(scores[taken]):
        take()  # outcomes after the last cutoff, for the forecasts that follow
    return bounds, misses


def _split(series: _Series, folds: npt.NDArray[Any], levels: Sequence[float], calibration: int) -> Floats:
    """Return bounds in units of the scale, float64[m, levels, 2]: mapie's, calibrated before each fold."""
    from mapie.regression import SplitConformalRegressor

    bounds = np.full((len(folds), len(levels), 2), np.nan)
    inputs, outcomes = (series.forecast / series.scale)[:, None], series.outcome / series.scale
    for fold in np.unique(folds):
        rows = np.flatnonzero(folds == fold)
        known = int(series.known[rows[0]])
        if known < calibration:
            continue
        fitted = SplitConformalRegressor(given(), confidence_level=list(levels), prefit=True)
        fitted.conformalize(inputs[:known], outcomes[:known])
        _, found = fitted.predict_interval(inputs[rows])
        bounds[rows] = np.swapaxes(found, 1, 2) - inputs[rows][:, :, None]
    return bounds


def given() -> Any:
    """Return an estimator for mapie that is fitted already and answers with its only column, the forecast."""
    from sklearn.base import BaseEstimator, RegressorMixin

    class Given(RegressorMixin, BaseEstimator):  # type: ignore[misc]
        is_fitted = True

        def fit(self, inputs: Floats, outcomes: Floats) -> "Given":
            return self

        def predict(self, inputs: Floats) -> Floats:
            column: Floats = np.asarray(inputs)[:, 0]
            return column

    return Given()
