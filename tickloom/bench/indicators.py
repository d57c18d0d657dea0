"""``tickloom bench indicators``: every indicator beside TA-Lib, and bar by bar."""

import re
import time
from collections.abc import Callable
from statistics import median
from types import CodeType

import numpy as np

from tickloom.bench.report import Result
from tickloom.errors import TickloomError
from tickloom.indicators.engine import Block, Engine
from tickloom.indicators.registry import DEFAULT_TWELVE, REGISTRY

TICKERS = 500
BARS = 2_500
REPEATS = 5
SINGLE = 20_000


def run(progress: Callable[[str], None]) -> Result:
    """Measure the whole registry over many tickers in turns with TA-Lib, then twelve indicators one bar at a time.

    Raises
    ------
    TickloomError
        TA-Lib is not installed.
    """
    try:
        import talib
    except ImportError:
        raise TickloomError(
            "bench indicators compares with TA-Lib, which is missing; run: uv pip install TA-Lib"
        ) from None

    progress(f"making {TICKERS} tickers of {BARS:,} bars")
    blocks = [_block(seed) for seed in range(TICKERS)]
    calls = _talib_calls()
    engine = Engine(tuple(REGISTRY))
    engine.warm()
    ours: list[float] = []
    theirs: list[float] = []
    for repeat in range(REPEATS):
        progress(f"round {repeat + 1} of {REPEATS}: {len(REGISTRY)} indicators here, {len(calls)} calls of TA-Lib")
        ours.append(_timed(lambda: _run_engine(engine, blocks)))
        theirs.append(_timed(lambda: _run_talib(talib, calls, blocks)))
    progress(f"one bar at a time, {SINGLE:,} bars")
    single = median(_single(blocks[0]) for _ in range(3))
    return Result(
        name="indicators",
        figures={
            "all_seconds": median(ours),
            "single_rows_per_second": single,
            "rows": TICKERS * BARS,
            "indicators": len(REGISTRY),
        },
        peers={"talib_seconds": median(theirs), "talib_calls": len(calls)},
        ratios={"time_to_talib": median(a / b for a, b in zip(ours, theirs, strict=True))},
        notes=(
            f"{TICKERS} tickers of {BARS:,} seeded random daily bars; one thread; medians of {REPEATS} rounds.",
            f"`all_seconds` computes all {len(REGISTRY)} indicators, `talib_seconds` makes the {len(calls)} calls for "
            "those that TA-Lib has. Z-score, days since an anomaly, VWAP, lags, volume ratio, band width and calendar "
            "are in Tickloom's time alone.",
            "`single_rows_per_second` updates the twelve default indicators with blocks of one bar, Python included.",
        ),
    )


def _block(seed: int) -> Block:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, BARS)))
    opened = close * np.exp(rng.normal(0, 0.005, BARS))
    day = np.arange(BARS, dtype=np.int32)
    high = np.maximum(opened, close) * (1 + rng.uniform(0, 0.01, BARS))
    low = np.minimum(opened, close) * (1 - rng.uniform(0, 0.01, BARS))
    volume = rng.integers(1_000, 1_000_000, BARS).astype(float)
    return Block(day.astype(np.int64) * 86_400_000_000, day, opened, high, low, close, volume)


def _talib_calls() -> list[CodeType]:
    """Return the distinct calls of the registry: one MACD gives three indicators."""
    texts = {re.sub(r"\)\[\d\]$", ")", item.talib): None for item in REGISTRY.values() if item.talib}
    return [compile(text, text, "eval") for text in texts]


def _timed(work: Callable[[], None]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _run_engine(engine: Engine, blocks: list[Block]) -> None:
    for block in blocks:
        engine.update(engine.initial(), block)


def _run_talib(talib: object, calls: list[CodeType], blocks: list[Block]) -> None:
    for block in blocks:
        names = {"talib": talib, "high": block.high, "low": block.low, "close": block.close, "volume": block.volume}
        for call in calls:
            eval(call, names)  # noqa: S307 (the registry's own text)


def _one(block: Block, i: int) -> Block:
    row = slice(i, i + 1)
    prices = (block.open[row], block.high[row], block.low[row], block.close[row])
    return Block(block.time_us[row], block.day[row], *prices, block.volume[row])


def _single(block: Block) -> float:
    engine = Engine(DEFAULT_TWELVE)
    rows = [_one(block, i) for i in range(BARS)]
    state = engine.initial()
    begin = time.perf_counter()
    for i in range(SINGLE):
        state, _ = engine.update(state, rows[i % BARS])
    return SINGLE / (time.perf_counter() - begin)
