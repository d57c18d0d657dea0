"""Made series and forecasts for tests of what is done with forecasts."""

import numpy as np
import pandas as pd

from tickloom.forecast.history import History
from tickloom.market.sessions import session_table


def history(sessions=600, seed=0, *, returns=None, ticker="MADE", volume=True):
    """Return a history of a random walk, or of given returns."""
    chance = np.random.default_rng(seed)
    moves = chance.normal(0, 0.012, sessions) if returns is None else np.asarray(returns)
    close = 100 * np.exp(np.cumsum(moves))
    spread = np.abs(chance.normal(0, 0.006, (2, len(close))))
    opened = close * np.exp(chance.normal(0, 0.004, len(close)))
    top, bottom = np.maximum(opened, close), np.minimum(opened, close)
    days = session_table("XNYS").day
    first = int(np.searchsorted(days, np.datetime64("2012-01-03").astype("datetime64[D]").astype(int)))
    return History(
        ticker, "XNYS", days[first : first + len(close)].astype(np.int32), opened, top * (1 + spread[0]),
        bottom * (1 - spread[1]), close,
        chance.integers(1e5, 1e6, len(close)).astype(float) if volume else np.full(len(close), np.nan), "made",
    )  # fmt: skip


def forecasts(made, models, *, horizon=1, first=300, fold=60, seeds=(0,)):
    """Return forecasts in walk_forward's form; ``models`` gives log-returns by name: f(made, rows, horizon)."""
    from tickloom.forecast.features import FeatureFrame
    from tickloom.forecast.walk import long_frame

    frame = FeatureFrame(made, (), np.empty((len(made), 0)))
    rows = np.arange(first, len(made) - horizon)
    parts = []
    for name, forecast in models.items():
        for seed in seeds:
            long = long_frame(frame, rows, forecast(made, rows, horizon))
            folds = np.repeat((rows - first) // fold + 1, horizon)
            parts.append(long.assign(model=name, fold=folds, seed=seed))
    return pd.concat(parts, ignore_index=True)


def still(_made, rows, horizon):
    """Forecast no move."""
    return np.zeros((len(rows), horizon))


def noise(scale=0.01, seed=1):
    """Return a forecaster that knows nothing."""
    return lambda _made, rows, horizon: np.random.default_rng(seed).normal(0, scale, (len(rows), horizon))


def seer(share=1.0):
    """Return a forecaster that sees a share of the move to come."""

    def see(made, rows, horizon):
        closes = np.log(made.close)
        return share * np.column_stack([closes[rows + ahead] - closes[rows] for ahead in range(1, horizon + 1)])

    return see
