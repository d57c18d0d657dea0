"""What a statistic of drift may reach by chance within a year of looks, and how rare what was seen is."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from tickloom.errors import TickloomError
from tickloom.monitor.resampling import Columns, Floats, block_length, drawn
from tickloom.monitor.statistics import Statistic, usable

YEAR = 252
"""Looks, one after each session."""
PATHS = 999
LEAST = 250
"""Sessions of the reference below which its tails are not known."""


@dataclass(frozen=True, eq=False)
class Looks:
    """What was seen after each of some sessions, oldest first.

    Attributes
    ----------
    values : float64[looks, statistics]
    p : float64[looks]
        Share of made years, in which nothing changes, with a look at least as odd as this one, all statistics and all
        looks of the year taken together.
    single : float64[looks, statistics]
        The same of each statistic alone.
    """

    values: Floats
    p: Floats
    single: Floats


@dataclass(frozen=True, eq=False)
class Thresholds:
    """A reference, and how far statistics go where nothing changes.

    Attributes
    ----------
    reference : dict of str to float64[n]
    statistics : tuple of Statistic
    largest : float64[paths, statistics]
        The largest value of each made year.
    block : float
        Mean length of the blocks that years are made of, sessions.
    weights : float64[statistics]
        Share of the false alarms that each may make, summing to 1.
    """

    reference: Columns
    statistics: tuple[Statistic, ...]
    largest: Floats
    block: float
    weights: Floats = field(repr=False)

    @classmethod
    def of(
        cls,
        reference: Columns,
        statistics: tuple[Statistic, ...],
        *,
        paths: int = PATHS,
        looks: int = YEAR,
        seed: int = 0,
    ) -> "Thresholds":
        """Make years from a reference and keep how far they go.

        A made year has a made reference before it, since what is usual is only estimated.

        Parameters
        ----------
        reference
            Columns of n sessions, oldest first, without NaN in what is to be read.
        paths
            Years; the smallest p-value is one by ``paths`` + 1.
        looks
            Of a year, one after each session.
        seed
            The same seed and reference give the same bits.

        Raises
        ------
        TickloomError
            The reference has fewer than 250 sessions, or no statistic can read it.
        """
        chosen = usable(statistics, reference)
        if not chosen:
            raise TickloomError(f"drift: no column of {', '.join(reference)} is known of every session; give one")
        read = {name: np.asarray(reference[name], np.float64) for it in chosen for name in it.columns}
        length = len(next(iter(read.values())))
        if length < LEAST:
            raise TickloomError(f"drift: a reference of {length} sessions is too short; {LEAST} are needed")
        widest = max(it.window for it in chosen)
        block = block_length(read, min(it.window for it in chosen))
        rows = drawn(length, length + looks + widest - 1, paths, block, seed)
        usual = {name: values[rows[:, :length]] for name, values in read.items()}
        years = {name: values[rows[:, length:]] for name, values in read.items()}
        largest = np.stack([it.of(usual, years)[:, -looks:].max(axis=1) for it in chosen], axis=1)
        weights = np.array([it.weight for it in chosen])
        return cls(read, chosen, largest, block, weights / weights.sum())

    def look(self, later: Columns) -> Looks:
        """Look after each session from that on which the widest window is full.

        Parameters
        ----------
        later
            The newest sessions, oldest first; as many as the widest window at least.

        Raises
        ------
        TickloomError
            There are fewer.
        """
        widest = max(it.window for it in self.statistics)
        length = len(next(iter(later.values())))
        looks = length - widest + 1
        if looks < 1:
            raise TickloomError(f"drift: {length} sessions are too few; {widest} are needed")
        before = {name: values[np.newaxis] for name, values in self.reference.items()}
        now = {name: np.asarray(later[name], np.float64)[np.newaxis] for name in self.reference}
        values = np.stack([it.of(before, now)[0, -looks:] for it in self.statistics], axis=1)
        single = self._single(values)
        odd = (single / self.weights).min(axis=1)
        # a year is as odd as its oddest look; ties count as odd
        p = (1 + np.searchsorted(self._oddest, odd * (1 + 1e-12), side="right")) / (len(self.largest) + 1)
        return Looks(values, np.asarray(p), single)

    def limit(self, statistic: int, level: float) -> float:
        """Return the value that a statistic alone exceeds in a share ``level`` of years."""
        return float(np.quantile(self.largest[:, statistic], 1 - level))

    @cached_property
    def _sorted(self) -> Floats:
        return np.sort(self.largest, axis=0)

    @cached_property
    def _oddest(self) -> Floats:
        return np.sort((self._single(self.largest) / self.weights).min(axis=1))

    def _single(self, values: Floats) -> Floats:
        paths = len(self.largest)
        found = [
            (1 + paths - np.searchsorted(self._sorted[:, it], values[:, it], side="left")) / (paths + 1)
            for it in range(values.shape[1])
        ]
        return np.stack(found, axis=1)
