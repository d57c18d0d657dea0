"""ARIMA and exponential smoothing of log closes: estimated by statsforecast, carried on by filters.

Parameters are estimated once, on the training sessions. From a later cutoff the state alone is brought up to date, over
all closes until then in one pass, as ``forward`` of statsforecast does cutoff by cutoff; and what is saved are the
parameters, so that a forecast needs neither statsforecast nor its compiler.
"""

import warnings
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.linalg import solve_discrete_lyapunov

from tickloom.errors import TickloomError
from tickloom.forecast.features import FeatureFrame
from tickloom.forecast.history import Floats
from tickloom.forecast.models.base import Prediction, Progress, Rows
from tickloom.forecast.models.naive import Simple

_SETTLED = 1e-14


@dataclass(frozen=True)
class ArimaParameters:
    """An ARIMA(p, d, q): ``w_t = sum phi_i w_(t-i) + e_t + sum theta_j e_(t-j)`` for w = the d-th difference - mean.

    Attributes
    ----------
    d : int
        0, 1 or 2.
    phi, theta : tuple of float
    mean : float
        Of the d-th difference; with d = 1 the drift a session.
    sigma2 : float
        Variance of e.
    aic, aicc, bic : float
    """

    d: int
    phi: tuple[float, ...]
    theta: tuple[float, ...]
    mean: float
    sigma2: float
    aic: float
    aicc: float
    bic: float

    @property
    def order(self) -> tuple[int, int, int]:
        """Return p, d, q."""
        return len(self.phi), self.d, len(self.theta)

    def forecast(self, series: Floats, rows: Rows, horizon: int) -> Floats:
        """Return forecasts of the series from each row, float64[m, horizon]."""
        differences = np.diff(series, n=self.d) - self.mean
        transition, states = self._states(differences)
        state = states[np.maximum(rows - self.d + 1, 0)]
        ahead = np.empty((len(rows), horizon))
        for step in range(horizon):
            state = state @ transition.T
            ahead[:, step] = state[:, 0]
        ahead += self.mean
        for order in range(self.d - 1, -1, -1):
            ahead = np.cumsum(ahead, axis=1) + np.diff(series, n=order)[np.maximum(rows - order, 0)][:, None]
        return ahead

    def _states(self, w: Floats) -> tuple[Floats, Floats]:
        """Return the transition matrix, and the state of an exact Kalman filter before and after each value.

        The filter begins in the stationary distribution, and its gain is left as it is once it has settled; it depends
        on the parameters alone.
        """
        size = max(len(self.phi), len(self.theta) + 1)
        transition, shock = np.eye(size, k=1), np.zeros(size)
        transition[: len(self.phi), 0] = self.phi
        shock[: len(self.theta) + 1] = (1.0, *self.theta)
        noise = np.outer(shock, shock)
        spread, gain, settled = solve_discrete_lyapunov(transition, noise), shock, False
        states = np.zeros((len(w) + 1, size))
        for at, value in enumerate(w.tolist()):
            if not settled:
                gain = spread[:, 0] / spread[0, 0]
                following = transition @ (spread - np.outer(gain, spread[0])) @ transition.T + noise
                settled = bool(np.abs(following - spread).max() < _SETTLED)
                spread = following
            expected = transition @ states[at]
            states[at + 1] = expected + gain * (value - expected[0])
        return transition, states


@dataclass(frozen=True)
class EtsParameters:
    """Additive exponential smoothing with no season: level, and a trend that may be damped.

    Attributes
    ----------
    alpha, beta, phi : float
        Of level, trend and damping; beta is 0 without a trend, phi is 1 without damping.
    level, trend : float
        State before the first session.
    day : int
        The first session, days since 1970.
    method : str
        Such as ``ETS(A,Ad,N)``.
    aic, aicc, bic : float

    The recursion is the error form of Hyndman, Koehler, Ord and Snyder (2008), doi:10.1007/978-3-540-71918-2.
    """

    alpha: float
    beta: float
    phi: float
    level: float
    trend: float
    day: int
    method: str
    aic: float
    aicc: float
    bic: float

    def forecast(self, series: Floats, rows: Rows, horizon: int, first: int = -1) -> Floats:
        """Return forecasts of the series from each row, float64[m, horizon].

        Parameters
        ----------
        first
            Row of the session before which ``level`` and ``trend`` hold; without one that comes before all rows, the
            filter begins with the series, at its first value.
        """
        known = 0 <= first <= (rows.min() if len(rows) else 0)
        begin = first if known else 0
        level, trend = (self.level if known else float(series[0]) - self.phi * self.trend), self.trend
        levels, trends = np.full(len(series), np.nan), np.full(len(series), np.nan)
        for at, value in enumerate(series[begin:].tolist(), start=begin):
            slope = self.phi * trend
            error = value - level - slope
            level = level + slope + self.alpha * error
            trend = slope + self.beta * error
            levels[at], trends[at] = level, trend
        damping: Floats = np.cumsum(self.phi ** np.arange(1, horizon + 1))
        ahead: Floats = levels[rows][:, None] + trends[rows][:, None] * damping
        return ahead


