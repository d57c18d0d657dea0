"""The Sharpe ratio of the best of many trials, deflated by how many there were.

Source: Bailey and Lopez de Prado (2014), The Deflated Sharpe Ratio, Journal of Portfolio Management 40(5), 94-107,
doi:10.3905/jpm.2014.40.5.094.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import e, sqrt
from typing import Self

import numpy as np
from scipy.special import ndtr, ndtri

from tickloom.forecast.history import Floats


@dataclass(frozen=True)
class Returns:
    """What the formula needs of a series of returns.

    Attributes
    ----------
    sharpe : float
        Mean by standard deviation of a session's return, not annualised; 0 where nothing moved.
    sessions : int
    skewness, kurtosis : float
        Of the returns; 0 and 3 where they are normal.
    """

    sharpe: float
    sessions: int
    skewness: float = 0.0
    kurtosis: float = 3.0

    @classmethod
    def of(cls, returns: Floats) -> Self:
        """Describe float64[n]."""
        spread = float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
        if not spread > 0:
            return cls(0.0, len(returns))
        from scipy import stats  # takes long to import, and only trials need it

        skewness, kurtosis = stats.skew(returns), stats.kurtosis(returns, fisher=False)
        return cls(float(returns.mean()) / spread, len(returns), float(skewness), float(kurtosis))


def expected_maximum(sharpes: Sequence[float]) -> float:
    """Return the greatest Sharpe ratio to be expected of so many trials of no worth (equation 1 of the source).

    Parameters
    ----------
    sharpes
        Of all trials, whose variance says how much they differ.
    """
    return maximum_of(len(sharpes), float(np.var(sharpes, ddof=1)) if len(sharpes) > 1 else 0.0)


def maximum_of(trials: int, variance: float) -> float:
    """Return the same from the number of independent trials and the variance of their Sharpe ratios."""
    if trials < 2 or variance <= 0:
        return 0.0
    quantiles = ndtri([1 - 1 / trials, 1 - 1 / (trials * e)])
    return sqrt(variance) * float((1 - np.euler_gamma) * quantiles[0] + np.euler_gamma * quantiles[1])


def deflated(best: Returns, threshold: float) -> float:
    """Return the probability that the true Sharpe ratio is above a threshold (equation 2 of the source).

    Parameters
    ----------
    best
        Returns of the chosen trial.
    threshold
        ``expected_maximum`` of all trials; 0 gives the probabilistic Sharpe ratio of a single one.
    """
    if best.sessions < 2:
        return float("nan")
    spread = 1 - best.skewness * best.sharpe + (best.kurtosis - 1) / 4 * best.sharpe**2
    return float(ndtr((best.sharpe - threshold) * sqrt(best.sessions - 1) / sqrt(max(spread, 1e-12))))
