"""Two published ways to evaluate, with what leaks in them, beside persistence and beside a walk-forward.

``seed-000``
    Two years of days; prices and indicators scaled to 0..1 by the least and greatest value of all days, those of the
    test included; windows of 60; the target is the scaled close of the next day; the first 68 % of windows train, 12 %
    validate, 20 % test. Figures are of prices.
``seed-003``
    The mean of high and low from 2020 on, scaled to 0..1 in blocks of 2,500 days, so in one block with the test;
    windows of 50; the first 80 % train, the last 20 % both end the training and test. Figures are of scaled prices.
    Forecasts smoothed by an exponential mean of span 10 stand in a row of their own.

Both count a direction as right where the forecast changes from one day to the next as the price does. That compares a
forecast with the forecast of the day before: nobody can trade it, and a series that is an average of its day, as the
mean of high and low is, gives persistence more than one half (Working 1960, doi:10.2307/1907574). The share of moves
from the last known price whose sign was right stands beside it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from tickloom.errors import TickloomError
from tickloom.forecast.history import Floats, History
from tickloom.forecast.significance import direction
from tickloom.indicators import compute

PROTOCOLS = ("seed-000", "seed-003")
YEARS = 504  # sessions of two years
WINDOWS = {"seed-000": 60, "seed-003": 50}
BLOCK = 2500
SPAN = 10
BEGIN = np.datetime64("2020-01-01")
PERSISTENCE = "persistence"
CLAIMS: Mapping[str, Mapping[str, str]] = {
    "seed-000": {
        "lstm": "simple LSTM: RMSE 2.34, R² 0.92, MAPE 3.82 %, direction 87 %",
        "bilstm": "bidirectional LSTM: RMSE 2.28, R² 0.93, MAPE 3.65 %, direction 88 %",
        "attention_lstm": "LSTM with attention: RMSE 2.15, R² 0.94, MAPE 3.41 %, direction 89 %",
        "multihead_lstm": "multi-head attention LSTM: RMSE 2.08, R² 0.94, MAPE 3.28 %, direction 90 %",
        "ensemble": "ensemble: RMSE 1.95, R² 0.95, MAPE 2.98 %, direction 91 %",
    },
    "seed-003": {
        "stacked_lstm": "stacked LSTM, scaled: MSE 0.0021, MAE 0.0327, RMSE 0.0458, direction 65.5 %",
        PERSISTENCE: "ARIMA(5,1,0), scaled: MSE 0.0034, MAE 0.0421, direction 58.3 %",
    },
}
"""What the reports state, by the model that they state it of; persistence stands for their baseline."""
USUAL_CLAIM = {name: claims["lstm" if name == "seed-000" else "stacked_lstm"] for name, claims in CLAIMS.items()}
"""What stands beside a model that a report does not have: its first network's figures."""
_CLOSE_INDICATORS = (
    "sma_5", "sma_10", "sma_20", "sma_50", "sma_200", "ema_5", "ema_10", "ema_12", "ema_26", "rsi_14", "macd",
    "macd_signal", "macd_hist", "bb_upper", "bb_middle", "bb_lower", "std_20", "roc_5", "roc_10", "roc_20",
    "momentum_10",
)  # fmt: skip
_RANGE_INDICATORS = ("stoch_k", "stoch_d", "atr_14", "williams_r_14")


class Regressor(Protocol):
    """What a protocol trains: windows float64[n, window, k] to targets float64[n]."""

    def fit(self, windows: Floats, targets: Floats, validation: tuple[Floats, Floats]) -> object:
        """Learn; ``validation`` may end the training and teach nothing else."""

    def predict(self, windows: Floats) -> Floats:
        """Return float64[n]."""


Maker = Callable[[int], Regressor]
"""From a seed to a model that is not trained."""


@dataclass(frozen=True, eq=False)
class Task:
    """What a protocol makes of a history.

    Attributes
    ----------
    inputs : float64[n, k]
        Scaled, leaks and all.
    low, span : float64[n]
        With which a scaled target becomes a price.
    price : float64[n]
        What is forecast.
    window : int
    train, validation, test : slice
        Of the windows; window i reads sessions i..i+window-1, its target is session i+window.
    in_prices : bool
        Whether figures are of prices or of scaled ones.
    """

    inputs: Floats
    low: Floats
    span: Floats
    price: Floats
    window: int
    train: slice
    validation: slice
    test: slice
    in_prices: bool

    @property
    def windows(self) -> Floats:
        """All windows, float64[n - window, window, k]."""
        found: Floats = np.lib.stride_tricks.sliding_window_view(self.inputs, self.window, axis=0)[:-1]
        return np.swapaxes(found, 1, 2)

    @property
    def scaled(self) -> Floats:
        """Scaled targets of all windows."""
        found: Floats = ((self.price - self.low) / self.span)[self.window :]
        return found

    def unscaled(self, scaled: Floats) -> Floats:
        """Return the test's forecasts as prices."""
        rows = slice(self.window + self.test.start, self.window + self.test.stop)
        found: Floats = self.low[rows] + scaled * self.span[rows]
        return found


