"""Made series for the tests of forecasting."""

import numpy as np

from tickloom.forecast.features import feature_frame
from tickloom.forecast.history import History
from tickloom.market.sessions import session_table


def history(n=600, phi=0.0, seed=0, *, close_only=False, market="XNYS", ticker="AAPL"):
    """Return a random walk in the log-price, whose returns are an autoregression where ``phi`` is not 0."""
    rng = np.random.default_rng(seed)
    table = session_table(market)
    days = table.day[-n - 500 : -500]
    moves = np.zeros(n)
    noise = rng.normal(0, 0.01, n)
    for row in range(1, n):
        moves[row] = phi * moves[row - 1] + noise[row]
    close = 100 * np.exp(np.cumsum(moves))
    opened = np.concatenate(([100.0], close[:-1])) * np.exp(rng.normal(0, 0.002, n))
    high = np.maximum(opened, close) * np.exp(np.abs(rng.normal(0, 0.003, n)))
    low = np.minimum(opened, close) * np.exp(-np.abs(rng.normal(0, 0.003, n)))
    unknown = np.full(n, np.nan)
    if close_only:
        opened, high, low = unknown, unknown, unknown
    volume = unknown if close_only else np.round(np.exp(rng.normal(10, 0.5, n)))
    return History(ticker, market, days, opened, high, low, close, volume, "made")


def frame(n=600, phi=0.0, seed=0, **more):
    """Return its features."""
    return feature_frame(history(n, phi, seed, **more))
