"""The records that travel: a price, a bar, a piece of news; none can be built with impossible values."""

import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tickloom.errors import TickloomError
from tickloom.market.intervals import Interval, parse_interval

TICKER = re.compile(r"[A-Z0-9][A-Z0-9.\-]{0,15}")
SOURCE = re.compile(r"[a-z0-9_.\-]{1,64}")
MAX_SEQUENCE = 2**63


def _fail(record: object, field: str, value: object, rule: str) -> None:
    raise TickloomError(f"{type(record).__name__}: {field} {value!r} {rule}")


def _check_utc(record: Any, *fields: str) -> None:
    for field in fields:
        value = getattr(record, field)
        if not isinstance(value, datetime) or value.tzinfo is None or value.utcoffset() != timedelta(0):
            _fail(record, field, value, "must be a datetime in UTC")
        # One class for UTC, whatever zone object the caller had, so that equal records print alike.
        object.__setattr__(record, field, value.replace(tzinfo=UTC))


def _check_pattern(record: Any, field: str, pattern: re.Pattern[str]) -> None:
    value = getattr(record, field)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        _fail(record, field, value, f"must match {pattern.pattern}")


def _check_prices(record: Any, *fields: str) -> None:
    for field in fields:
        value = getattr(record, field)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
            _fail(record, field, value, "must be a finite number above 0")


def _check_range(record: Any, *inside: str) -> None:
    for field in inside:
        value = getattr(record, field)
        if not record.low <= value <= record.high:
            _fail(record, field, value, f"must lie within low {record.low!r} and high {record.high!r}")


def _check_count(record: Any, field: str, limit: int = MAX_SEQUENCE) -> None:
    value = getattr(record, field)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < limit:
        _fail(record, field, value, f"must be a whole number from 0 to {limit - 1}")


@dataclass(frozen=True, slots=True)
class Tick:
    """One price record.

    Attributes
    ----------
    time : datetime
        UTC; when the price is known. For a record with ``interval`` this is the interval's end.
    price : float
        In the instrument's currency; with ``interval``, its close.
    volume : int or None
        Shares; None when unknown.
    source : str
        Who says so, ``[a-z0-9_.-]{1,64}``.
    sequence : int
        Number that the source gives; (ticker, time, source, sequence) identifies the record.
    interval, open, high, low
        Together, or none of them: the interval that the record sums up.
    """

    ticker: str
    time: datetime
    price: float
    volume: int | None
    source: str
    sequence: int
    interval: Interval | None = None
    open: float | None = None
    high: float | None = None
    low: float | None = None

    def __post_init__(self) -> None:
        _check_pattern(self, "ticker", TICKER)
        _check_utc(self, "time")
        _check_prices(self, "price")
        if self.volume is not None:
            _check_count(self, "volume")
        _check_pattern(self, "source", SOURCE)
        _check_count(self, "sequence")
        together = (self.interval, self.open, self.high, self.low)
        if all(value is None for value in together):
            return
        if any(value is None for value in together):
            _fail(self, "interval, open, high, low", together, "must come together or not at all")
        parse_interval(str(self.interval))
        _check_prices(self, "open", "high", "low")
        _check_range(self, "open", "price")


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar.

    Attributes
    ----------
    time : datetime
        UTC; start of the interval, for ``1d`` the session's open.
    day : date
        The exchange's local date.
    volume : int or None
        Shares; None when unknown.
    vwap : float or None
        Volume-weighted average price; None when a volume is unknown.
    ticks : int
        Records that the bar sums up.
    final : bool
        Whether no later record can change it.
    """

    ticker: str
    interval: Interval
    time: datetime
    day: date
    open: float
    high: float
    low: float
    close: float
    volume: int | None
    vwap: float | None = None
    ticks: int = 0
    final: bool = True

    def __post_init__(self) -> None:
        _check_pattern(self, "ticker", TICKER)
        parse_interval(self.interval)
        _check_utc(self, "time")
        if isinstance(self.day, datetime) or not isinstance(self.day, date):
            _fail(self, "day", self.day, "must be a date")
        _check_prices(self, "open", "high", "low", "close")
        _check_range(self, "open", "close")
        if self.volume is not None:
            _check_count(self, "volume")
        if self.vwap is not None:
            _check_prices(self, "vwap")
        _check_count(self, "ticks")


@dataclass(frozen=True, slots=True)
class NewsItem:
    """One piece of news.

    Attributes
    ----------
    id : str
        The same whenever the item is fetched again.
    published : datetime
        UTC; when the publisher says it appeared.
    seen : datetime
        UTC; when it was fetched, the earliest moment at which a forecast may use it.
    tickers : tuple of str
        Instruments that it is about; may be empty.
    """

    id: str
    source: str
    published: datetime
    seen: datetime
    title: str
    url: str | None = None
    body: str | None = None
    language: str | None = None
    tickers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.id:
            _fail(self, "id", self.id, "must not be empty")
        _check_pattern(self, "source", SOURCE)
        _check_utc(self, "published", "seen")
        if not self.title.strip():
            _fail(self, "title", self.title, "must not be empty")
        for ticker in self.tickers:
            if not TICKER.fullmatch(ticker):
                _fail(self, "tickers", ticker, f"must match {TICKER.pattern}")
