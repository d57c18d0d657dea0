"""Whether intervals hold what they promise, and whether probabilities mean what they say: tests of matured forecasts.

They are for one look. Looked at after each session they are wrong more often than their p-values say, so they are told
and decide nothing; what decides are the misses among the losses, whose thresholds answer for a year of looks.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from tickloom.errors import TickloomError
from tickloom.experiment.records import Forecast, Score
from tickloom.experiment.scoring import newest
from tickloom.monitor.resampling import Floats

Bools = npt.NDArray[np.bool_]
LEVELS = (0.8, 0.95)
LEAST = 20
_BINS = 10


@dataclass(frozen=True)
class Coverage:
    """How intervals of one level held.

    Attributes
    ----------
    level : float
        Promised, a share.
    horizon : int
        Sessions ahead.
    n, misses : int
    covered : float
        Share of outcomes inside.
    p_share : float
        Of the exact binomial test that misses are as frequent as promised.
    p_apart : float
        That a miss is as likely after a miss as after none; NaN where it cannot be told. Of every horizon-th cutoff,
        since intervals of cutoffs nearer to each other share returns.
    p_both : float
        Of frequency and independence together; NaN where the second is.
    """

    level: float
    horizon: int
    n: int
    misses: int
    covered: float
    p_share: float
    p_apart: float
    p_both: float


def coverage(scores: Iterable[Score], horizon: int = 1) -> list[Coverage]:
    """Test the intervals of one arm's matured forecasts ``horizon`` sessions ahead, those of a level that has 20.

    Likelihood ratios of Christoffersen (1998, doi:10.2307/2527341).
    """
    ordered = sorted((it for it in newest(scores).values() if it.horizon == horizon), key=lambda it: it.cutoff)
    found = []
    for level in LEVELS:
        name = f"covered_{100 * level:g}"
        missed = np.array([not it.losses[name] for it in ordered if name in it.losses], np.bool_)
        if len(missed) >= LEAST:
            found.append(judged(missed, level, horizon))
    return found


def judged(missed: Bools, level: float, horizon: int = 1) -> Coverage:
    """Test outcomes in the order of their cutoffs.

    Raises
    ------
    TickloomError
        There is none.
    """
    n, misses = len(missed), int(missed.sum())
    if not n:
        raise TickloomError(f"intervals of {level:.0%}: no forecast has matured; wait for one, or score the ledger")
    apart = missed[::horizon]
    independence = _dependence(apart)
    share = _likelihood(int(apart.sum()), len(apart), 1 - level)
    p_both = float(stats.chi2.sf(independence + share, 2)) if math.isfinite(independence) else math.nan
    return Coverage(
        level, horizon, n, misses, 1 - misses / n, float(stats.binomtest(misses, n, 1 - level).pvalue),
        float(stats.chi2.sf(independence, 1)) if math.isfinite(independence) else math.nan, p_both,
    )  # fmt: skip


def _likelihood(misses: int, n: int, share: float) -> float:
    """Return twice the log-likelihood ratio of the share seen against the one promised."""
    seen = misses / n
    return 2 * (_log(misses, seen) + _log(n - misses, 1 - seen) - _log(misses, share) - _log(n - misses, 1 - share))


def _dependence(missed: Bools) -> float:
    """Return twice the log-likelihood ratio of a Markov chain against independence; NaN without misses or hits."""
    before, after = missed[:-1], missed[1:]
    if before.all() or not before.any():
        return math.nan
    pooled = float(after.mean())
    total = 0.0
    for state in (True, False):
        mine = after[before == state]
        hits, share = int(mine.sum()), float(mine.mean())
        total += _log(hits, share) + _log(len(mine) - hits, 1 - share)
        total -= _log(hits, pooled) + _log(len(mine) - hits, 1 - pooled)
    return max(0.0, 2 * total)


def _log(count: int, share: float) -> float:
    return count * math.log(share) if count else 0.0


@dataclass(frozen=True)
class Calibration:
    """Whether what was given a probability came as often.

    Attributes
    ----------
    n : int
    brier, climatology : float
        Mean squared error of the probabilities, and of always saying the share that came.
    z, p : float
        Spiegelhalter's statistic and its two-sided p-value.
    bins : list of (float, float, int)
        Mean probability, share that came, and number, by tenths of the probability; empty ones are left out.
    """

    n: int
    brier: float
    climatology: float
    z: float
    p: float
    bins: list[tuple[float, float, int]]


BOUNDS = (0.025, 0.1, 0.9, 0.975)
"""Probabilities of a price below ``lo_95``, ``lo_80``, ``hi_80`` and ``hi_95``."""


def rises(forecasts: Iterable[Forecast], scores: Iterable[Score]) -> tuple[Floats, Bools]:
    """Return the probability of a rise that each matured forecast's intervals imply, and whether it came.

    The ledger holds no probabilities but those of four bounds; in between them they are taken as linear in the
    log-price, and beyond them as those of the bounds. Forecasts without intervals, and closes that did not move, are
    left out.

    Parameters
    ----------
    forecasts, scores
        Of one arm, one session ahead, so that no two outcomes overlap.
    """
    known = newest(scores)
    made = sorted((it for it in forecasts if it.key in known), key=lambda it: it.ds)
    told: list[tuple[float, bool]] = []
    for it in made:
        levels = np.array([it.lo_95, it.lo_80, it.hi_80, it.hi_95], np.float64)
        y = known[it.key].y
        if (levels > 0).all() and (np.diff(levels) > 0).all() and y != it.y_cutoff:
            below = float(np.interp(math.log(it.y_cutoff), np.log(levels), BOUNDS))
            told.append((1 - below, y > it.y_cutoff))
    return np.array([it for it, _ in told], np.float64), np.array([it for _, it in told], np.bool_)


def calibration(probabilities: Floats, came: Bools) -> Calibration:
    """Test probabilities of an event, for example of a rise, against what came.

    Spiegelhalter (1986, doi:10.1002/sim.4780050506). Outcomes must be apart: no two of overlapping horizons.

    Raises
    ------
    TickloomError
        There are fewer than 20, or one is no probability.
    """
    n = len(probabilities)
    if n < LEAST or len(came) != n:
        raise TickloomError(f"calibration: {n} probabilities and {len(came)} outcomes; {LEAST} of both are needed")
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise TickloomError("calibration: a probability lies outside of 0..1; give shares, not percent")
    y = came.astype(np.float64)
    spread = math.sqrt(float(((1 - 2 * probabilities) ** 2 * probabilities * (1 - probabilities)).sum()))
    top = float(((y - probabilities) * (1 - 2 * probabilities)).sum())
    z = top / spread if spread else math.nan  # where all are 0, 1/2 or 1 it says nothing
    place = np.minimum((probabilities * _BINS).astype(np.int64), _BINS - 1)
    bins = [
        (float(probabilities[place == it].mean()), float(y[place == it].mean()), int((place == it).sum()))
        for it in np.unique(place)
    ]
    brier = float(((probabilities - y) ** 2).mean())
    share = float(y.mean())
    p = float(2 * stats.norm.sf(abs(z))) if math.isfinite(z) else math.nan
    return Calibration(n, brier, share * (1 - share), z, p, bins)
