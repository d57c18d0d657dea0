"""What features are made of, and the same with everything after a session changed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from tickloom.forecast.history import PRICES, Floats, History
from tickloom.forecast.models.base import Rows
from tickloom.forecast.news import closes_us
from tickloom.market.sessions import Times, session_table

CHANGES = ("truncated", "replaced", "shuffled", "shifted")
_COLUMNS = (*PRICES, "volume")


@dataclass(frozen=True, eq=False)
class Inputs:
    """All that features may be made of.

    Attributes
    ----------
    history : History
        n sessions.
    known_us : int64[k]
        From when each news item was known, UTC microseconds since 1970.
    score : float64[k]
        Its sentiment.
    dividend : float64[n]
        Paid on a share whose ex-date the session is; 0 on others.
    """

    history: History
    known_us: Times
    score: Floats
    dividend: Floats


def made_inputs(sessions: int = 620, seed: int = 0) -> Inputs:
    """Return a random walk with ranges and volumes, three news a session at any hour, and dividends."""
    rng = np.random.default_rng(seed)
    table = session_table("XNYS")
    day = table.day[-sessions - 500 : -500]
    history = _with_bars(History("MADE", "XNYS", day, *(np.empty(0),) * 5, "made"), _walk(rng, sessions, 100.0, 0.01))
    start, end = (int(it) * 86_400_000_000 for it in (day[0], day[-1] + 1))
    known_us = np.sort(rng.integers(start, end, 3 * sessions))
    dividend = np.where(np.arange(sessions) % 63 == 40, rng.uniform(0.2, 1.0, sessions), 0.0)
    return Inputs(history, known_us, rng.uniform(-1, 1, len(known_us)), dividend)


def _walk(rng: np.random.Generator, sessions: int, start: float, volatility: float) -> dict[str, Floats]:
    close = start * np.exp(np.cumsum(rng.normal(0, volatility, sessions)))
    opened = close * np.exp(rng.normal(0, volatility / 3, sessions))
    up, down = np.exp(np.abs(rng.normal(0, volatility / 3, (2, sessions))))
    high, low = np.maximum(opened, close) * up, np.minimum(opened, close) / down
    volume = np.round(np.exp(rng.normal(13, 0.5, sessions)))
    return {"open": opened, "high": high, "low": low, "close": close, "volume": volume}


def _with_bars(history: History, bars: Mapping[str, Floats]) -> History:
    opened, high, low, close, volume = (bars[name] for name in _COLUMNS)
    return replace(history, open=opened, high=high, low=low, close=close, volume=volume)


def changed(inputs: Inputs, last: int, seed: int = 0) -> dict[str, Inputs]:
    """Return the inputs with everything after session ``last`` changed, by the name of the change."""
    history, n = inputs.history, len(inputs.history)
    rng = np.random.default_rng([seed, last])
    later = inputs.known_us > closes_us(history)[last]
    rows, news = np.arange(last + 1, n), np.flatnonzero(later)
    walk = _walk(rng, len(rows), 0.7 * float(history.close[last]), 0.03)
    bars = {name: np.concatenate([getattr(history, name)[: last + 1], it]) for name, it in walk.items()}
    kept = ~later | (rng.random(len(later)) < 0.5)
    score = np.where(later, -inputs.score, inputs.score)
    dividend = np.concatenate([inputs.dividend[: last + 1], rng.uniform(0, 3, len(rows))])
    return {
        "truncated": Inputs(
            history.between(0, last + 1), inputs.known_us[~later], inputs.score[~later], inputs.dividend[: last + 1]
        ),
        "replaced": Inputs(_with_bars(history, bars), inputs.known_us[kept], score[kept], dividend),
        "shuffled": _reordered(inputs, rows, rng.permutation(rows), news, rng.permutation(news)),
        "shifted": _reordered(inputs, rows, np.roll(rows, -1), news, np.roll(news, -1)),
    }


def _reordered(inputs: Inputs, rows: Rows, rows_from: Rows, news: Rows, news_from: Rows) -> Inputs:
    def moved(values: Floats, to: Rows, origin: Rows) -> Floats:
        result = values.copy()
        result[to] = values[origin]
        return result

    bars = {name: moved(getattr(inputs.history, name), rows, rows_from) for name in _COLUMNS}
    score, dividend = moved(inputs.score, news, news_from), moved(inputs.dividend, rows, rows_from)
    return Inputs(_with_bars(inputs.history, bars), inputs.known_us, score, dividend)
