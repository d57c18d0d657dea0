"""A model's own past errors, from which serving makes intervals: numpy and a JSON file, no more."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, get_args

import numpy as np

from tickloom.errors import TickloomError
from tickloom.files import write_whole
from tickloom.forecast.history import Floats

Method = Literal["split", "enbpi", "aci"]
METHODS: tuple[Method, ...] = get_args(Method)
LEVELS = (0.80, 0.95)
FILE = "residuals.json"
VERSION = 1
_EXACT = 1e-9  # 0.975 * 40 is to be 39 and not a little above


def rank(share: float, count: int) -> int:
    """Return which of ``count`` ordered scores a new one stays below with probability ``share``: 1..count.

    It is ceil(share * (count + 1)), the rank with the correction for few samples (Vovk, Gammerman and Shafer 2005). One
    above ``count`` would mean an interval without an end; the farthest score is taken then.
    """
    return max(1, min(count, math.ceil(share * (count + 1) - _EXACT)))


def two_sided(ordered: Sequence[float] | Floats, miss: float) -> tuple[float, float]:
    """Return the scores that leave ``miss / 2`` on each side, from signed scores in rising order."""
    count = len(ordered)
    place = rank(1 - miss / 2, count)
    return float(ordered[count - place]), float(ordered[place - 1])


def symmetric(scores: Floats, miss: float) -> tuple[float, float]:
    """Return bounds at the same distance on both sides that leave ``miss`` outside."""
    sizes = np.sort(np.abs(scores))
    bound = float(sizes[rank(1 - miss, len(sizes)) - 1])
    return -bound, bound


def least_scores(levels: Sequence[float]) -> int:
    """Return how many scores the widest level needs on each side."""
    return math.ceil(2 / (1 - max(levels)) - 1 - _EXACT)


def labels(levels: Sequence[float]) -> list[tuple[str, str]]:
    """Return the names of the columns of each level: ``lo-80``, ``hi-80``."""
    return [(f"lo-{100 * level:g}", f"hi-{100 * level:g}") for level in levels]


@dataclass(frozen=True, eq=False)
class ConformalResiduals:
    """The errors that a model has made, for the intervals of its next forecast.

    Attributes
    ----------
    model : str
    method : str
        ``split``, ``enbpi`` or ``aci``.
    levels : tuple of float
    scaled : bool
        Whether scores are in units of the volatility that was known, else in log-returns.
    scores : tuple of float64[n]
        For each number of sessions ahead, oldest first: outcome less forecast.
    misses : float64[H, levels]
        Share of outcomes that is to fall outside; with ``aci`` as it has been adapted.
    """

    model: str
    method: Method
    levels: tuple[float, ...]
    scaled: bool
    scores: tuple[Floats, ...]
    misses: Floats

    @property
    def horizon(self) -> int:
        """Sessions ahead."""
        return len(self.scores)

    def intervals(self, close: float, mean: Floats, volatility: float | None = None) -> dict[str, Floats]:
        """Return ``lo-80, hi-80, lo-95, hi-95`` in prices, each float64[H].

        Parameters
        ----------
        close
            Price at the cutoff.
        mean : float64[H]
            Forecast log-returns.
        volatility
            Of daily log-returns, known at the cutoff (``intervals.volatility``); needed where ``scaled``.

        Raises
        ------
        TickloomError
            The horizon is another, or the volatility is missing.
        """
        scale = self._scale(mean, volatility)
        prices = close * np.exp(mean[:, None, None] + scale[:, None, None] * self.bounds()[: len(mean)])
        return {
            name: prices[:, at, side]
            for at, pair in enumerate(labels(self.levels))
            for side, name in enumerate(pair)
        }  # fmt: skip

    def bounds(self, levels: Sequence[float] | None = None) -> Floats:
        """Return what is added to a forecast log-return, in the unit of the scores, float64[H, levels, 2].

        Parameters
        ----------
        levels
            In rising order; by default the model's own. Others miss what they say, for only its own were adapted.
        """
        wanted = self.levels if levels is None else tuple(levels)
        own = {level: at for at, level in enumerate(self.levels)}
        found = np.empty((self.horizon, len(wanted), 2))
        for ahead in range(self.horizon):
            ordered = np.sort(self.scores[ahead])
            for at, level in enumerate(wanted):
                miss = float(self.misses[ahead, own[level]]) if level in own else 1 - level
                pair = symmetric(ordered, miss) if self.method == "split" else two_sided(ordered, miss)
                found[ahead, at] = pair
        return nested(found)

    def probability_of_rise(self, mean: Floats, volatility: float | None = None) -> Floats:
        """Return the share of past errors with which each of 1..H sessions ahead would lie above the cutoff."""
        scale = self._scale(mean, volatility)
        found = []
        for ahead, scores in enumerate(self.scores[: len(mean)]):
            above = int((mean[ahead] + scale[ahead] * scores > 0).sum())
            found.append((above + 0.5) / (len(scores) + 1))
        return np.array(found)

    def _scale(self, mean: Floats, volatility: float | None) -> Floats:
        if len(mean) > self.horizon:
            raise TickloomError(
                f"{self.model}: errors of {self.horizon} sessions ahead are known, {len(mean)} are asked for; train "
                f"with a longer horizon, or ask for {self.horizon}"
            )
        if not self.scaled:
            return np.ones(len(mean))
        if volatility is None or not volatility > 0:
            raise TickloomError(
                f"{self.model}: volatility {volatility} must be above 0, for errors are in units of it; give that of "
                "the daily returns up to the cutoff"
            )
        return volatility * np.sqrt(np.arange(1, len(mean) + 1))

    def save(self, folder: Path) -> None:
        """Write ``residuals.json``."""
        body = {
            "version": VERSION,
            "model": self.model,
            "method": self.method,
            "levels": list(self.levels),
            "scaled": self.scaled,
            "scores": [it.tolist() for it in self.scores],
            "misses": self.misses.tolist(),
        }
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / FILE, json.dumps(body, allow_nan=False) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return what ``save`` wrote.

        Raises
        ------
        TickloomError
            The file is missing, of another version, or not whole.
        """
        path = folder / FILE
        try:
            body: Mapping[str, object] = json.loads(path.read_text(encoding="utf-8"))
            if body["version"] != VERSION:
                raise TickloomError(f"{path}: version {body['version']}, readable is {VERSION}; train again")
            return cls._of(body)
        except FileNotFoundError:
            raise TickloomError(f"{path} is missing: the model was saved without its errors; train again") from None
        except (KeyError, TypeError, ValueError) as error:
            raise TickloomError(f"{path} is not a file of errors ({error}); train again") from None

    @classmethod
    def _of(cls, body: Mapping[str, object]) -> Self:
        method, levels, scores = body["method"], body["levels"], body["scores"]
        if method not in METHODS or not isinstance(levels, list) or not isinstance(scores, list):
            raise ValueError(f"method {method!r}")
        misses = np.asarray(body["misses"], np.float64)
        if misses.shape != (len(scores), len(levels)) or not all(scores):
            raise ValueError(f"{len(scores)} horizons, {misses.shape} shares of misses")
        return cls(
            str(body["model"]), method, tuple(float(it) for it in levels), bool(body["scaled"]),
            tuple(np.asarray(it, np.float64) for it in scores), misses,
        )  # fmt: skip


def nested(bounds: Floats) -> Floats:
    """Widen each level's bounds to hold those of the levels before it: float64[..., levels, 2]."""
    low = np.minimum.accumulate(bounds[..., 0], axis=-1)
    high = np.maximum.accumulate(bounds[..., 1], axis=-1)
    return np.stack([low, high], axis=-1)
