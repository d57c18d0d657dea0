"""The keyed stateful operator: Spark's side of the state machine."""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

import pandas as pd

from tickloom.stream import effects, wire
from tickloom.stream.job import Spec
from tickloom.stream.machine import Clock, Machine
from tickloom.stream.parse import DEAD_GROUP
from tickloom.stream.state import TickerState

STATE_SCHEMA = "blob binary"
OUTPUT_SCHEMA = "effects binary"


@lru_cache(maxsize=4)
def _machine(spec_json: str) -> Machine:
    return Machine(Spec.model_validate_json(spec_json))


def updater(spec_json: str) -> Callable[[Any, Iterable[pd.DataFrame], Any], Iterator[pd.DataFrame]]:
    """Return the function for ``applyInPandasWithState``.

    Groups are tickers, and groups of refused records that pass through without state. Every group gives one row: its
    effects, packed, so that a thousand ticks cross back through the JVM as one value.
    """

    def update(key: Any, frames: Iterable[pd.DataFrame], state: Any) -> Iterator[pd.DataFrame]:
        group: str = key[0]
        payloads: list[bytes] = [payload for frame in frames for payload in frame["payload"].tolist()]
        if group.startswith(DEAD_GROUP):
            packed = effects.pack_refused([wire.refused_of(payload) for payload in payloads])
        else:
            if not state.exists and all(payload.startswith(wire.CONTROL) for payload in payloads):
                return  # an event for a ticker that was never seen
            packed = _apply(_machine(spec_json), group, payloads, state)
        yield pd.DataFrame({"effects": [packed]})

    return update


def _apply(machine: Machine, group: str, payloads: list[bytes], state: Any) -> bytes:
    clock = Clock()
    told = [payload for payload in payloads if payload.startswith(wire.CONTROL)]
    if told:
        payloads = [payload for payload in payloads if not payload.startswith(wire.CONTROL)]
        events = [wire.control_of(payload) for payload in told]
        clock = Clock(
            closed=tuple(sorted(time_us for name, time_us in events if name == wire.CLOSE)),
            flush=any(name == wire.FLUSH for name, _ in events),
        )
    ticker = TickerState.from_bytes(bytes(state.get[0])) if state.exists else TickerState()
    records = wire.records_of(payloads)
    done = machine.apply(ticker, records, clock)
    state.update((ticker.to_bytes(),))
    late = []
    for row in done.too_late:
        partition, offset = wire.position_of(int(records.position[row]))
        late.append(
            wire.Refused(
                key=group.encode(),
                value=wire.original(payloads[row]),
                reason="late",
                detail=f"time_us {records.time_us[row]}, newest {ticker.newest_us}",
                partition=partition,
                offset=offset,
            )
        )
    return effects.pack(group, done, late)