def task(protocol: str, history: History) -> Task:
    """Return a protocol's task.

    Raises
    ------
    TickloomError
        The protocol is unknown, or the history too short or without what it needs.
    """
    if protocol == "seed-000":
        return _two_years(history)
    if protocol == "seed-003":
        return _mid_price(history)
    raise TickloomError(f"protocol {protocol!r} is unknown; known: {', '.join(PROTOCOLS)}")


def _two_years(history: History) -> Task:
    if len(history) < YEARS + 200:
        raise TickloomError(
            f"{history.ticker}: seed-000 needs {YEARS + 200} sessions, two years and 200 for its slowest mean, and has "
            f"{len(history)}; load more history"
        )
    bars = {name: getattr(history, name) for name in ("open", "high", "low", "close", "volume")}
    names = _CLOSE_INDICATORS if history.close_only else _CLOSE_INDICATORS + _RANGE_INDICATORS
    made = compute(pd.DataFrame({"day": history.day, **bars}), names)
    raw = [bars[name] for name in bars if not np.isnan(bars[name]).any()]
    table = np.column_stack([*raw, made.to_numpy(np.float64)])[-YEARS:]
    low, high = table.min(axis=0), table.max(axis=0)  # the leak: the test's own least and greatest
    price = history.close[-YEARS:]
    window = WINDOWS["seed-000"]
    count = YEARS - window
    first, second = round(0.68 * count), round(0.80 * count)
    return Task(
        (table - low) / np.where(high > low, high - low, 1), np.full(YEARS, price.min()), np.full(YEARS, np.ptp(price)),
        price, window, slice(0, first), slice(first, second), slice(second, count), in_prices=True,
    )  # fmt: skip


def mid_price(history: History) -> Floats:
    """Return the mean of high and low.

    Raises
    ------
    TickloomError
        The history has closes alone.
    """
    if history.close_only:
        raise TickloomError(f"{history.ticker}: seed-003 needs highs and lows, and there are closes alone")
    return (history.high + history.low) / 2


def _mid_price(history: History) -> Task:
    begin = int(np.searchsorted(history.day, BEGIN.astype("datetime64[D]").astype(int)))
    price = mid_price(history)[begin:]
    window = WINDOWS["seed-003"]
    if len(price) < 6 * window:
        price = mid_price(history)  # a history that ends before: all of it
    if len(price) < 6 * window:
        raise TickloomError(f"{history.ticker}: seed-003 needs {6 * window} sessions and has {len(price)}; load more")
    block = np.arange(len(price)) // BLOCK
    low = np.array([price[block == it].min() for it in block])
    span = np.array([np.ptp(price[block == it]) for it in block])
    count = len(price) - window
    first = round(0.8 * count)
    scaled = ((price - low) / span)[:, None]
    test = slice(first, count)  # the leak: what ends the training is what tests it
    return Task(scaled, low, span, price, window, slice(0, first), test, test, in_prices=False)


def figures(y: Floats, y_hat: Floats, last: Floats) -> dict[str, float]:
    """Return the figures of both reports, and an honest direction.

    Parameters
    ----------
    y, y_hat : float64[n]
        Outcomes and forecasts, in the order of time.
    last : float64[n]
        The price that was known last.

    Returns
    -------
    dict
        ``rmse, mae, mse, r2, mape`` (a fraction), ``lag_direction`` as the reports count it, ``direction`` and
        ``base_rate`` of the move from the last price.
    """
    error = y - y_hat
    signs = direction(y - last, y_hat - last)
    return {
        "rmse": float(np.sqrt(np.mean(error**2))),
        "mae": float(np.mean(np.abs(error))),
        "mse": float(np.mean(error**2)),
        "r2": float(1 - np.sum(error**2) / np.sum((y - y.mean()) ** 2)),
        "mape": float(np.mean(np.abs(error / np.where(y != 0, y, np.nan)))),
        "lag_direction": float(np.mean(np.sign(np.diff(y)) == np.sign(np.diff(y_hat)))),
        "direction": signs.accuracy,
        "base_rate": signs.base_rate,
    }


def smoothed(values: Floats) -> Floats:
    """Return an exponential mean of span 10, as the second report smooths forecasts."""
    found: Floats = pd.Series(values).ewm(span=SPAN, adjust=False).mean().to_numpy(np.float64)
    return found
