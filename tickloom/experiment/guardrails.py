"""What takes an arm out at once: errors, slowness, and intervals that do not hold what they promise.

Noise takes nobody out: a share must be beyond its limit by more than chance would bring it there.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum, isnan
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import bdtrc

from tickloom.errors import TickloomError
from tickloom.experiment.spec import Coverage, Guardrails
from tickloom.manifest.model import milliseconds

CHANCE = 1e-4
"""Greatest chance, in one window, of a verdict on an arm that is just at its limit."""
COVERAGE_CHANCE = 0.01
"""The same for coverage, however often the window's sessions are looked at."""
_DECADES = (-4, 2)  # 0.1 ms to 100 s
_PER_DECADE = 10
_BETS = np.arange(1, 8) / 8

Name = Literal["errorRate", "p99", "coverage"]


@dataclass(frozen=True, slots=True)
class Breach:
    """A broken guardrail.

    Attributes
    ----------
    value, limit : float
        What was seen and what was allowed: fractions, for ``p99`` seconds.
    window : str
        What it was seen over, in words.
    """

    arm: str
    guardrail: Name
    value: float
    limit: float
    window: str

    def __str__(self) -> str:
        """Return it in one sentence."""
        if self.guardrail == "p99":
            return (
                f"arm {self.arm}: p99 {1000 * self.value:.3g} ms is above {1000 * self.limit:.3g} ms over {self.window}"
            )
        side = "below" if self.guardrail == "coverage" else "above"
        return f"arm {self.arm}: {self.guardrail} {self.value:.4g} is {side} {self.limit:.4g} over {self.window}"


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests of an arm within a window; those of several processes can be added.

    Attributes
    ----------
    failures : int
        Of all requests.
    slow : int
        Of those that were answered, slower than the limit.
    edges, histogram : tuple
        Upper edges in seconds, and how many answers lie in each bin; one bin more lies above the last edge.
    """

    requests: int
    failures: int
    slow: int
    edges: tuple[float, ...]
    histogram: tuple[int, ...]

    def __add__(self, other: "Counts") -> "Counts":
        """Return both together; raises a `TickloomError` where their limits differ."""
        if self.edges != other.edges:
            raise TickloomError("counts of windows with different limits of p99 cannot be added")
        return Counts(
            self.requests + other.requests,
            self.failures + other.failures,
            self.slow + other.slow,
            self.edges,
            tuple(one + two for one, two in zip(self.histogram, other.histogram, strict=True)),
        )

    def quantile(self, share: float) -> float:
        """Return the seconds within which a share of the answers was there: a bin's upper edge, at most 26 % too much.

        NaN without answers, and the last edge for what lies above it.
        """
        total = sum(self.histogram)
        if not total:
            return float("nan")
        at = int(np.searchsorted(np.cumsum(self.histogram), share * total))
        return self.edges[min(at, len(self.edges) - 1)]


class Window:
    """Counts an arm's requests of the last seconds, each in the same short time.

    Parameters
    ----------
    guardrails
        Its ``window``, and ``p99`` as what is slow.
    """

    __slots__ = ("_counts", "_edges", "_limit", "_seconds", "_stamps")

    def __init__(self, guardrails: Guardrails) -> None:
        self._seconds = -(-milliseconds(guardrails.window) // 1000)
        self._limit = _limit(guardrails)
        first, last = _DECADES
        grid = {10.0 ** (first + step / _PER_DECADE) for step in range((last - first) * _PER_DECADE + 1)}
        self._edges = tuple(sorted(grid | ({self._limit} if self._limit is not None else set())))
        # of each second: failures, slow ones, then the histogram of answers
        self._counts = np.zeros((self._seconds, len(self._edges) + 3), np.int32)
        self._stamps = [-1] * self._seconds

    def record(self, now: float, latency: float, *, failed: bool = False) -> None:
        """Count a request.

        Parameters
        ----------
        now
            When it ended, seconds of a clock that never goes back.
        latency
            Seconds that it took; of a failed one it does not count.
        """
        second = int(now)
        at = second % self._seconds
        row = self._counts[at]
        if self._stamps[at] != second:
            if self._stamps[at] > second:
                return  # older than the window
            self._stamps[at] = second
            row[:] = 0
        if failed:
            row[0] += 1
            return
        row[2 + bisect_left(self._edges, latency)] += 1
        if self._limit is not None and latency > self._limit:
            row[1] += 1

    def counts(self, now: float) -> Counts:
        """Return what was counted in the seconds up to ``now``."""
        second = int(now)
        stamps = np.array(self._stamps)
        sums = self._counts[(stamps > second - self._seconds) & (stamps <= second) & (stamps >= 0)].sum(0, np.int64)
        failures, slow, *histogram = (int(value) for value in sums)
        return Counts(failures + sum(histogram), failures, slow, self._edges, tuple(histogram))


def judge(arm: str, counts: Counts, guardrails: Guardrails) -> Breach | None:
    """Return the guardrail that an arm's requests break, None while none is, or while there are too few.

    One is broken when the exact one-sided interval (Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404) of a share,
    with confidence 1 - ``CHANCE``, lies beyond the limit: that of failed requests, or, for p99, that of slow answers,
    whose limit is 1 %.
    """
    if counts.requests < guardrails.least_requests:
        return None
    limit = guardrails.error_rate
    if limit is not None and _above(counts.failures, counts.requests, limit):
        return Breach(arm, "errorRate", counts.failures / counts.requests, limit, guardrails.window)
    slowest = _limit(guardrails)
    if slowest is not None and _above(counts.slow, counts.requests - counts.failures, 0.01):
        return Breach(arm, "p99", counts.quantile(0.99), slowest, guardrails.window)
    return None


def judge_coverage(
    arm: str,
    covered: Mapping[int, Sequence[float]],
    rule: Coverage,
    *,
    horizon: int = 1,
    chance: float = COVERAGE_CHANCE,
) -> Breach | None:
    """Return a breach where too few closes lay inside an arm's intervals.

    Parameters
    ----------
    covered
        By session (days since 1970), 1 or 0 for each ticker whose close lay inside the arm's interval or did not; NaN
        where that is unknown.
    horizon
        Sessions ahead of the forecasts. Those of sessions closer than that overlap; so as many processes as that are
        interleaved, and one of them has to show it by itself.
    chance
        Greatest chance of a breach by an arm that keeps to the rule, however often the window's sessions are looked at.

    Notes
    -----
    Tickers of one session move together, so a session counts once, with its share inside. The evidence is the capital
    of a bettor who bets against the mean being ``least`` or more, with fixed shares of what can be lost, averaged over
    them (Waudby-Smith and Ramdas 2024, doi:10.1093/jrsssb/qkad009); by Ville's inequality it reaches
    1 / ``chance`` with that chance at most over the window's sessions, if the mean keeps to the rule. Of interleaved
    processes each has the same part of the chance (Bonferroni): their average is no supermartingale where one looks
    between their turns.
    """
    shares = []
    for session in sorted(covered):
        known = [value for value in covered[session] if not isnan(value)]
        if known:
            shares.append(fsum(known) / len(known))
    shares = shares[-rule.sessions :]
    ends = [capitals(np.array(shares[start::horizon]), rule.least)[-1:] for start in range(horizon)]
    if max((float(it[0]) for it in ends if it.size), default=0.0) < horizon / chance:
        return None
    return Breach(arm, "coverage", fsum(shares) / len(shares), rule.least, f"{len(shares)} sessions")


def capitals(shares: npt.NDArray[np.float64], least: float) -> npt.NDArray[np.float64]:
    """Return what a bettor against a mean of ``least`` or more has of 1 after each session, shape (…, sessions).

    Parameters
    ----------
    shares
        Of a session's closes that lay inside the intervals, shape (…, sessions).
    """
    lost = (least - shares[..., np.newaxis]) / (1 - least)
    return np.asarray(np.exp(np.cumsum(np.log1p(_BETS * lost), axis=-2)).mean(axis=-1), np.float64)


def _above(count: int, of: int, limit: float) -> bool:
    return count > limit * of and bool(bdtrc(count - 1, of, limit) <= CHANCE)


def _limit(guardrails: Guardrails) -> float | None:
    return None if guardrails.p99 is None else milliseconds(guardrails.p99) / 1000
