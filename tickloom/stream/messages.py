"""Messages of the output topics: final bars and anomalies, each with an id that a repeat repeats."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from tickloom.bus.encode import iso
from tickloom.market.sessions import day_of
from tickloom.stream.effects import Batch
from tickloom.stream.machine import vwap
from tickloom.stream.rows import INTERVAL_NAMES, UNKNOWN_VOLUME, Array


def bars(batch: Batch, indicators: tuple[str, ...]) -> Iterator[tuple[bytes, bytes]]:
    """Yield key and value for each final bar; schema ``bar.v1``."""
    averages = vwap(batch.bars)
    final = np.flatnonzero(batch.bars["final"] == 1)
    for i, time in zip(final, _stamps(batch.bars["start_us"][final]), strict=True):
        bar, ticker = batch.bars[i], batch.names[batch.bar_of[i]]
        interval = INTERVAL_NAMES[int(bar["interval_s"])]
        yield _message(
            ticker,
            {
                "v": 1,
                "id": f"{ticker}|{interval}|{time}",
                "ticker": ticker,
                "interval": interval,
                "time": time,
                "day": day_of(int(bar["day"])).isoformat(),
                **{name: float(bar[name]) for name in ("open", "high", "low", "close")},
                "volume": None if bar["volume"] == UNKNOWN_VOLUME else int(bar["volume"]),
                "vwap": None if np.isnan(averages[i]) else float(averages[i]),
                "ticks": int(bar["ticks"]),
                "final": True,
                "indicators": {
                    name: float(value)
                    for name, value in zip(indicators, batch.values[i], strict=True)
                    if not np.isnan(value)
                },
            },
        )


def anomalies(batch: Batch, flagged: Array, threshold: float) -> Iterator[tuple[bytes, bytes]]:
    """Yield key and value for each flagged tick; schema ``anomaly.v1``."""
    for i, time in zip(flagged, _stamps(batch.ticks["time_us"][flagged]), strict=True):
        tick, ticker = batch.ticks[i], batch.names[batch.tick_of[i]]
        source = batch.sources[tick["source"]]
        yield _message(
            ticker,
            {
                "v": 1,
                "id": f"{ticker}|{time}|{source}|{int(tick['sequence'])}",
                "ticker": ticker,
                "time": time,
                "source": source,
                "sequence": int(tick["sequence"]),
                "price": float(tick["price"]),
                "rolling_avg": float(tick["mean"]),
                "rolling_std": float(tick["deviation"]),
                "z_score": float(tick["z_score"]),
                "threshold": threshold,
            },
        )


def _stamps(time_us: Array) -> list[str]:
    return [f"{stamp}Z" for stamp in iso(np.ascontiguousarray(time_us))]


def _message(ticker: str, body: dict[str, Any]) -> tuple[bytes, bytes]:
    return ticker.encode(), json.dumps(body, separators=(",", ":")).encode()
