"""The keyed stateful operator: Spark's side of the state machine."""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tickloom.stream.job import Spec
from tickloom.stream.machine import Clock, Machine, Records
from tickloom.stream.parse import DEAD_GROUP
from tickloom.stream.rows import Array
from tickloom.stream.state import TickerState

STATE_SCHEMA = "blob binary"
OUTPUT_SCHEMA = "group string, ticks binary, sources string, bars binary, values binary, dead binary, duplicates bigint"
RECORD, FLUSH, CLOSE = 0, 1, 2
"""Values of the column ``control``: a record of the topic, the end of a bounded replay, the close of a session."""

DEAD_SCHEMA = pa.schema(
    [
        ("key", pa.binary()),
        ("value", pa.binary()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
    ]
)
_NUMBERS = ("time_us", "sequence", "position", "price", "volume", "open", "high", "low", "interval_s", "arrived_us")


@lru_cache(maxsize=4)
def _machine(spec_json: str) -> Machine:
    return Machine(Spec.model_validate_json(spec_json))


def updater(spec_json: str) -> Callable[[Any, Iterable[pd.DataFrame], Any], Iterator[pd.DataFrame]]:
    """Return the function for ``applyInPandasWithState``.

    Groups are tickers, and groups of refused records that pass through without state. Every group gives one row: its
    effects, columnar, so that a thousand ticks cross back through the JVM as one value.
    """

    def update(key: Any, frames: Iterable[pd.DataFrame], state: Any) -> Iterator[pd.DataFrame]:
        group: str = key[0]
        chunks = list(frames)
        frame = chunks[0] if len(chunks) == 1 else pd.concat(chunks, ignore_index=True)
        if group.startswith(DEAD_GROUP):
            yield _row(group, dead=_dead(frame, frame["reason"].tolist(), frame["detail"].tolist()))
            return
        machine = _machine(spec_json)
        control = frame["control"].to_numpy()
        clock = _clock(frame, control)
        if clock != Clock():
            frame = frame[control == RECORD]
        ticker = TickerState.from_bytes(bytes(state.get[0])) if state.exists else TickerState()
        effects = machine.apply(ticker, _records(frame), clock)
        state.update((ticker.to_bytes(),))
        dead = b""
        if len(effects.too_late):
            refused = frame.iloc[effects.too_late]
            details = [f"time_us {time}, newest {ticker.newest_us}" for time in refused["time_us"]]
            dead = _dead(refused, ["late"] * len(refused), details)
        yield _row(
            group,
            ticks=effects.ticks.tobytes(),
            sources=",".join(effects.sources),
            bars=effects.bars.tobytes(),
            values=effects.values.tobytes(),
            dead=dead,
            duplicates=effects.duplicates,
        )

    return update


def _clock(frame: pd.DataFrame, control: Array) -> Clock:
    if not control.any():
        return Clock()
    closes = frame["time_us"].to_numpy()[control == CLOSE]
    return Clock(closed=tuple(int(close) for close in sorted(closes)), flush=bool((control == FLUSH).any()))


def _records(frame: pd.DataFrame) -> Records:
    numbers = {name: np.ascontiguousarray(frame[name].to_numpy()) for name in _NUMBERS}
    return Records(source=frame["source"].tolist(), **numbers)


def _dead(frame: pd.DataFrame, reasons: list[str], details: list[str]) -> bytes:
    batch = pa.record_batch(
        [
            pa.array(frame["key"].tolist(), pa.binary()),
            pa.array(frame["value"].tolist(), pa.binary()),
            pa.array(reasons, pa.string()),
            pa.array(details, pa.string()),
            pa.array(frame["partition"].to_numpy(), pa.int32()),
            pa.array(frame["offset"].to_numpy(), pa.int64()),
        ],
        schema=DEAD_SCHEMA,
    )
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, DEAD_SCHEMA) as writer:
        writer.write_batch(batch)
    return out.getvalue().to_pybytes()


def _row(
    group: str,
    ticks: bytes = b"",
    sources: str = "",
    bars: bytes = b"",
    values: bytes = b"",
    dead: bytes = b"",
    duplicates: int = 0,
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "group": [group],
            "ticks": [ticks],
            "sources": [sources],
            "bars": [bars],
            "values": [values],
            "dead": [dead],
            "duplicates": [duplicates],
        }
    )
