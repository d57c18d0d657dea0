"""What the ledger holds: a forecast of one arm, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass

ForecastKey = tuple[str, str, str, int, int]
"""Experiment, arm, ticker, cutoff, horizon: what a forecast is written once for."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """One arm's forecast of one horizon.

    Attributes
    ----------
    interval : str
        Length of the bars that are forecast, ``1d``.
    cutoff : int
        The last session that was known, days since 1970.
    horizon : int
        Sessions ahead, from 1.
    ds : int
        The session that is forecast, days since 1970.
    model, version : str
        What forecast: the model's name and the version of the ticker's registered model.
    shadow : bool
        Whether nobody was given it as an answer.
    request : str
        Id of the request that asked first.
    features : str
        SHA-256 of the features that it was made from, in hex.
    y_cutoff, y_hat : float
        Price at the cutoff and the price that is forecast.
    lo_80, hi_80, lo_95, hi_95 : float
        Prices; NaN where unknown.
    recorded_us : int
        When it was made, UTC microseconds since 1970.
    """

    experiment: str
    arm: str
    market: str
    ticker: str
    interval: str
    cutoff: int
    horizon: int
    ds: int
    model: str
    version: str
    shadow: bool
    request: str
    features: str
    y_cutoff: float
    y_hat: float
    lo_80: float
    hi_80: float
    lo_95: float
    hi_95: float
    recorded_us: int

    @property
    def key(self) -> ForecastKey:
        """What it is written once for."""
        return self.experiment, self.arm, self.ticker, self.cutoff, self.horizon


@dataclass(frozen=True, slots=True)
class Score:
    """What became of a forecast; a corrected close makes another, with a higher revision.

    Attributes
    ----------
    y : float
        The close that came.
    losses : mapping of str to float
        Of log-returns since the cutoff: ``absolute``, ``squared``, ``random_walk_absolute``, ``random_walk_squared``;
        ``direction`` and, where intervals are known, ``covered_80`` and ``covered_95``, 0 or 1; ``pinball``.
    revision : int
        From 0.
    recorded_us : int
        When it was scored, UTC microseconds since 1970.
    """

    experiment: str
    arm: str
    market: str
    ticker: str
    interval: str
    cutoff: int
    horizon: int
    ds: int
    y: float
    losses: Mapping[str, float]
    revision: int
    recorded_us: int

    @property
    def key(self) -> ForecastKey:
        """The forecast that it is of."""
        return self.experiment, self.arm, self.ticker, self.cutoff, self.horizon
