"""How far the newest sessions lie from the reference: one number a look, for many series at a time.

Arrays have a row for each series and a column for each session. A statistic of ``window`` sessions has a value for each
session from the ``window``-th on, and a large one speaks of drift.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from tickloom.monitor.resampling import Columns, Floats

QUICK, SLOW = 15, 60
"""Sessions of the two windows: three weeks, in which a doubled volatility must show, and a quarter."""
_MOST = 9.0
"""A squared deviation counts as three standard deviations at most: one crash is no drift."""
_CUTS = 20
_SLACK = 0.5  # half of the way to a variance that is twice the usual


@dataclass(frozen=True)
class Statistic:
    """One measure of drift.

    Attributes
    ----------
    name : str
    window : int
        Sessions that a value is of.
    weight : float
        Share of the false alarms that it may make; those of a family sum to 1.
    of : callable
        From the reference's columns, float64[series, n], and later ones, float64[series, T], to
        float64[series, T - window + 1].
    columns : tuple of str
        What it reads.
    """

    name: str
    window: int
    weight: float
    of: Callable[[Columns, Columns], Floats]
    columns: tuple[str, ...] = ("value",)


def rolled(values: Floats, window: int) -> Floats:
    """Return means of all runs of ``window`` neighbours, float64[series, T - window + 1]."""
    sums = np.cumsum(values, axis=1)
    sums = np.concatenate([np.zeros((len(sums), 1)), sums], axis=1)
    return np.asarray((sums[:, window:] - sums[:, :-window]) / window)


def _standard(reference: Floats, later: Floats) -> tuple[Floats, Floats]:
    """Return both in standard deviations of the reference from its mean; one that never moves keeps its unit."""
    mean = reference.mean(axis=1, keepdims=True)
    scale = reference.std(axis=1, keepdims=True)
    scale = np.where(scale > 1e-12 * np.maximum(np.abs(mean), 1e-300), scale, 1.0)
    return (reference - mean) / scale, (later - mean) / scale


def _location(window: int) -> Callable[[Columns, Columns], Floats]:
    def of(reference: Columns, later: Columns) -> Floats:
        _, now = _standard(reference["value"], later["value"])
        return np.asarray(np.abs(rolled(now, window)) * np.sqrt(window))

    return of


def _spread(reference: Columns, later: Columns, window: int) -> Floats:
    """Return the mean squared deviation beside the reference's, each deviation cut off."""
    before, now = _standard(reference["value"], later["value"])
    usual = np.minimum(before**2, _MOST).mean(axis=1, keepdims=True)
    return np.asarray(rolled(np.minimum(now**2, _MOST), window) / np.where(usual > 0, usual, 1.0))


def _louder(window: int) -> Callable[[Columns, Columns], Floats]:
    return lambda reference, later: _spread(reference, later, window)


def _scale(window: int) -> Callable[[Columns, Columns], Floats]:
    return lambda reference, later: np.abs(np.log(_spread(reference, later, window) + 1e-12))


def _distribution(window: int) -> Callable[[Columns, Columns], Floats]:
    """Return the Wasserstein distance between the two laws, from their distribution functions at 20 points.

    It is the area between them (Vallender 1974, doi:10.1137/1118101); the points are quantiles of the reference.
    """

    def of(reference: Columns, later: Columns) -> Floats:
        before, now = _standard(reference["value"], later["value"])
        cuts = np.quantile(before[0], np.linspace(0.025, 0.975, _CUTS))
        found = np.zeros((len(now), now.shape[1] - window + 1))
        for cut, wide in zip(cuts, np.gradient(cuts), strict=True):
            share = (before <= cut).mean(axis=1, keepdims=True)
            found += wide * np.abs(rolled((now <= cut).astype(np.float64), window) - share)
        return found

    return of


def _autocorrelation(window: int) -> Callable[[Columns, Columns], Floats]:
    def of(reference: Columns, later: Columns) -> Floats:
        before, now = _standard(reference["value"], later["value"])
        usual = (before[:, 1:] * before[:, :-1]).mean(axis=1, keepdims=True)
        return np.asarray(np.abs(rolled(now[:, 1:] * now[:, :-1], window - 1) - usual))

    return of


