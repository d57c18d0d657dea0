r"""Evidence of which of two arms forecasts better, which may be looked at after every session.

What is tested
--------------
For each cutoff :math:`c` there is one number :math:`D_c` in [-1, 1], see :mod:`tickloom.experiment.pairs`, above zero
where the challenger was nearer. A purse of 1 is bet on it: a stake that is fixed when the forecasts are made returns
``stake * (1 + D)`` when the session forecast has closed. Where no bet is expected to win, the purse is not expected to
grow whatever the stakes, so it is at least ``1 / alpha`` at any time with a probability of at most ``alpha`` (Ville
1939). The value of the purse is the e-value.

- ``horizon`` 1: the null is that at every session the mean, over all sessions so far, of the conditional expectations
  of :math:`D` was at most 0. Single sessions may favour the challenger: with a constant share ``g`` the purse is at
  most :math:`\prod (1 + g D_c)/(1 + g \mu_c)`, a martingale, since :math:`\prod (1 + g \mu_c)` is at most
  :math:`\exp(g \sum \mu_c) \le 1`.
- ``horizon`` h > 1: the null is that no :math:`D_c` has an expectation above 0 given what was known at its cutoff.

Nothing is assumed of the outcomes' law, of its change, of volatility or of dependence between tickers.

How is bet
----------
A share of the purse is staked; several shares, each on a purse of its own, are averaged, so none has to be right
(method of mixtures; Waudby-Smith and Ramdas 2024, *Estimating means of bounded random variables by betting*, JRSS B;
for forecasts Choe and Ramdas 2023, *Comparing sequential forecasters*, Operations Research). Forecasts h sessions ahead
overlap: while one is pending, h - 1 others are. Half of the money is divided into h interleaved purses, each of which
bets on every h-th cutoff (Henzi and Ziegel 2022, *Valid sequential inference on probability forecast performance*,
Biometrika); the other half is one purse, which stakes what is not pending, and so profits where neighbouring
differences are not alike. With ``horizon`` 1 both are the same.

What stopping means
-------------------
The average of interleaved purses is no supermartingale with respect to all that is known, and may not be compared with
``1 / alpha`` at an arbitrary time (Henzi and Ziegel, *Correction*, Biometrika 109, 1181): its pending bets were not
made with the knowledge that the stop used. :attr:`State.e_values` therefore counts **what is left if every pending bet
is lost altogether**. Whoever stops betting at a stopping time ends, when the pending bets have settled, with at least
that much, and the expectation of what he ends with is at most 1; so these e-values hold at every stopping time.
A test that is planned to end after ``most`` cutoffs stakes on no later one, and its last value has nothing pending.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from tickloom.errors import TickloomError

Floats = npt.NDArray[np.float64]
Verdict = Literal["challenger_better", "champion_better", "undecided"]

SHARES: Floats = np.array([0.1, 0.25, 0.5, 0.95])
"""Shares that are staked, averaged with equal weight: the best share for a mean m and a deviation s of D is near m/s²
(Kelly 1956); one that is off by a factor of 1.6 loses at most 40 % of its growth."""
_CEILING = 1e100
"""Money above it is given away, which no null objects to: floats stay finite."""


@dataclass(frozen=True, slots=True)
class Purses:
    """What has been won so far, for any number of independent bets at once.

    Parameters
    ----------
    cash
        Money that is not pending, shape (…, horizon + 1, shares): interleaved purses, then the common one.
    pending
        Stakes on the next cutoffs, the oldest first, shape (horizon - 1, …, 2, shares): of the interleaved purse whose
        turn it is, and of the common one.
    seen
        Cutoffs that were settled.
    """

    cash: Floats
    pending: Floats
    seen: int = 0

    @property
    def left(self) -> Floats:
        """What is left, as a multiple of the beginning, if all that is pending is lost, shape (…)."""
        return np.asarray(self.cash.mean(axis=-1).sum(axis=-1), np.float64)


def purses(horizon: int, shape: tuple[int, ...] = (), most: int | None = None) -> Purses:
    """Return purses worth 1, with stakes on the first ``horizon`` - 1 cutoffs, which are made before any is settled."""
    cash = np.empty((*shape, horizon + 1, len(SHARES)))
    cash[..., :horizon, :] = 0.5 / horizon
    cash[..., horizon, :] = 0.5
    stakes = np.zeros((horizon - 1, *shape, 2, len(SHARES)))
    for number in range(horizon - 1):
        stakes[number] = _stake(cash, number, horizon, most)
    return Purses(cash, stakes)


def settle(held: Purses, difference: Floats, most: int | None = None) -> Purses:
    """Return the purses after one more cutoff.

    Parameters
    ----------
    held
        The purses before.
    difference
        What a stake of 1 wins, at least -1, shape (…).
    most
        The number of cutoffs that are staked on at most.
    """
    cash, horizon = held.cash.copy(), held.cash.shape[-2] - 1
    latest = _stake(cash, held.seen + horizon - 1, horizon, most)
    stakes = np.concatenate([held.pending, latest[np.newaxis]])
    returned = stakes[0] * (1 + difference[..., np.newaxis, np.newaxis])
    cash[..., held.seen % horizon, :] += returned[..., 0, :]
    cash[..., horizon, :] += returned[..., 1, :]
    return Purses(np.minimum(cash, _CEILING), stakes[1:], held.seen + 1)


def _stake(cash: Floats, number: int, horizon: int, most: int | None) -> Floats:
    """Take from ``cash`` what is staked on the cutoff of that number."""
    its = [number % horizon, horizon]
    stakes = cash[..., its, :] * SHARES * (most is None or number < most)
    cash[..., its, :] -= stakes
    return np.asarray(stakes, np.float64)


@dataclass(frozen=True, slots=True)
class State:
    """What is known about two arms after some cutoffs; made by :func:`begin`, carried on by :func:`update`.

    Parameters
    ----------
    horizon
        Sessions ahead.
    most
        Cutoffs that are counted at most; None for no end.
    bets
        The purses, that on the challenger first, then that on the champion.
    cutoffs, differences
        Cutoffs that were counted and their D, shape (n,).
    trail
        E-values after each of them, shape (n, 2): that the challenger is better, that the champion is.
    """

    horizon: int
    most: int | None
    bets: Purses
    cutoffs: npt.NDArray[np.int64]
    differences: Floats
    trail: Floats

    @property
    def e_values(self) -> tuple[float, float]:
        """E-values that the challenger is better, and that the champion is; 1 and 1 at the beginning."""
        if not len(self.trail):
            return 1.0, 1.0
        return float(self.trail[-1, 0]), float(self.trail[-1, 1])

    def verdict(self, alpha: float = 0.05) -> Verdict:
        """Return who was found better, at the first cutoff whose e-value was at least ``1 / alpha``.

        Each direction by itself is wrong with a probability of at most ``alpha``.
        """
        over = self.trail >= 1 / _level(alpha)
        if not over.any():
            return "undecided"
        first = over[np.argmax(over.any(axis=1))]
        return "challenger_better" if first[0] else "champion_better"


def begin(horizon: int = 1, most: int | None = None) -> State:
    """Return the state before any cutoff.

    Raises
    ------
    TickloomError
        A horizon or a number of cutoffs is below 1.
    """
    for name, value in (("horizon", horizon), ("most", most)):
        if value is not None and value < 1:
            raise TickloomError(f"evidence: {name} is {value}; give a whole number of sessions from 1 on")
    none = np.empty(0)
    return State(horizon, most, purses(horizon, (2,), most), np.empty(0, np.int64), none, none.reshape(0, 2))


def update(state: State, cutoffs: Sequence[int] | npt.NDArray[np.int64], differences: Floats) -> State:
    """Return the state after further cutoffs; any split of the same cutoffs gives the same bits.

    Parameters
    ----------
    state
        The state before; it is left as it is.
    cutoffs
        Cutoffs whose outcomes are known, ascending and after those of the state, in any unit, shape (n,).
    differences
        Their D in [-1, 1], above 0 where the challenger was nearer, shape (n,). NaN (no pair, or equal forecasts) is
        left out: nothing is staked there, and nothing changes.

    Raises
    ------
    TickloomError
        Cutoffs are not ascending, or a difference is outside [-1, 1].
    """
    at, found = np.asarray(cutoffs, np.int64), np.asarray(differences, np.float64)
    if at.shape != found.shape or at.ndim != 1:
        raise TickloomError(f"evidence: {at.shape} cutoffs and {found.shape} differences; give one for each")
    at, found = at[~np.isnan(found)], found[~np.isnan(found)]
    before = np.concatenate([state.cutoffs[-1:], at])
    if (late := np.flatnonzero(np.diff(before) <= 0)).size:
        first = late[0]
        raise TickloomError(
            f"evidence: cutoff {before[first + 1]} comes after {before[first]}; give cutoffs ascending and once, "
            "and begin anew where an earlier one was corrected"
        )
    if (wrong := np.flatnonzero(np.abs(found) > 1)).size:
        raise TickloomError(
            f"evidence: the difference of cutoff {at[wrong[0]]} is {found[wrong[0]]:g}, outside -1 to 1; "
            "divide by the weighted distance of the forecasts"
        )
    if state.most is not None:
        kept = state.most - state.bets.seen
        at, found = at[:kept], found[:kept]
    bets, trail = state.bets, np.empty((len(found), 2))
    for row, one in enumerate(found):
        bets = settle(bets, np.array([one, -one]), state.most)
        trail[row] = bets.left
    return replace(
        state,
        bets=bets,
        cutoffs=np.concatenate([state.cutoffs, at]),
        differences=np.concatenate([state.differences, found]),
        trail=np.concatenate([state.trail, trail]),
    )


def confidence(state: State, alpha: float = 0.05, points: int = 101) -> tuple[float, float]:
    """Return bounds of the mean difference that hold at all times together with a probability of ``1 - alpha``.

    For ``horizon`` 1 of the mean, over the cutoffs so far, of the conditional expectations, which may change; for a
    longer one of an expectation that does not. A mean m is excluded where betting on ``(D - m) / (1 + m)``, or against
    it, has made ``2 / alpha`` of 1 (Waudby-Smith and Ramdas 2024). Bounds of earlier looks must not be intersected with
    those of later ones where the mean may change.

    Parameters
    ----------
    state
        What is known.
    alpha
        Probability of being wrong at any time, half to each side.
    points
        Means that are tried, twice; bounds are rounded outwards to ``4 / (points - 1)²``.
    """
    _level(alpha)

    def lowest(differences: Floats) -> float:
        low, high = -1.0, 1.0
        for _ in range(2):
            means = np.linspace(low, high, points)[1:-1]  # -1 is never excluded, 1 is not asked
            bets = purses(state.horizon, means.shape, state.most)
            for one in differences:
                bets = settle(bets, (one - means) / (1 + means), state.most)
            excluded = np.count_nonzero(bets.left >= 2 / alpha)  # left falls with the mean
            grid = np.linspace(low, high, points)
            low, high = float(grid[excluded]), float(grid[excluded + 1])
        return low

    return lowest(state.differences), -lowest(-state.differences)


def adjusted(e_values: Sequence[float]) -> list[float]:
    """Return e-values adjusted over several challengers, for the family-wise error.

    That of each is the smallest average over all sets of challengers that it is in (e-Holm: Vovk and Wang 2021,
    *E-values: calibration, combination and applications*, Annals of Statistics, algorithm 1). Whoever declares, after
    any session, all those better whose adjusted value **of that session** is at least ``1 / alpha`` declares a wrong
    one ever with a probability of at most ``alpha``, whatever the dependence; highest values of different sessions
    must not be averaged (Hartog and Lei 2025, *Family-wise error rate control with e-values*).

    Parameters
    ----------
    e_values
        One for each challenger, after the same session.

    Raises
    ------
    TickloomError
        An e-value is negative or NaN.
    """
    given = np.asarray(e_values, np.float64)
    if not (given >= 0).all():
        raise TickloomError(f"evidence: e-values {list(e_values)} hold one that is negative or no number")
    found = []
    for number, one in enumerate(given):
        others = np.concatenate([[0.0], np.cumsum(np.sort(np.delete(given, number)))])
        found.append(float(((one + others) / np.arange(1, len(given) + 1)).min()))
    return found


def _level(alpha: float) -> float:
    if not 0 < alpha < 1:
        raise TickloomError(f"evidence: alpha is {alpha:g}; give a probability above 0 and below 1, such as 0.05")
    return alpha
