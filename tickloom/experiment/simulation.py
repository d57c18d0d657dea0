"""How often the evidence errs, and how often it finds: made outcomes, two made forecasts, a look after each session."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from tickloom.errors import TickloomError
from tickloom.experiment.evidence import Floats, purses, settle
from tickloom.experiment.pairs import clustered

TICKERS, CORRELATION = 10, 0.5
_CHUNK = 250  # runs at a time, 50 MB
_REGIME = 25  # sessions


@dataclass(frozen=True, slots=True)
class Case:
    """A way in which outcomes and forecasts come about.

    Parameters
    ----------
    name
        Of the case, part of a figure's name.
    horizon
        Sessions ahead; outcomes are sums of as many returns, so neighbours share ``horizon`` - 1 of them.
    law
        Of returns: ``t3`` (Student, 3 degrees of freedom, all tickers of a session with the same mixing variable),
        ``garch`` (GARCH(1,1) with 0.1 and 0.85, normal), ``skewed`` (exponential, the volatility of each ticker doubles
        and halves); in all of them two tickers correlate by :data:`CORRELATION` (``skewed``: their normal scores do).
    scattered
        Which arm is above is drawn for each ticker; else for the market, as where a model sees the market rise.
    constant
        Which arm is above stays so for the whole run, so that neighbouring differences share h - 1 returns in the same
        direction: a moving average of order h - 1. Else it is drawn for each cutoff.
    regimes
        For 25 sessions the champion is better, then for 25 the challenger by as much: equal on average alone.
    """

    name: str
    horizon: int = 1
    law: Literal["t3", "garch", "skewed"] = "t3"
    scattered: bool = False
    constant: bool = False
    regimes: bool = False


CASES = (
    Case("t3_h1", 1, "t3"),
    Case("garch_h1", 1, "garch"),
    Case("t3_h5", 5, "t3"),
    Case("garch_h5", 5, "garch"),
    Case("t3_h5_constant", 5, "t3", constant=True),
    Case("garch_h5_constant", 5, "garch", constant=True),
    Case("t3_h1_scattered", 1, "t3", scattered=True),
    Case("t3_h5_scattered", 5, "t3", scattered=True),
    Case("skewed_h1", 1, "skewed"),
    Case("skewed_h5", 5, "skewed"),
    Case("regimes_h1", 1, "t3", regimes=True),
    Case("regimes_h5", 5, "t3", regimes=True),
)
"""The plain ones, differences that are a moving average, tickers that disagree, and hard ones."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What was found in one case.

    Parameters
    ----------
    case, runs, sessions, alpha, effect
        What was simulated; ``effect`` in standard deviations of the clustered difference.
    type_1, type_1_upper
        Share of runs of equal arms in which the challenger was said to be better after any session, and its one-sided
        95 % upper bound (Clopper and Pearson 1934).
    power, power_lower
        Share of runs in which the better challenger was found, and its one-sided 95 % lower bound.
    ceiling
        Power of a test of the mean difference that looks once, at the end, and knows that mean's law for equal arms.
    sessions_to_find
        Median number of cutoffs that it took where it was found; NaN where it never was.
    """

    case: Case
    runs: int
    sessions: int
    alpha: float
    effect: float
    type_1: float
    type_1_upper: float
    power: float
    power_lower: float
    ceiling: float
    sessions_to_find: float


def simulate(
    case: Case, *, runs: int = 2000, sessions: int = 250, alpha: float = 0.05, effect: float = 0.3, seed: int = 0
) -> Rates:
    """Return error rate and power of the evidence in a case, looked at after each session.

    Parameters
    ----------
    case
        What outcomes and forecasts are like.
    runs
        Runs of equal arms, and as many with a better challenger.
    sessions
        Cutoffs of a run, after which it ends.
    alpha
        Probability with which equal arms may be told apart at any time.
    effect
        Mean of the clustered difference where the challenger is better, in its standard deviations.
    seed
        The same seed, runs and sessions give the same bits.

    Raises
    ------
    TickloomError
        ``runs`` or ``sessions`` is below 1.
    """
    if runs < 1 or sessions < 1:
        raise TickloomError(f"simulation {case.name}: {runs} runs of {sessions} sessions; give at least 1 of each")
    shift = _shift(case, sessions, effect, seed)
    equal, better = [], []
    for made in _chunks(case, runs, sessions, seed):
        equal.append(made.differences(0.0, shift if case.regimes else 0.0))
        better.append(made.differences(shift, 0.0))
    null, other = np.concatenate(equal), np.concatenate(better)
    wrong = _first(null, case.horizon, alpha)
    found = _first(other, case.horizon, alpha)
    errors, hits = int((wrong > 0).sum()), int((found > 0).sum())
    known = np.quantile(null.mean(axis=1), 1 - alpha)
    return Rates(
        case=case,
        runs=runs,
        sessions=sessions,
        alpha=alpha,
        effect=effect,
        type_1=errors / runs,
        type_1_upper=upper_bound(errors, runs),
        power=hits / runs,
        power_lower=1 - upper_bound(runs - hits, runs),
        ceiling=float((other.mean(axis=1) > known).mean()),
        sessions_to_find=float(np.median(found[found > 0])) if hits else float("nan"),
    )


def upper_bound(hits: int, runs: int, level: float = 0.95) -> float:
    """Return the one-sided upper bound of a share (Clopper and Pearson 1934)."""
    return float(stats.beta.ppf(level, hits + 1, runs - hits)) if hits < runs else 1.0


def _first(differences: Floats, horizon: int, alpha: float) -> Floats:
    """Return the number of the cutoff after which each run said the challenger to be better, 0 where none."""
    runs, sessions = differences.shape
    held, first = purses(horizon, (runs,), sessions), np.zeros(runs)
    for number in range(sessions):
        held = settle(held, differences[:, number], sessions)
        first[(first == 0) & (held.left >= 1 / alpha)] = number + 1
    return first


@dataclass(frozen=True, slots=True)
class _Made:
    """Outcomes and forecasts of equal arms, shape (runs, sessions, tickers), as multiples of one session's scale."""

    outcome: Floats
    champion: Floats
    challenger: Floats

    def differences(self, shift: float, regimes: float) -> Floats:
        """Return clustered differences where outcomes lie by half the forecasts' distance times ``shift`` nearer."""
        moved = np.full(self.outcome.shape[1], shift)
        moved += regimes * np.where(np.arange(len(moved)) // _REGIME % 2, 1.0, -1.0)
        towards = moved[:, np.newaxis] * (self.challenger - self.champion) / 2
        return clustered(self.outcome + towards, self.champion, self.challenger, np.ones(self.outcome.shape[-1]))


def _chunks(case: Case, runs: int, sessions: int, seed: int) -> Iterator[_Made]:
    for number, begun in enumerate(range(0, runs, _CHUNK)):
        rng = np.random.default_rng([seed, number])
        yield _make(case, min(_CHUNK, runs - begun), sessions, rng)


def _shift(case: Case, sessions: int, effect: float, seed: int) -> float:
    """Return by how much outcomes have to move, from runs that are not counted."""
    made = _make(case, _CHUNK, sessions, np.random.default_rng([seed, 2**31]))
    low, high = 0.0, 4.0
    for _ in range(20):
        middle = (low + high) / 2
        found = made.differences(middle, 0.0)
        low, high = (middle, high) if found.mean() < effect * found.std() else (low, middle)
    return (low + high) / 2


def _make(case: Case, runs: int, sessions: int, rng: np.random.Generator) -> _Made:
    shape = (runs, sessions, TICKERS)
    drawn = rng.standard_normal((runs, 1 if case.constant else sessions, TICKERS if case.scattered else 1))
    above = np.broadcast_to(np.sign(drawn), shape)
    size = np.full(shape, 0.3) if case.regimes else 0.3 * np.abs(1 + 0.3 * rng.standard_normal(shape))
    if case.law == "skewed":
        return _skewed(case.horizon, above, size, rng)
    returns = returns_of(case, runs, sessions + case.horizon - 1, rng)
    return _Made(overlapping(returns, case.horizon), above * size, -above * size)


def _normal(runs: int, sessions: int, rng: np.random.Generator) -> Floats:
    common = rng.standard_normal((runs, sessions, 1))
    own = rng.standard_normal((runs, sessions, TICKERS))
    return np.asarray(np.sqrt(CORRELATION) * common + np.sqrt(1 - CORRELATION) * own, np.float64)


def returns_of(case: Case, runs: int, sessions: int, rng: np.random.Generator) -> Floats:
    """Return symmetric returns of variance 1, so that forecasts equally far from 0 are equally good at any cutoff."""
    normal = _normal(runs, sessions, rng)
    if case.law == "t3":
        return np.asarray(normal / np.sqrt(rng.chisquare(3, (runs, sessions, 1))), np.float64)
    returns, variance = np.empty_like(normal), np.ones((runs, TICKERS))
    for session in range(sessions):
        returns[:, session] = normal[:, session] * np.sqrt(variance)
        variance = 0.05 + 0.1 * returns[:, session] ** 2 + 0.85 * variance
    return returns


def overlapping(returns: Floats, horizon: int) -> Floats:
    """Return sums of as many returns as the horizon has sessions, of variance 1, shape (runs, cutoffs, tickers)."""
    windows = np.lib.stride_tricks.sliding_window_view(returns, horizon, axis=1)
    return np.asarray(windows.sum(axis=-1) / np.sqrt(horizon), np.float64)


def _skewed(horizon: int, above: Floats, size: Floats, rng: np.random.Generator) -> _Made:
    """Return outcomes of a gamma law and forecasts on both sides of its median with the same expected absolute loss.

    The losses' equality does not come from symmetry: the forecasts are unequally far from the median.
    """
    runs, sessions, _ = above.shape
    scores = stats.norm.cdf(_normal(runs, sessions + horizon - 1, rng))
    outcome = overlapping(stats.expon.ppf(scores), horizon)
    points = np.linspace(0.0, stats.gamma.ppf(0.999, horizon), 20001)
    # E|X - c| of a gamma law with shape h and scale 1
    loss = points * (2 * stats.gamma.cdf(points, horizon) - 1) + horizon * (
        1 - 2 * stats.gamma.cdf(points, horizon + 1)
    )
    turn = int(np.argmin(loss))
    low = np.maximum(points[turn] - size * np.sqrt(horizon), 0.0)
    high = np.interp(np.interp(low, points, loss), loss[turn:], points[turn:])
    low, high = low / np.sqrt(horizon), high / np.sqrt(horizon)
    scale = np.where(rng.random(above.shape) < 0.5, 1.0, 2.0)  # known at the cutoff: both arms know it
    champion, challenger = np.where(above > 0, high, low), np.where(above > 0, low, high)
    return _Made(scale * outcome, scale * champion, scale * challenger)
