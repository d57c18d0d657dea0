"""Intervals that follow what matured: the share of misses aimed at, moved by each outcome (ACI)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from tickloom.experiment.records import Score
from tickloom.experiment.scoring import newest
from tickloom.forecast.residuals import LEVELS, ConformalResiduals

GAMMA = 0.01
Misses = dict[float, float]
"""Level, 0.8 for example, to the share of outcomes that is to fall outside."""


def adapted(
    scores: Iterable[Score], *, levels: Sequence[float] = LEVELS, gamma: float = GAMMA
) -> dict[tuple[str, str, int], Misses]:
    """Return by ticker, arm and horizon the share of misses to aim at next.

    It goes up by ``gamma * (1 - level)`` after an outcome inside and down by ``gamma * level`` after one outside, in
    the order in which outcomes came (Gibbs and Candès 2021, arXiv:2106.00170), and stays within 0..1. Each outcome is
    judged by the interval that was given for it, so the loop is closed by serving what is returned here.

    Parameters
    ----------
    scores
        Of one experiment, of any revision; the highest counts. Those without ``covered_80`` or ``covered_95`` move
        nothing of that level.
    """
    series: dict[tuple[str, str, int], list[Score]] = defaultdict(list)
    for it in newest(scores).values():
        series[it.ticker, it.arm, it.horizon].append(it)
    return {place: walked(mine, levels, gamma) for place, mine in series.items()}


def walked(scores: Iterable[Score], levels: Sequence[float] = LEVELS, gamma: float = GAMMA) -> Misses:
    """Return the shares of misses to aim at after these scores of one series, as `adapted` does."""
    misses = {level: 1 - level for level in levels}
    for it in sorted(scores, key=lambda it: (it.ds, it.cutoff)):
        for level in levels:
            covered = it.losses.get(f"covered_{100 * level:g}")
            if covered is not None:
                misses[level] = float(np.clip(misses[level] + gamma * (covered - level), 0, 1))
    return misses


def applied(residuals: ConformalResiduals, misses: Mapping[int, Misses]) -> ConformalResiduals:
    """Return a model's past errors with its shares of misses moved as an arm's have moved, by horizon.

    A model that was saved with shares of its own, as those with ``aci`` are, goes on from them; a horizon that is not
    given stays as it is.
    """
    table = residuals.misses.copy()
    for horizon, of_level in misses.items():
        for at, level in enumerate(residuals.levels):
            if horizon <= residuals.horizon and level in of_level:
                table[horizon - 1, at] += of_level[level] - (1 - level)
    return replace(residuals, misses=np.clip(table, 0, 1))
