"""Frames of records of several tickers, merged into blocks in the order of time."""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from tickloom.sources.blocks import PriceBlock
from tickloom.sources.csvfile import BarFrame

RANGE = ("open", "high", "low")


def bar_records(bars: BarFrame) -> pd.DataFrame:
    """Return bars as price records: known at the bar's end, with its range where open, high and low are all known."""
    source = bars.frame
    frame = pd.DataFrame({"time_us": source["end_us"], "price": source["close"], "volume": source["volume"]})
    for column in RANGE:
        frame[column] = source[column]
    frame["interval"] = np.where(frame[list(RANGE)].notna().all(axis=1), bars.interval, "")
    return frame


def tick_records(ticks: pd.DataFrame) -> pd.DataFrame:
    """Return ticks, as `tickloom.sources.csvfile.read_ticks` gives them, in the columns of `bar_records`."""
    return ticks[["time_us", "price", "volume"]].assign(interval="", open=np.nan, high=np.nan, low=np.nan)


def merge(parts: Iterable[pd.DataFrame], block_rows: int) -> Iterator[PriceBlock]:
    """Yield the records of all parts, oldest first; one block has one source and one interval.

    Parameters
    ----------
    parts : frames
        With the columns of `bar_records`, and ``ticker``, ``source`` and ``sequence`` (int64). A volume that is not
        known is NaN.
    """
    frame = pd.concat(parts, ignore_index=True)
    frame = frame.sort_values(["time_us", "ticker", "source", "sequence"], kind="stable", ignore_index=True)
    tickers, codes = np.unique(frame["ticker"].to_numpy(dtype=str), return_inverse=True)
    volume = frame["volume"].round().fillna(-1).to_numpy(dtype=np.int64)
    arrays = {name: frame[name].to_numpy() for name in ("time_us", "price", "sequence", *RANGE)}
    kind = frame.groupby(["source", "interval"]).ngroup().to_numpy()
    edges = np.flatnonzero(np.diff(kind)) + 1
    for low, high in zip([0, *edges], [*edges, len(frame)], strict=True):
        interval = str(frame["interval"].iloc[low]) or None
        for start in range(low, high, block_rows):
            rows = slice(start, min(start + block_rows, high))
            yield PriceBlock(
                tickers=tickers.tolist(),
                codes=codes[rows].astype(np.int32),
                time_us=arrays["time_us"][rows],
                price=arrays["price"][rows],
                volume=volume[rows],
                source=str(frame["source"].iloc[low]),
                sequence=arrays["sequence"][rows],
                interval=interval,
                open=arrays["open"][rows] if interval else None,
                high=arrays["high"][rows] if interval else None,
                low=arrays["low"][rows] if interval else None,
            )
