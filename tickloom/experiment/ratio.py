"""Do the arms get the shares that their weights say? A test that may be looked at after every request.

Dirichlet-multinomial mixture of Lindon and Malek (2022), "Anytime-valid inference for multinomial count data", NeurIPS
35, arXiv:2011.03567: the odds of what was counted under a mixture around the weights, against the weights themselves.
Under true weights the odds are a martingale that begins at 1, so by Ville's inequality they ever reach 1 / alpha with
probability alpha at most. Any prediction that is made before what it predicts keeps that true; so weights may change
between batches, and what is carried over is how many times its expected count each arm has had.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp, inf, lgamma, log

from tickloom.errors import TickloomError

CONCENTRATION = 100.0
"""Pseudo-counts of the mixture around the weights: greater ones find smaller departures, later."""
ALPHA = 0.001
"""Chance of an alarm, ever, while all is well: one experiment in a thousand."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """What was counted, and the evidence against the weights.

    Attributes
    ----------
    counts, expected : Mapping
        Keys of each arm, and how many the weights let expect.
    log_odds, most : float
        Logarithm of the odds against the weights: at present, and its greatest so far.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    expected: Mapping[str, float] = field(default_factory=dict)
    log_odds: float = 0.0
    most: float = 0.0

    @property
    def p_value(self) -> float:
        """Anytime-valid: below alpha with probability alpha at most, at whatever time it is looked at."""
        return exp(-self.most)

    def is_off(self, alpha: float = ALPHA) -> bool:
        """Tell whether the shares are not those of the weights."""
        return self.p_value <= alpha

    def add(self, counts: Mapping[str, int], weights: Mapping[str, float]) -> "Ratio":
        """Return the state after a batch.

        Parameters
        ----------
        counts
            Keys that were assigned for the first time, by arm. One that comes again is no new evidence: it has the arm
            that it had.
        weights
            Of all these keys; they sum to 1.

        Raises
        ------
        TickloomError
            A count is negative, or the weights do not sum to 1.
        """
        if any(count < 0 for count in counts.values()) or abs(sum(weights.values()) - 1) > 1e-6:
            raise TickloomError(f"counts {dict(counts)} must not be negative, and weights {dict(weights)} sum to 1")
        more = sum(counts.values())
        arms = [arm for arm, weight in weights.items() if weight > 0]
        if sum(counts.get(arm, 0) for arm in arms) < more:  # an arm without weight had keys
            gain = inf
        else:
            prior = self._prior({arm: weights[arm] for arm in arms})
            total = sum(prior.values())
            gain = lgamma(total) - lgamma(total + more)
            for arm in arms:
                count = counts.get(arm, 0)
                gain += lgamma(prior[arm] + count) - lgamma(prior[arm]) - count * log(weights[arm])
        return Ratio(
            {arm: self.counts.get(arm, 0) + counts.get(arm, 0) for arm in (*self.counts, *weights, *counts)},
            {arm: self.expected.get(arm, 0.0) + more * weights.get(arm, 0.0) for arm in (*self.expected, *weights)},
            self.log_odds + gain,
            max(self.most, self.log_odds + gain),
        )  # fmt: skip

    def _prior(self, weights: Mapping[str, float]) -> dict[str, float]:
        """Return the pseudo-counts of the next keys: as many as were counted, in proportion to weight and past ratio.

        With weights that never change these are the concentration's own and the counts, as in the article.
        """
        mass = CONCENTRATION + sum(self.counts.values())
        leaning = {
            arm: weight
            * (CONCENTRATION * weight + self.counts.get(arm, 0))
            / (CONCENTRATION * weight + self.expected.get(arm, 0.0))
            for arm, weight in weights.items()
        }
        scale = mass / sum(leaning.values())
        return {arm: scale * value for arm, value in leaning.items()}


class Tally:
    """Counts keys by arm when they come for the first time.

    Parameters
    ----------
    most
        How many keys it remembers; it counts no further ones, which the test allows at any time.
    """

    def __init__(self, most: int = 100_000) -> None:
        self._most = most
        self._seen: set[str] = set()
        self._counts: dict[str, int] = {}

    def record(self, key: str, arm: str) -> None:
        """Count a key, unless it came before."""
        if key in self._seen or len(self._seen) >= self._most:
            return
        self._seen.add(key)
        self._counts[arm] = self._counts.get(arm, 0) + 1

    def take(self) -> dict[str, int]:
        """Return what was counted since the last call; call it before weights change."""
        counts, self._counts = self._counts, {}
        return counts
