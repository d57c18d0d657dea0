"""Bars of Yahoo Finance: from the cache, else downloaded, else synthetic; and always said which."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import stamina

from tickloom.errors import TickloomError
from tickloom.files import whole
from tickloom.market.instruments import instruments
from tickloom.market.intervals import Interval, parse_interval
from tickloom.market.sessions import day_of, days_of, session_table
from tickloom.settings import settings
from tickloom.sources.blocks import PriceBlock
from tickloom.sources.csvfile import BarFrame, read_bars
from tickloom.sources.merge import bar_records, merge
from tickloom.sources.synthetic import synthetic_bars

Origin = Literal["cache", "download", "synthetic"]
Download = Callable[[str, date, date, str], pd.DataFrame]
SUFFIXES = {"XNYS": ""}  # Yahoo Finance has no suffix for Casablanca
_SOURCES: dict[Origin, str] = {"cache": "yahoo", "download": "yahoo", "synthetic": "synthetic"}
_DEFAULT_DAYS = {"1d": 365, "1h": 60}
_COLUMNS = ["Open", "High", "Low", "Close", "Volume"]


@dataclass(frozen=True)
class Fetched:
    """Bars, and where they come from.

    Attributes
    ----------
    origin : str
        ``cache``, ``download``, or ``synthetic``.
    reason : str
        Why it is this origin and not an earlier one, with the failure's own words.
    as_of : datetime
        UTC; when the bars were downloaded, or made.
    """

    bars: BarFrame
    origin: Origin
    reason: str
    as_of: datetime


@dataclass(frozen=True)
class Yahoo:
    """Bars of completed sessions, split-adjusted by Yahoo and never adjusted for dividends.

    Attributes
    ----------
    tickers : sequence of str
    start, end : date or None
        First date, and the one after the last; None takes a year (1h: 60 days, shorter: 5) up to the last completed
        session.
    download : callable or None
        ``(symbol, start, end, interval) -> DataFrame`` in the form of ``yfinance``; None is ``yfinance`` itself.
    """

    tickers: Sequence[str]
    market: str | None = None
    start: date | None = None
    end: date | None = None
    interval: str = "1d"
    seed: int = 0
    download: Download | None = None
    now: datetime | None = None
    block_rows: int = 5_000

    def blocks(self) -> Iterator[PriceBlock]:
        """Yield the bars of all tickers as price records in time order."""
        parts = [records_of(fetched.bars, fetched.origin) for fetched in self.fetched.values()]
        return merge(parts, self.block_rows)

    @cached_property
    def fetched(self) -> dict[str, Fetched]:
        """What was fetched for each ticker."""
        if not self.tickers:
            raise TickloomError("yahoo needs at least one ticker")
        return {ticker: self._fetch(ticker) for ticker in self.tickers}

    def _fetch(self, ticker: str) -> Fetched:
        interval = parse_interval(self.interval)
        known = instruments().get(ticker)
        market = self.market or (known.exchange if known is not None else "XNYS")
        start, end = self._span(market, interval)
        now = self.now or datetime.now(UTC)
        cached, miss = _from_cache(ticker, market, interval, start, end)
        if cached is not None:
            return cached
        if market not in SUFFIXES:
            failure = f"Yahoo Finance lists no shares of {market}"
        else:
            try:
                frame = download_bars(self.download, ticker + SUFFIXES[market], start, end, interval)
                path = _store(frame, ticker, market, interval, start, end)
                bars = _clip(
                    read_bars(path, market=market, ticker=ticker, interval=interval, label="start"), start, end
                )
                return Fetched(bars, "download", miss, now)
            except Exception as error:  # whatever the network or Yahoo did, the order goes on to the next origin
                failure = f"download failed: {type(error).__name__}: {error}".splitlines()[0]
        bars = synthetic_bars(ticker, market=market, interval=interval, start=start, end=end, seed=self.seed)
        return Fetched(bars, "synthetic", f"{miss}; {failure}", now)

    def _span(self, market: str, interval: Interval) -> tuple[date, date]:
        table = session_table(market)
        now = (self.now or datetime.now(UTC)).timestamp() * 1e6
        last = day_of(int(table.day[max(int(np.searchsorted(table.close_us, now, side="right")) - 1, 0)]))
        end = min(self.end or date.max, last + timedelta(days=1))
        start = self.start or end - timedelta(days=_DEFAULT_DAYS.get(interval, 5))
        if start >= end:
            raise TickloomError(f"yahoo: start {start} is not before {end}, the day after the last completed session")
        return start, end


def records_of(bars: BarFrame, origin: Origin) -> pd.DataFrame:
    """Return the records of one ticker's bars for `tickloom.sources.merge.merge`.

    Synthetic bars have the source ``synthetic``, all others ``yahoo``. ``sequence`` is the bar's end in seconds since
    1970, so that any span that has the bar gives it the same number.
    """
    records = bar_records(bars)
    sequence = (records["time_us"] // 1_000_000).astype(np.int64)
    return records.assign(ticker=bars.ticker, source=_SOURCES[origin], sequence=sequence)


def download_bars(download: Download | None, symbol: str, start: date, end: date, interval: Interval) -> pd.DataFrame:
    """Return Yahoo's bars as ``yfinance`` gives them, asked for up to three times.

    Raises
    ------
    OSError
        It does not answer.
    TickloomError
        It has no such bars, or not with all their columns.
    """
    ask = download or _yfinance
    for attempt in stamina.retry_context(
        on=OSError, attempts=3, timeout=20.0, wait_initial=0.2, wait_max=2.0, wait_jitter=0.2
    ):
        with attempt:
            frame = ask(symbol, start, end, interval)
    if frame is None or frame.empty:
        raise TickloomError(f"Yahoo has no {interval} bars of {symbol} from {start} to {end}")
    missing = [name for name in _COLUMNS if name not in frame.columns]
    if missing:
        raise TickloomError(f"Yahoo's bars of {symbol} lack {', '.join(missing)}")
    return frame


def _yfinance(symbol: str, start: date, end: date, interval: str) -> pd.DataFrame:
    import logging

    import yfinance

    logging.getLogger("yfinance").setLevel(logging.CRITICAL)
    yfinance.config.debug.hide_exceptions = False
    frame: pd.DataFrame = yfinance.Ticker(symbol).history(
        start=start.isoformat(), end=end.isoformat(), interval=interval, auto_adjust=False, actions=False, timeout=10
    )
    return frame


def _folder() -> Path:
    return settings().cache / "yahoo"


def _store(frame: pd.DataFrame, ticker: str, market: str, interval: Interval, start: date, end: date) -> Path:
    """Write the bars to the cache, whole or not at all, and return the file."""
    path = _folder() / f"{ticker}_{interval}_{start}_{end}.csv"
    with whole(path) as part:
        in_sessions(frame, market, interval).to_csv(part)
    return path


def in_sessions(frame: pd.DataFrame, market: str, interval: Interval) -> pd.DataFrame:
    """Return Yahoo's bars as the cache keeps them: those within sessions, by date or by UTC time."""
    stamps = pd.DatetimeIndex(frame.index)
    stamps = stamps.tz_localize("UTC") if stamps.tz is None else stamps
    if interval == "1d":
        zone_day = [stamp.date().isoformat() for stamp in stamps]
        return frame[_COLUMNS].set_axis(pd.Index(zone_day, name="Date"))
    text = stamps.tz_convert("UTC").strftime("%Y-%m-%dT%H:%M:%SZ")
    inside = session_table(market).locate(stamps.tz_convert("UTC").as_unit("us").asi8) >= 0
    return frame[_COLUMNS].set_axis(pd.Index(text, name="Datetime"))[inside]