def _errors(window: int) -> Callable[[Columns, Columns], Floats]:
    """Return the mean squared error beside the reference's; one counts as nine of the usual at most."""

    def of(reference: Columns, later: Columns) -> Floats:
        usual = (reference["absolute"] ** 2).mean(axis=1, keepdims=True)
        usual = np.where(usual > 0, usual, 1.0)
        cut = np.minimum(reference["absolute"] ** 2 / usual, _MOST).mean(axis=1, keepdims=True)
        return np.asarray(
            rolled(np.minimum(later["absolute"] ** 2 / usual, _MOST), window) / np.where(cut > 0, cut, 1.0)
        )

    return of


def _surprise(window: int) -> Callable[[Columns, Columns], Floats]:
    """Return Page's sum of squared errors beside what their intervals promised (doi:10.1093/biomet/41.1-2.100).

    It grows by what a squared error is above one and a half of the usual, and never falls below 0, from the first
    session that it is given on. It is quicker than a window, and volatility that was foreseen does not move it.
    """

    def of(reference: Columns, later: Columns) -> Floats:
        usual = np.minimum((reference["absolute"] / reference["promised"]) ** 2, _unit(reference) * _MOST)
        usual = usual.mean(axis=1, keepdims=True)
        cut = np.minimum((later["absolute"] / later["promised"]) ** 2, _unit(reference) * _MOST)
        above = cut / np.where(usual > 0, usual, 1.0) - 1 - _SLACK
        total, found = np.zeros(len(above)), np.empty(above.shape)
        for at in range(above.shape[1]):
            total = np.maximum(0.0, total + above[:, at])
            found[:, at] = total
        return found[:, window - 1 :]

    return of


def _unit(reference: Columns) -> Floats:
    return np.asarray(((reference["absolute"] / reference["promised"]) ** 2).mean(axis=1, keepdims=True))


def _skill(window: int) -> Callable[[Columns, Columns], Floats]:
    """Return by how much the forecaster lost on the random walk, in standard deviations of their difference."""

    def of(reference: Columns, later: Columns) -> Floats:
        before = reference["absolute"] - reference["random_walk_absolute"]
        now = later["absolute"] - later["random_walk_absolute"]
        scale = before.std(axis=1, keepdims=True)
        mean = before.mean(axis=1, keepdims=True)
        return np.asarray((rolled(now, window) - mean) / np.where(scale > 0, scale, 1.0) * np.sqrt(window))

    return of


def _misses(name: str, window: int) -> Callable[[Columns, Columns], Floats]:
    return lambda reference, later: rolled(1 - later[name], window) - (1 - reference[name]).mean(axis=1, keepdims=True)


def of_series(slow: int = SLOW) -> tuple[Statistic, ...]:
    """Return those of returns and of features.

    A louder market has more than half of the false alarms to itself: it alone can be told in three weeks.
    """
    return (
        Statistic("volatility", QUICK, 0.6, _louder(QUICK)),
        Statistic("location", slow, 0.1, _location(slow)),
        Statistic("scale", slow, 0.1, _scale(slow)),
        Statistic("distribution", slow, 0.1, _distribution(slow)),
        Statistic("autocorrelation", slow, 0.1, _autocorrelation(slow)),
    )


def of_losses(slow: int = SLOW, *, promised: bool = True) -> tuple[Statistic, ...]:
    """Return those of matured losses; where the columns of one are not known, the others share its weight.

    Parameters
    ----------
    promised
        Whether intervals are known: an error is told beside the one that was promised, and not beside the usual one.
    """
    first = (
        Statistic("surprise", slow, 0.6, _surprise(slow), ("absolute", "promised"))
        if promised
        else Statistic("error", QUICK, 0.6, _errors(QUICK), ("absolute",))
    )
    return (
        first,
        Statistic("misses_80", QUICK, 0.1, _misses("covered_80", QUICK), ("covered_80",)),
        Statistic("misses_95", slow, 0.1, _misses("covered_95", slow), ("covered_95",)),
        Statistic("skill", slow, 0.2, _skill(slow), ("absolute", "random_walk_absolute")),
    )


def usable(statistics: tuple[Statistic, ...], columns: Mapping[str, Floats]) -> tuple[Statistic, ...]:
    """Return those whose columns are there and known throughout."""
    known = {name for name, values in columns.items() if np.isfinite(values).all()}
    return tuple(it for it in statistics if known.issuperset(it.columns))
