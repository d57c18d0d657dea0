"""Indicators of a whole frame at once."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tickloom.errors import TickloomError
from tickloom.indicators.engine import Block, Engine
from tickloom.indicators.registry import REGISTRY

_READ = ("day", "high", "low", "close", "volume")


def compute(frame: pd.DataFrame, names: Sequence[str] | None = None) -> pd.DataFrame:
    """Return the indicators of a frame of bars, with its index, one float64 column per name.

    Parameters
    ----------
    frame : DataFrame
        Bars of one instrument, oldest first: ``day`` (exchange's date in days since 1970) and ``high, low, close,
        volume``; ``time_us`` (UTC) is checked for its order if it is there.
    names : sequence of str or None
        None takes the whole registry.

    Raises
    ------
    TickloomError
        A name is unknown, a column is missing, or the rows are not in order.
    """
    missing = [name for name in _READ if name not in frame]
    if missing:
        raise TickloomError(f"frame has no column {', '.join(missing)}; needed: {', '.join(_READ)}")
    if not frame["day"].is_monotonic_increasing:
        raise TickloomError("frame: column day falls; sort the rows of one instrument oldest first")
    if "time_us" in frame and not (frame["time_us"].is_monotonic_increasing and frame["time_us"].is_unique):
        raise TickloomError("frame: column time_us does not rise from row to row; sort one instrument's rows by it")
    engine = Engine(tuple(REGISTRY) if names is None else names)
    high, low, close, volume = (np.array(frame[name], np.float64) for name in _READ[1:])
    time_us = np.array(frame["time_us"] if "time_us" in frame else np.arange(len(frame)), np.int64)
    opened = np.array(frame["open"], np.float64) if "open" in frame else close
    block = Block(time_us, np.array(frame["day"], np.int32), opened, high, low, close, volume)
    _, values = engine.update(engine.initial(), block)
    return pd.DataFrame(values, index=frame.index, columns=list(engine.names))
