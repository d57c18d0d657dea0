"""What a look has found of one series, and which findings stand when there are many."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import stats

from tickloom.monitor.thresholds import Looks, Thresholds

Family = Literal["target", "features", "losses"]


@dataclass(frozen=True)
class Finding:
    """One series looked at after one session.

    Attributes
    ----------
    ticker : str
    family : str
        ``target`` (returns), ``features`` or ``losses``.
    subject : str
        The feature, or the forecaster whose losses they are; ``returns``.
    statistic : str
        The one that is oddest.
    value, limit : float
        Of that statistic, and what it alone exceeds in one year of twenty.
    p : float
        Share of years without any change that have a look as odd as this one.
    adjusted : float
        The same over all series of the family.
    """

    ticker: str
    family: Family
    subject: str
    statistic: str
    value: float
    limit: float
    p: float
    adjusted: float


_TOLD = 0.05


def found(ticker: str, family: Family, subject: str, thresholds: Thresholds, looks: Looks, at: int = -1) -> Finding:
    """Return the finding of one look, the last by default."""
    oddest = int(np.argmin(looks.single[at] / thresholds.weights))
    p = float(looks.p[at])
    return Finding(
        ticker, family, subject, thresholds.statistics[oddest].name, float(looks.values[at, oddest]),
        thresholds.limit(oddest, _TOLD), p, p,
    )  # fmt: skip


def adjusted(findings: Iterable[Finding], *, together: bool = False) -> list[Finding]:
    """Return the findings with p-values that answer for the number of them, family by family.

    Benjamini and Yekutieli (2001, doi:10.1214/aos/1013699998): features are made of the same prices and depend on each
    other in every way, also against each other, and Benjamini and Hochberg's own rule has no proof for that. Its price
    is the factor 1 + 1/2 + … + 1/m.

    Parameters
    ----------
    together
        Count over all tickers, so that of the tickers named a share is wrong. By default each ticker is for itself,
        so that false alarms are so many a ticker and year.
    """
    every = list(findings)
    groups: dict[tuple[str, str], list[int]] = {}
    for place, it in enumerate(every):
        groups.setdefault((it.family, "" if together else it.ticker), []).append(place)
    for places in groups.values():
        p = stats.false_discovery_control([every[it].p for it in places], method="by") if len(places) > 1 else None
        for number, place in enumerate(places):
            every[place] = replace(every[place], adjusted=every[place].p if p is None else float(p[number]))
    return every


def worst(findings: Sequence[Finding], *families: Family) -> Finding | None:
    """Return the oddest finding of some families; None where there is none."""
    mine = [it for it in findings if it.family in families]
    return min(mine, key=lambda it: (it.adjusted, it.p), default=None)
