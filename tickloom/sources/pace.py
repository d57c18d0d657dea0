"""Deliver blocks at the speed of their own times, at a number of records per second, or not before their own time.

Whoever takes blocks from here gets an empty one after each second of waiting, to look after other things.
"""

import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from tickloom.errors import TickloomError
from tickloom.sources.blocks import Floats, PriceBlock

_SLICE_S = 0.02  # records due within this time of each other travel together
_LONGEST_WAIT_S = 1.0
Clock = Callable[[], float]
Sleep = Callable[[float], None]


def at_speed(
    blocks: Iterable[PriceBlock],
    speed: float,
    max_gap_s: float = 1.0,
    clock: Clock = time.monotonic,
    sleep: Sleep = time.sleep,
) -> Iterator[PriceBlock]:
    """Yield the records when they are due.

    Parameters
    ----------
    speed : float
        Seconds of the records' time per second of wall time.
    max_gap_s : float
        Longest wait in wall seconds, so that a night or a weekend between two records costs no more than this.
    """
    if not speed > 0:
        raise TickloomError(f"speed {speed!r} must be above 0; 60 plays an hour in a minute")
    if not max_gap_s >= 0:
        raise TickloomError(f"max_gap_s {max_gap_s!r} must not be negative")
    last_us: int | None = None
    last_due = 0.0

    def due(block: PriceBlock) -> Floats:
        nonlocal last_us, last_due
        before = int(block.time_us[0]) if last_us is None else last_us
        waits = np.minimum(np.diff(block.time_us, prepend=before) / 1e6 / speed, max_gap_s)
        moments = last_due + np.cumsum(np.maximum(waits, 0.0))
        last_us, last_due = int(block.time_us[-1]), float(moments[-1])
        return moments

    return _deliver(blocks, due, clock, sleep)


def at_rate(
    blocks: Iterable[PriceBlock], rate: float, clock: Clock = time.monotonic, sleep: Sleep = time.sleep
) -> Iterator[PriceBlock]:
    """Yield ``rate`` records per second of wall time, whatever their own times are."""
    if not rate > 0:
        raise TickloomError(f"rate {rate!r} must be above 0 records per second")
    sent = 0

    def due(block: PriceBlock) -> Floats:
        nonlocal sent
        moments = (sent + np.arange(len(block))) / rate
        sent += len(block)
        return moments

    return _deliver(blocks, due, clock, sleep)


def at_clock(blocks: Iterable[PriceBlock], clock: Clock = time.time, sleep: Sleep = time.sleep) -> Iterator[PriceBlock]:
    """Yield no record before its own time, in seconds since 1970, has come."""
    return _deliver(blocks, lambda block: block.time_us / 1e6, clock, sleep, begin=0.0)


def _deliver(
    blocks: Iterable[PriceBlock],
    due: Callable[[PriceBlock], Floats],
    clock: Clock,
    sleep: Sleep,
    begin: float | None = None,
) -> Iterator[PriceBlock]:
    for block in blocks:
        if not len(block):
            yield block
            continue
        moments = due(block)
        begin = clock() if begin is None else begin
        row = 0
        while row < len(block):
            while (wait := begin + float(moments[row]) - clock()) > 0:
                sleep(min(wait, _LONGEST_WAIT_S))
                if wait > _LONGEST_WAIT_S:
                    yield block.take(slice(0, 0))
            ready = max(clock() - begin, float(moments[row])) + _SLICE_S
            end = int(np.searchsorted(moments, ready, side="right"))
            yield block.take(slice(row, end))
            row = end
