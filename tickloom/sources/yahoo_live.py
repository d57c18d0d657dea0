"""Bars of Yahoo Finance while the exchange is open: each once, when it is complete."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from tickloom.errors import TickloomError
from tickloom.market.intervals import parse_interval
from tickloom.market.sessions import day_of, session_table
from tickloom.sources.blocks import PriceBlock
from tickloom.sources.csvfile import read_bars
from tickloom.sources.merge import merge
from tickloom.sources.yahoo import SUFFIXES, Download, download_bars, in_sessions, records_of


@dataclass
class YahooLive:
    """The bars of the day, asked for again and again.

    Records are those that `tickloom.sources.yahoo.Yahoo` makes of the same bars, so a day that is asked for twice
    gives the same records twice. Nothing is synthetic here, and nothing comes from the cache.

    Attributes
    ----------
    tickers : sequence of str
    market : str
        MIC; Yahoo must list its shares.
    interval : str
        ``1m``, ``5m``, ``15m`` or ``1h``.
    download : callable or None
        As in `tickloom.sources.yahoo.Yahoo`.
    """

    tickers: Sequence[str]
    market: str = "XNYS"
    interval: str = "1m"
    download: Download | None = None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    block_rows: int = 5_000
    _newest_us: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.market not in SUFFIXES:
            raise TickloomError(f"Yahoo Finance lists no shares of {self.market}; known: {', '.join(SUFFIXES)}")
        if parse_interval(self.interval) == "1d":
            raise TickloomError("interval '1d' has no bar before the close; known: 1m, 5m, 15m, 1h")

    def poll(self) -> list[PriceBlock]:
        """Return the records of today's complete bars that were not `seen` yet.

        Raises
        ------
        TickloomError
            Yahoo has no bars of today, or what it sent cannot be read.
        OSError
            It does not answer.
        """
        now = self.clock()
        now_us = int(now.timestamp() * 1e6)
        today = day_of(int(session_table(self.market).local_day([now_us])[0]))
        parts = [self._part(ticker, today, now_us) for ticker in self.tickers]
        new = [part for part in parts if len(part)]
        return list(merge(new, self.block_rows)) if new else []

    def seen(self, block: PriceBlock) -> None:
        """Give the records of a block, and older ones, no more."""
        for code in np.unique(block.codes):
            ticker, newest = block.tickers[code], int(block.time_us[block.codes == code].max())
            self._newest_us[ticker] = max(self._newest_us.get(ticker, newest), newest)

    def _part(self, ticker: str, today: date, now_us: int) -> pd.DataFrame:
        interval = parse_interval(self.interval)
        symbol = ticker + SUFFIXES[self.market]
        frame = download_bars(self.download, symbol, today, today + timedelta(days=1), interval)
        with TemporaryDirectory() as folder:
            path = Path(folder) / f"{ticker}.csv"
            in_sessions(frame, self.market, interval).to_csv(path)
            bars = read_bars(path, market=self.market, ticker=ticker, interval=interval, label="start")
        records = records_of(bars, "download")
        newest = self._newest_us.get(ticker, -1)
        return records[(records["time_us"] > newest) & (records["time_us"] <= now_us)]
