"""Recorded prices, played again: any CSV files of bars or ticks, merged in the order of time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from tickloom.errors import TickloomError
from tickloom.sources.blocks import PriceBlock
from tickloom.sources.csvfile import is_tick_file, read_bars, read_ticks, ticker_of
from tickloom.sources.csvtimes import DateOrder
from tickloom.sources.merge import bar_records, merge, tick_records

SOURCE = "replay"


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
        if not self.files:
            raise TickloomError("replay needs at least one file")
        if self.ticker is not None and len(self.files) > 1:
            raise TickloomError(f"ticker {self.ticker!r} is said for {len(self.files)} files; say it for a single one")
        parts: list[pd.DataFrame] = []
        used: dict[str, int] = {}
        for path in self.files:
            ticker = self.ticker or ticker_of(path)
            part = self._records(path, ticker)
            first = used.get(ticker, 0)
            sequence = np.arange(first, first + len(part), dtype=np.int64)
            parts.append(part.assign(ticker=ticker, source=SOURCE, sequence=sequence))
            used[ticker] = first + len(part)
        return merge(parts, self.block_rows)

    def _records(self, path: Path, ticker: str) -> pd.DataFrame:
        if self.interval is None and is_tick_file(path):
            return tick_records(read_ticks(path, market=self.market, ticker=ticker, dates=self.dates))
        return bar_records(
            read_bars(
                path, market=self.market, ticker=ticker, interval=self.interval, label=self.label, dates=self.dates
            )
        )
