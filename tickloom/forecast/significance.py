"""Whether a difference of losses is more than chance.

Sources: Diebold and Mariano (1995), doi:10.1080/07350015.1995.10524599; the small-sample correction of Harvey,
Leybourne and Newbold (1997), doi:10.1016/S0169-2070(96)00719-4; Holm (1979); the model confidence set of Hansen, Lunde
and Nason (2011), doi:10.3982/ECTA5771, by the package arch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import bdtrc, stdtr

from tickloom.errors import TickloomError
from tickloom.forecast.history import Floats

Verdict = Literal["beats_naive", "indistinguishable", "worse"]
LEVEL = 0.05
_LEAST = 20


@dataclass(frozen=True)
class Comparison:
    """Outcome of a Diebold-Mariano test.

    Attributes
    ----------
    difference : float
        Mean of the first losses less the second's; below 0 where the first is better.
    statistic : float
        Corrected for small samples, distributed as t with n - 1 degrees of freedom.
    p_better, p_worse : float
        One-sided: of a first loss that is no lower, and of one that is no higher.
    n : int
    """

    difference: float
    statistic: float
    p_better: float
    p_worse: float
    n: int


def diebold_mariano(first: Floats, second: Floats, horizon: int = 1) -> Comparison:
    """Compare two series of losses of the same cutoffs, in their order.

    Parameters
    ----------
    first, second : float64[n]
    horizon
        Sessions ahead: losses of so many cutoffs in a row overlap, and ``horizon - 1`` autocovariances are counted.

    Raises
    ------
    TickloomError
        The series differ in length, or are too short.
    """
    n = len(first)
    if len(first) != len(second) or n < max(_LEAST, 2 * horizon):
        raise TickloomError(
            f"losses of {len(first)} and {len(second)} cutoffs at horizon {horizon} cannot be compared; both need the "
            f"same {max(_LEAST, 2 * horizon)} or more"
        )
    losses = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    if _alike(first, second):
        losses = np.zeros(n)
    mean = float(losses.mean())
    centred = losses - mean
    variance = _long_run(centred, horizon)
    if variance <= 0:  # equal forecasts, or no difference but a constant one
        same = 0.5 if mean == 0 else float(mean > 0)
        return Comparison(mean, 0.0 if mean == 0 else np.inf * np.sign(mean), same, 1 - same, n)
    correction = (n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n
    statistic = float(mean / np.sqrt(variance / n) * np.sqrt(correction))
    return Comparison(mean, statistic, float(stdtr(n - 1, statistic)), float(stdtr(n - 1, -statistic)), n)


def _long_run(centred: Floats, horizon: int) -> float:
    """Return the long-run variance: all lags alike, and weighed down (Bartlett) where that is not above 0."""
    n = len(centred)
    covariances = [float(centred[lag:] @ centred[: n - lag]) / n for lag in range(horizon)]
    flat = covariances[0] + 2 * sum(covariances[1:])
    if flat > 0:
        return flat
    return covariances[0] + 2 * sum((1 - lag / horizon) * it for lag, it in enumerate(covariances) if lag)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return p-values adjusted for that many tests, as by Holm."""
    from statsmodels.stats.multitest import multipletests

    if not p_values:
        return {}
    adjusted = multipletests(list(p_values.values()), method="holm")[1]
    return dict(zip(p_values, (float(it) for it in adjusted), strict=True))


def verdicts(losses: pd.DataFrame, reference: str, horizon: int) -> pd.DataFrame:
    """Judge each model against the reference on the same cutoffs.

    Parameters
    ----------
    losses : DataFrame
        A row for each cutoff in order, a column for each model.

    Returns
    -------
    DataFrame
        By model, without the reference: ``difference, statistic, p_better, p_worse`` (both adjusted over the models by
        Holm) and ``verdict``.
    """
    others = [str(name) for name in losses.columns if name != reference]
    found = {name: diebold_mariano(losses[name].to_numpy(), losses[reference].to_numpy(), horizon) for name in others}
    better = holm({name: it.p_better for name, it in found.items()})
    worse = holm({name: it.p_worse for name, it in found.items()})
    rows = {
        name: {
            "difference": it.difference,
            "statistic": it.statistic,
            "p_better": better[name],
            "p_worse": worse[name],
            "verdict": _verdict(better[name], worse[name]),
        }
        for name, it in found.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def _verdict(p_better: float, p_worse: float) -> Verdict:
    return "beats_naive" if p_better < LEVEL else "worse" if p_worse < LEVEL else "indistinguishable"


def confidence_set(losses: pd.DataFrame, horizon: int, *, size: float = 0.10, seed: int = 0) -> dict[str, float]:
    """Return each model's p-value of belonging to the model confidence set; at ``size`` and above it is in it.

    The block of the bootstrap is as long as losses overlap, and at least the cube root of their number. Models whose
    losses are equal, such as an ARIMA that chose no term and the random walk, stand as one.
    """
    from arch.bootstrap import MCS

    stands_for = _equal(losses)
    distinct = losses[list(dict.fromkeys(stands_for.values()))]
    if distinct.shape[1] == 1:
        return dict.fromkeys(stands_for, 1.0)
    block = max(horizon, round(len(losses) ** (1 / 3)))
    found = MCS(distinct, size, reps=1000, block_size=block, method="R", seed=seed)
    found.compute()
    return {name: float(found.pvalues["Pvalue"][first]) for name, first in stands_for.items()}


def _equal(losses: pd.DataFrame) -> dict[str, str]:
    """Return for each column the first one that is equal to it but for rounding."""
    found: dict[str, str] = {}
    for name in losses.columns:
        mine = losses[name].to_numpy()
        found[str(name)] = next((it for it in found.values() if _alike(losses[it].to_numpy(), mine)), str(name))
    return found


def _alike(first: Floats, second: Floats) -> bool:
    """Return whether losses differ by rounding alone, which no test must take for a difference."""
    return bool(np.allclose(first, second, rtol=1e-9, atol=0))


@dataclass(frozen=True)
class Direction:
    """How often the sign of the return was right.

    Attributes
    ----------
    accuracy : float
        Share of cutoffs; those without a forecast direction or without a move are left out.
    base_rate : float
        Share that the more frequent direction had: what always saying the same would reach.
    p_value : float
        One-sided binomial, against the base rate.
    n : int
    """

    accuracy: float
    base_rate: float
    p_value: float
    n: int


def direction(moved: Floats, forecast: Floats) -> Direction:
    """Judge the signs of forecast returns; NaN where no cutoff has both."""
    both = (moved != 0) & (forecast != 0)
    n = int(both.sum())
    if not n:
        return Direction(np.nan, np.nan, np.nan, 0)
    right = int((np.sign(moved[both]) == np.sign(forecast[both])).sum())
    up = float((moved[both] > 0).mean())
    base = max(up, 1 - up)
    p_value = 1.0 if base == 1 else float(bdtrc(right - 1, n, base))
    return Direction(right / n, base, p_value, n)
