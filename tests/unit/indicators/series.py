"""Bars for the tests of the indicators."""

import numpy as np

from tickloom.indicators import REGISTRY
from tickloom.indicators.engine import Block, Engine

# besides the registry, short windows, so that rings wrap often in a short series
SHORT = (
    "sma_2",
    "sma_3",
    "ema_2",
    "rsi_2",
    "macd_2_3_2",
    "stoch_k_1_1",
    "stoch_d_3_2",
    "williams_r_2",
    "roc_1",
    "bb_upper_2_1.5",
    "atr_2",
    "std_3",
    "volume_ratio_2",
    "ultimate_oscillator_1_2_3",
    "zscore_2",
    "days_since_anomaly_3_1",
)
ALL = (*REGISTRY, *SHORT)


def walk(rows, seed=0, *, bars_a_day=1):
    """Make a random walk of bars without flat stretches and unknown values."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, rows)))
    opened = close * np.exp(rng.normal(0, 0.005, rows))
    high = np.maximum(opened, close) * (1 + rng.uniform(1e-4, 0.01, rows))
    low = np.minimum(opened, close) * (1 - rng.uniform(1e-4, 0.01, rows))
    volume = rng.integers(1, 1_000_000, rows).astype(float)
    day = (17_000 + np.arange(rows) // bars_a_day * rng.integers(1, 3)).astype(np.int32)
    return Block(np.arange(rows, dtype=np.int64) * 60_000_000, day, opened, high, low, close, volume)


def rough(rows, seed=0):
    """Make what a real file may hold: flat stretches, no volume, unknown prices and volumes, zeros and negatives."""
    rng = np.random.default_rng(seed)
    block = walk(rows, seed, bars_a_day=int(rng.integers(1, 50)))
    columns = {name: getattr(block, name).copy() for name in ("open", "high", "low", "close", "volume")}
    for _ in range(int(rng.integers(0, 6))):
        begin = int(rng.integers(0, rows + 1))
        part = slice(begin, begin + int(rng.integers(1, 60)))
        kind = rng.integers(0, 6)
        if kind == 0 and len(columns["close"][part]):
            for name in ("open", "high", "low", "close"):
                columns[name][part] = columns["close"][part][0]
        elif kind == 1:
            columns["volume"][part] = 0.0
        elif kind == 2:
            columns["volume"][part] = np.nan
        elif kind == 3:
            columns[str(rng.choice(["high", "low", "close"]))][part] = np.nan
        elif kind == 4:
            columns["close"][part] = 0.0
        else:
            for name in ("open", "high", "low", "close"):
                columns[name][part] -= 100.0
    return block._replace(**columns)


def cut(block, begin, end):
    return Block(*(np.ascontiguousarray(column[begin:end]) for column in block))


def values_of(names, block):
    engine = Engine(names)
    return engine.update(engine.initial(), block)[1]


def bars(close, *, high=None, low=None, volume=None, day=None):
    """Make bars of given closes; the rest follows from them."""
    close = np.asarray(close, float)
    rows = len(close)

    def column(value, default):
        return np.array(np.broadcast_to(default if value is None else value, rows), float)

    days = np.arange(rows) if day is None else np.asarray(day)
    return Block(
        np.arange(rows, dtype=np.int64),
        days.astype(np.int32),
        close,
        column(high, close),
        column(low, close),
        close,
        column(volume, 1.0),
    )
