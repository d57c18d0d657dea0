"""How often a watched promotion is taken back: made outcomes, the former champion beside the new one, a look a session.

Both forecast the same tickers. The intervals of both are as wide as the former champion needs; so a new one whose
forecasts are worse keeps less of what its intervals promise, as one does that was calibrated on better days.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from tickloom.experiment.evidence import Floats, purses, settle
from tickloom.experiment.guardrails import capitals
from tickloom.experiment.pairs import clustered
from tickloom.experiment.simulation import CORRELATION, TICKERS, Case, overlapping, returns_of, upper_bound
from tickloom.experiment.spec import Coverage
from tickloom.experiment.watching import coverage_chance, loss_alpha

CASES = (Case("t3_h1", 1, "t3"), Case("garch_h1", 1, "garch"), Case("t3_h5", 5, "t3"))
_CHUNK = 250
_SIZE = 0.3  # standard deviation of the former champion's forecasts, as a multiple of the outcomes'
_SAMPLE = 100  # runs that set sizes and are not counted


@dataclass(frozen=True, slots=True)
class WatchRates:
    """What was found in one case.

    Attributes
    ----------
    case : Case
    runs, sessions : int
    worse : float
        By which share the new champion's mean absolute error is above the former one's; 0 where they are equal.
    inside : float
        Share of closes inside the former champion's intervals.
    found, upper : float
        Share of runs in which the promotion was taken back (or a person asked), and its one-sided 95 % upper bound.
    by_losses : float
        Share of runs in which the losses alone would have done.
    sessions_to_find : float
        Median number of matured sessions until then; NaN where it never was.
    """

    case: Case
    runs: int
    sessions: int
    worse: float
    inside: float
    found: float
    upper: float
    by_losses: float
    sessions_to_find: float


def simulate_watch(
    case: Case,
    *,
    runs: int,
    sessions: int,
    alpha: float = 0.05,
    worse: float = 0.0,
    inside: float = 0.95,
    seed: int = 0,
) -> WatchRates:
    """Return how often a promotion is taken back while as many sessions mature.

    Parameters
    ----------
    alpha
        Of the experiment.
    worse, inside
        See `WatchRates`.
    """
    rule = Coverage(sessions=sessions)
    width, size = _width_and_size(case, sessions, worse, inside, seed)
    first, losses = [], []
    for number, begun in enumerate(range(0, runs, _CHUNK)):
        rng = np.random.default_rng([seed, number])
        many = min(_CHUNK, runs - begun)
        y = overlapping(returns_of(case, many, sessions + case.horizon - 1, rng), case.horizon)
        former, champion = _SIZE * _forecasts(many, sessions, rng), size * _forecasts(many, sessions, rng)
        d = clustered(y, champion, former, np.ones(TICKERS))
        mine = _first_loss(d, case.horizon, loss_alpha(alpha))
        covered = (np.abs(y - champion) <= width).mean(axis=-1)
        broken = _first_broken(covered, case.horizon, rule.least, coverage_chance(alpha))
        losses.append(mine)
        first.append(np.minimum(mine, broken))
    found, by_losses = np.concatenate(first), np.concatenate(losses)
    hits = int(np.isfinite(found).sum())
    return WatchRates(
        case=case, runs=runs, sessions=sessions, worse=worse, inside=inside, found=hits / runs,
        upper=upper_bound(hits, runs), by_losses=float(np.isfinite(by_losses).mean()),
        sessions_to_find=float(np.median(found[np.isfinite(found)])) if hits else float("nan"),
    )  # fmt: skip


def _forecasts(runs: int, sessions: int, rng: np.random.Generator) -> Floats:
    common, own = rng.standard_normal((runs, sessions, 1)), rng.standard_normal((runs, sessions, TICKERS))
    return np.asarray(sqrt(CORRELATION) * common + sqrt(1 - CORRELATION) * own, np.float64)


def _width_and_size(case: Case, sessions: int, worse: float, inside: float, seed: int) -> tuple[float, float]:
    """Return half the width of the intervals, and the deviation of the new champion's forecasts, from other runs."""
    rng = np.random.default_rng([seed, 2**31])
    y = overlapping(returns_of(case, _SAMPLE, sessions + case.horizon - 1, rng), case.horizon).ravel()
    drawn = rng.standard_normal(y.size)
    errors = np.abs(y - _SIZE * drawn)
    wanted, low, high = (1 + worse) * errors.mean(), _SIZE, 8.0
    for _ in range(40 if worse else 0):
        middle = (low + high) / 2
        low, high = (middle, high) if np.abs(y - middle * drawn).mean() < wanted else (low, middle)
    return float(np.quantile(errors, inside)), low


def _first_loss(differences: Floats, horizon: int, alpha: float) -> Floats:
    """Return the number of the session after which each run's evidence was reached, infinite where it never was."""
    runs, sessions = differences.shape
    held, first = purses(horizon, (runs,), sessions), np.full(runs, np.inf)
    for number in range(sessions):
        held = settle(held, differences[:, number], sessions)
        first[np.isinf(first) & (held.left >= 1 / alpha)] = number + 1
    return first


def _first_broken(covered: Floats, horizon: int, least: float, chance: float) -> Floats:
    first = np.full(len(covered), np.inf)
    for start in range(horizon):
        over = capitals(covered[:, start::horizon], least) >= horizon / chance
        at = start + horizon * np.argmax(over, axis=1) + 1.0
        first = np.minimum(first, np.where(over.any(axis=1), at, np.inf))
    return first
