"""What a challenger must keep to, each with the reason for its value."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Self

from tickloom.errors import ConfigurationError


@dataclass(frozen=True)
class Limits:
    """Bounds of the gate.

    Attributes
    ----------
    missing_share : float
        Of the exchange's sessions between a ticker's first and last that may have no bar.
    still : float
        Closes in a row, up to the last, that may not move: a share that is no longer traded cannot be forecast wrongly.
    behind : float
        Sessions by which a ticker may end before the newest one of the run.
    sessions : float
        Least cutoffs later than both models' training; below, intervals and tests say little.
    p_worse : float
        Level of the one-sided tests of Diebold and Mariano: a challenger whose losses are higher with a p-value below
        it is worse. With some fifty cutoffs such a test finds great differences alone, hence the bound that follows.
    ratio : float
        Greatest root mean squared error as a multiple of the random walk's on these cutoffs.
    coverage_80_low, coverage_80_high, coverage_95_low, coverage_95_high : float
        Share of outcomes one session ahead that the intervals hold. The outer bounds are so wide that intervals which
        keep their promise are refused at most once in a hundred times by chance with 60 independent cutoffs.
    latency_ms : float
        Median milliseconds of one forecast.
    megabytes : float
        Of the package, 10^6 bytes.
    fair_ratio : float
        Greatest ratio to the random walk that a single ticker of a model may have, over the gate's cutoffs or over the
        walk-forward's.
    """

    missing_share: float = 0.02
    still: float = 10
    behind: float = 5
    sessions: float = 40
    p_worse: float = 0.05
    ratio: float = 1.05
    coverage_80_low: float = 0.65
    coverage_80_high: float = 0.95
    coverage_95_low: float = 0.85
    coverage_95_high: float = 1.0
    latency_ms: float = 50.0
    megabytes: float = 50.0
    fair_ratio: float = 1.10

    @classmethod
    def of(cls, given: Mapping[str, float] | None) -> Self:
        """Return the limits with these in place of the usual ones.

        Raises
        ------
        ConfigurationError
            There is no such limit, or a value is no number that is 0 or more.
        """
        known = {it.name for it in fields(cls)}
        for name, value in (given or {}).items():
            if name not in known:
                raise ConfigurationError(f"limit {name!r} is unknown; known: {', '.join(sorted(known))}")
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                raise ConfigurationError(f"limit {name} {value!r} must be a number that is 0 or more")
        return cls(**dict(given or {}))

    def as_json(self) -> dict[str, float]:
        """Return them by name."""
        return asdict(self)
