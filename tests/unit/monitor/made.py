"""Made returns with clusters of volatility, histories of them, and findings."""

import numpy as np

from tickloom.experiment.records import Forecast, Score
from tickloom.forecast.history import History
from tickloom.market.sessions import session_table
from tickloom.monitor.findings import Finding


def returns(n, seed=0, alpha=0.05, beta=0.90, scale=0.01):
    """Return a GARCH(1,1), n sessions."""
    rng = np.random.default_rng(seed)
    found, variance = np.empty(n + 200), 1.0
    for at in range(n + 200):
        found[at] = np.sqrt(variance) * rng.standard_normal()
        variance = 1 - alpha - beta + alpha * found[at] ** 2 + beta * variance
    return scale * found[200:]


def history(moves, market="XNYS", ticker="AAPL", without=()):
    """Return a history of closes with these returns; ``without`` are rows that are missing."""
    close = 100 * np.exp(np.concatenate([[0.0], np.cumsum(moves)]))
    days = session_table(market).day[-len(close) - 300 : -300]
    kept = np.setdiff1d(np.arange(len(close)), without)
    unknown = np.full(len(kept), np.nan)
    return History(ticker, market, days[kept], unknown, unknown, unknown, close[kept], unknown, "made")


def finding(family="target", p=1.0, adjusted=None, **more):
    """Return a finding."""
    given = {"ticker": "AAPL", "subject": "returns", "statistic": "volatility", "value": 1.0, "limit": 2.0}
    return Finding(family=family, p=p, adjusted=p if adjusted is None else adjusted, **(given | more))


def ledger(its, skill=0.0, sessions=700, ticker="AAPL"):
    """Return forecasts that know a share of each return, and their scores."""
    forecasts, scores = [], []
    for at in range(len(its) - sessions, len(its)):
        before, now = float(its.close[at - 1]), float(its.close[at])
        move = np.log(now / before)
        error = move * (1 - skill)
        days = int(its.day[at - 1]), 1, int(its.day[at])
        price = float(before * np.exp(move - error))
        bounds = [price * np.exp(it) for it in (-0.013, 0.013, -0.02, 0.02)]
        about = ("default", "champion", its.market, ticker, "1d", *days)
        forecasts.append(Forecast(*about, "lstm", "3", False, "", "", before, price, *map(float, bounds), 0))
        losses = {
            "absolute": abs(error), "random_walk_absolute": abs(move),
            "covered_80": float(abs(error) < 0.013), "covered_95": float(abs(error) < 0.02),
        }  # fmt: skip
        scores.append(Score(*about, now, losses, 0, 0))
    return forecasts, scores