def _from_cache(ticker: str, market: str, interval: Interval, start: date, end: date) -> tuple[Fetched | None, str]:
    """Return bars of a cached file that covers the span, else None, and the reason in words."""
    name = re.compile(re.escape(f"{ticker}_{interval}_") + r"(\d{4}-\d\d-\d\d)_(\d{4}-\d\d-\d\d)\.csv")
    reason = "not in the cache"
    for path in sorted(_folder().glob("*.csv")) if _folder().is_dir() else ():
        match = name.fullmatch(path.name)
        if match is None or date.fromisoformat(match[1]) > start or date.fromisoformat(match[2]) < end:
            continue
        try:
            bars = _clip(read_bars(path, market=market, ticker=ticker, interval=interval, label="start"), start, end)
        except TickloomError as error:
            reason = f"cache unreadable: {error}"
            continue
        as_of = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        return Fetched(bars, "cache", f"{path.name} covers {start} to {end}", as_of), ""
    return None, reason


def _clip(bars: BarFrame, start: date, end: date) -> BarFrame:
    frame = bars.frame
    inside = frame["day"].between(days_of(start), days_of(end) - 1)
    if not inside.any():
        raise TickloomError(f"{bars.ticker}: no bar from {start} to {end}")
    return replace(bars, frame=frame[inside].reset_index(drop=True))