class _Arimas(Simple):
    """What both have in common."""

    fitted: ArimaParameters | None = None

    @property
    def least_rows(self) -> int:
        """Enough for some ten parameters."""
        return 60

    @abstractmethod
    def _estimator(self) -> Any: ...

    def _fit(self, frame: FeatureFrame, seed: int, progress: Progress | None) -> None:
        found = _estimate(self._estimator(), frame.log_close)
        p, q, *seasonal, d, _ = found["arma"]
        if any(seasonal[:2]):
            raise TickloomError(f"{self.name}: the order {found['arma']} has a season, which is not forecast here")
        coef = {name: float(value) for name, value in found["coef"].items()}
        self.fitted = ArimaParameters(
            int(d),
            tuple(coef[f"ar{lag + 1}"] for lag in range(p)),
            tuple(coef[f"ma{lag + 1}"] for lag in range(q)),
            coef.get("drift", coef.get("intercept", 0.0)),
            *(float(found[name]) for name in ("sigma2", "aic", "aicc", "bic")),
        )

    def _predict(self, frame: FeatureFrame, rows: Rows) -> Prediction:
        if self.fitted is None:
            raise TickloomError(f"{self.name} is not fitted yet; call fit or load first")
        closes = frame.log_close
        return Prediction(rows, self.fitted.forecast(closes, rows, self.horizon) - closes[rows][:, None], {})

    def state(self) -> dict[str, Any]:
        """Return order, coefficients and information criteria."""
        return {} if self.fitted is None else asdict(self.fitted)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take them."""
        values = {name: state[name] for name in ArimaParameters.__dataclass_fields__}
        self.fitted = ArimaParameters(**{**values, "phi": tuple(values["phi"]), "theta": tuple(values["theta"])})

    def parameters(self) -> Mapping[str, Any]:
        """Return horizon, order, coefficients, AIC, AICc and BIC."""
        return {**super().parameters(), **({"order": self.fitted.order} if self.fitted else {})}


class Arima(_Arimas):
    """ARIMA(5, 1, 0) without drift, by maximum likelihood."""

    name: ClassVar[str] = "arima"
    order: ClassVar[tuple[int, int, int]] = (5, 1, 0)

    def _estimator(self) -> Any:
        from statsforecast.models import ARIMA

        return ARIMA(order=self.order)


class AutoArima(_Arimas):
    """The ARIMA with the least AICc of up to five lags, two differences and five errors, by a stepwise search."""

    name: ClassVar[str] = "auto_arima"

    def _estimator(self) -> Any:
        from statsforecast.models import AutoARIMA

        return AutoARIMA(seasonal=False)


class Ets(Simple):
    """Exponential smoothing with the trend (none, plain or damped) of the least AICc; errors of log closes add up."""

    name: ClassVar[str] = "ets"
    fitted: EtsParameters | None = None

    @property
    def least_rows(self) -> int:
        """Enough for five parameters."""
        return 60

    def _fit(self, frame: FeatureFrame, seed: int, progress: Progress | None) -> None:
        from statsforecast.models import AutoETS

        found = _estimate(AutoETS(season_length=1, model="AZN"), frame.log_close)
        trended, damped = found["components"][1] != "N", found["components"][3] == "D"
        alpha, beta, _, phi = (float(it) for it in found["par"][:4])
        level, trend = float(found["states"][0, 0]), float(found["states"][0, 1]) if trended else 0.0
        self.fitted = EtsParameters(
            alpha,
            beta if trended else 0.0,
            phi if damped else 1.0,
            level,
            trend,
            int(frame.history.day[0]),
            str(found["method"]),
            *(float(found[name]) for name in ("aic", "aicc", "bic")),
        )

    def _predict(self, frame: FeatureFrame, rows: Rows) -> Prediction:
        if self.fitted is None:
            raise TickloomError(f"{self.name} is not fitted yet; call fit or load first")
        closes, first = frame.log_close, np.flatnonzero(frame.history.day == self.fitted.day)
        ahead = self.fitted.forecast(closes, rows, self.horizon, int(first[0]) if len(first) else -1)
        return Prediction(rows, ahead - closes[rows][:, None], {})

    def state(self) -> dict[str, Any]:
        """Return smoothing parameters, first state and information criteria."""
        return {} if self.fitted is None else asdict(self.fitted)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take them."""
        self.fitted = EtsParameters(**{name: state[name] for name in EtsParameters.__dataclass_fields__})


def _estimate(estimator: Any, series: Floats) -> Mapping[str, Any]:
    """Fit an estimator of statsforecast and return what it found; searches warn of orders that they then drop."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: Mapping[str, Any] = estimator.fit(series).model_
    return found
