"""Recorded prices, played again: any CSV files of bars or ticks, merged in the order of time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from tickloom.errors import TickloomError
from tickloom.sources.blocks import PriceBlock
from tickloom.sources.csvfile import is_tick_file, read_bars, read_ticks, ticker_of
from tickloom.sources.csvtimes import DateOrder

SOURCE = "replay"
_COLUMNS = ("open", "high", "low")


@dataclass(frozen=True)
class Replay:
    """The records of some CSV files in time order.

    A bar becomes a price record with ``time`` the bar's end, ``price`` its close, and the interval's open, high and
    low where the file knows them. ``sequence`` is the row's place in its file's time order, and goes on where the
    file before it ended when two files have the same ticker: the same files in the same order give the same records.
    All files are held in memory.

    Attributes
    ----------
    files : sequence of Path
        CSV files of bars or ticks.
    market, ticker, interval, label, dates
        As in `tickloom.sources.csvfile.read_bars`, for every file; ``ticker`` needs a single file.
    block_rows : int
        Most records in one block.
    """

    files: Sequence[Path]
    market: str | None = None
    ticker: str | None = None
    interval: str | None = None
    label: Literal["auto", "start", "end"] = "auto"
    dates: DateOrder = "auto"
    block_rows: int = 5_000

    def blocks(self) -> Iterator[PriceBlock]:
        """Yield the records in time order; one block has one interval."""
        frame = self._merged
        tickers = frame["ticker"].cat.categories.tolist()
        interval = frame["interval"].cat.codes.to_numpy()
        names = frame["interval"].cat.categories.tolist()
        edges = np.flatnonzero(np.diff(interval)) + 1
        for low, high in zip([0, *edges], [*edges, len(frame)], strict=True):
            for start in range(low, high, self.block_rows):
                rows = frame.iloc[start : min(start + self.block_rows, high)]
                name = names[interval[low]] or None
                ranges = {column: rows[column].to_numpy() for column in _COLUMNS} if name else {}
                yield PriceBlock(
                    tickers=tickers,
                    codes=rows["ticker"].cat.codes.to_numpy().astype(np.int32),
                    time_us=rows["time_us"].to_numpy(),
                    price=rows["price"].to_numpy(),
                    volume=rows["volume"].to_numpy(),
                    source=SOURCE,
                    sequence=rows["sequence"].to_numpy(),
                    interval=name,
                    **ranges,
                )

    @cached_property
    def _merged(self) -> pd.DataFrame:
        if not self.files:
            raise TickloomError("replay needs at least one file")
        if self.ticker is not None and len(self.files) > 1:
            raise TickloomError(f"ticker {self.ticker!r} is said for {len(self.files)} files; say it for a single one")
        parts: list[pd.DataFrame] = []
        used: dict[str, int] = {}
        for path in self.files:
            ticker = self.ticker or ticker_of(path)
            part = self._records(path, ticker)
            part["ticker"] = ticker
            part["sequence"] = np.arange(len(part), dtype=np.int64) + used.get(ticker, 0)
            used[ticker] = used.get(ticker, 0) + len(part)
            parts.append(part)
        merged = pd.concat(parts, ignore_index=True)
        merged = merged.sort_values(["time_us", "ticker", "sequence"], kind="stable", ignore_index=True)
        return merged.astype({"ticker": "category", "interval": "category"})

    def _records(self, path: Path, ticker: str) -> pd.DataFrame:
        if self.interval is None and is_tick_file(path):
            frame = read_ticks(path, market=self.market, ticker=ticker, dates=self.dates)[
                ["time_us", "price", "volume"]
            ]
            frame = frame.assign(interval="", open=np.nan, high=np.nan, low=np.nan)
        else:
            bars = read_bars(
                path, market=self.market, ticker=ticker, interval=self.interval, label=self.label, dates=self.dates
            )
            source = bars.frame
            frame = pd.DataFrame(
                {"time_us": source["end_us"], "price": source["close"], "volume": source["volume"]}
                | {column: source[column] for column in _COLUMNS}
            )
            known = frame[list(_COLUMNS)].notna().all(axis=1)
            frame["interval"] = np.where(known, bars.interval, "")
        frame["volume"] = frame["volume"].round().fillna(-1).astype(np.int64)
        return frame
