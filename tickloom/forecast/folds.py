"""Walk-forward: what is fitted ends before what is forecast begins, and the last block is kept for the end."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tickloom.errors import TickloomError
from tickloom.forecast.models.base import Rows

Scheme = Literal["expanding", "rolling"]
_FOLD = 20  # sessions of a fold below which advice to shorten one is none


@dataclass(frozen=True)
class Fold:
    """One fit and the forecasts that are made with it.

    Attributes
    ----------
    number : int
        From 1.
    start, stop : int
        The model is fitted to sessions ``start`` to ``stop - 1``. Its last target ends there too, so that no session
        after ``stop - 1`` is known to it: targets are purged by the horizon.
    rows : int64[m]
        Cutoffs: sessions from whose closes it forecasts.
    """

    number: int
    start: int
    stop: int
    rows: Rows


@dataclass(frozen=True)
class Plan:
    """How a series is divided.

    Parameters
    ----------
    folds : int
        Number of fits.
    test : int
        Sessions in each fold's block of forecasts.
    horizon : int
        Sessions ahead; a cutoff counts only where all of them are in the series.
    embargo : int
        Sessions between the last that is learned from and the first cutoff.
    scheme : str
        ``expanding`` learns from all before, ``rolling`` from the last ``train`` sessions.
    train : int or None
        Length for ``rolling``; by default what the first fold has.
    holdout : int
        Sessions at the end that no fold touches.
    """

    folds: int = 5
    test: int = 125
    horizon: int = 5
    embargo: int = 1
    scheme: Scheme = "expanding"
    train: int | None = None
    holdout: int = 0

    def __post_init__(self) -> None:
        for name, least in (("folds", 1), ("test", 1), ("horizon", 1), ("embargo", 1), ("holdout", 0)):
            if getattr(self, name) < least:
                raise TickloomError(f"{name} {getattr(self, name)} must be {least} or more")

    def split(self, sessions: int, least: int, first: int = 0) -> Iterator[Fold]:
        """Yield the folds of a series, oldest first.

        Parameters
        ----------
        sessions
            Length of the series.
        least
            Sessions that the first fit needs, from ``first`` on.
        first
            Session before which nothing can be learned, for features begin there.

        Raises
        ------
        TickloomError
            The series is too short; the sentence says by how much.
        """
        end = sessions - self.holdout - self.horizon  # after the last cutoff whose targets are all there
        begin = end - self.folds * self.test
        have = begin - self.embargo + 1 - first
        if have < least:
            begun = f"{first} until all features are known, " if first else ""
            kept = f", a last block of {self.holdout}" if self.holdout else ""
            fewer = ", or take fewer or shorter folds" if have + self.folds * self.test >= least + _FOLD else ""
            raise TickloomError(
                f"{sessions} sessions are too few: {begun}{least} for the first fit, {self.folds} folds of {self.test}"
                f"{kept} and {self.horizon} ahead make {sessions + least - have}; load {least - have} more{fewer}"
            )
        train = self.train or begin - self.embargo + 1 - first
        for number in range(self.folds):
            cutoff = begin + number * self.test
            stop = cutoff - self.embargo + 1
            start = max(first, stop - train) if self.scheme == "rolling" else first
            yield Fold(number + 1, start, stop, np.arange(cutoff, cutoff + self.test))

    def last(self, sessions: int, first: int = 0) -> Fold:
        """Return the fold of the last block: fitted to all before, asked once, for the final report.

        Raises
        ------
        TickloomError
            Nothing was kept for it.
        """
        if self.holdout <= self.horizon:
            raise TickloomError(
                f"holdout {self.holdout} must be above the horizon {self.horizon}, for that block is forecast; take "
                "250 sessions or so"
            )
        cutoff = sessions - self.holdout - 1
        rows = np.arange(cutoff, sessions - self.horizon)
        return Fold(self.folds + 1, first, cutoff - self.embargo + 1, rows)
