"""Synthetic prices: seeded geometric Brownian motion that starts from a real price and trades in sessions only."""

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final

import numpy as np

from tickloom.errors import TickloomError
from tickloom.market.records import TICKER
from tickloom.market.sessions import Times, day_of, days_of, session_table
from tickloom.sources.blocks import Floats, Ints, PriceBlock

_LARGEST_SEED: Final = 2**63 - 1
DRIFT, VOLATILITY = 0.05, 0.25  # per year of trading
_VOLUME_MEDIAN, _VOLUME_SIGMA = 100.0, 1.0


@dataclass(frozen=True)
class Gbm:
    """Price records every ``step_s`` seconds of the sessions, for each ticker.

    The price after a step is the one before times ``exp((drift - volatility**2 / 2) dt + volatility sqrt(dt) z)`` with
    ``z`` standard normal and ``dt = step_s`` over the trading seconds of the calendar year in which ``begin`` lies. A
    night is one step like any other, for the year counts trading time only; ``volatility`` is thus that of closes.
    The rounded price is what is sent; the motion goes on unrounded. Volumes are log-normal whole numbers.

    A ticker's prices depend on ``seed``, its name, and its own parameters, not on the other tickers or the block size.
    Other seeds or parameters are another series, which its records' source says.

    Attributes
    ----------
    tickers : tuple of str
    start : mapping of str to float
        Price of the record with ``sequence`` 0.
    market : str
        MIC whose sessions hold.
    begin : datetime or None
        UTC time of the first record, or of a moment before the session that it opens. None is the open of the last
        completed session before ``now``, or as many sessions earlier as ``count`` or ``duration_s`` needs to end by
        then; so say ``begin`` where the same records must come on another day. Without either, the records run ahead
        of ``now`` in time, as soon as they come faster than the clock (``pace.at_clock`` holds them).
    drift, volatility : float or mapping of str to float
        Per year, as fractions; tickers that a mapping lacks have the defaults 0.05 and 0.25.
    count : int or None
        Number of records of all tickers together; None goes on to the calendar's end.
    duration_s : float or None
        Seconds of trading after which to stop.
    sessions : int
        Completed sessions before ``now`` with which to begin, where ``begin`` is None.
    tick_size : float
        Prices are rounded to a multiple of this, and are never below it.
    """

    tickers: tuple[str, ...]
    start: Mapping[str, float]
    market: str = "XNYS"
    seed: int = 0
    step_s: float = 5.0
    begin: datetime | None = None
    drift: float | Mapping[str, float] = DRIFT
    volatility: float | Mapping[str, float] = VOLATILITY
    count: int | None = None
    duration_s: float | None = None
    sessions: int = 1
    tick_size: float = 0.01
    block_rows: int = 10_000
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        if not self.tickers or len(set(self.tickers)) != len(self.tickers):
            raise TickloomError(f"gbm: tickers {list(self.tickers)} must be one or more, each once")
        for ticker in self.tickers:
            if not TICKER.fullmatch(ticker):
                raise TickloomError(f"gbm: ticker {ticker!r} must match {TICKER.pattern}")
            price = self.start.get(ticker, math.nan)
            if not (math.isfinite(price) and price > 0):
                raise TickloomError(f"gbm: start price of {ticker} {price!r} must be a finite number above 0")
            if not (math.isfinite(self._volatility(ticker)) and self._volatility(ticker) >= 0):
                raise TickloomError(f"gbm: volatility of {ticker} {self._volatility(ticker)!r} must be 0 or more")
            if not math.isfinite(self._drift(ticker)):
                raise TickloomError(f"gbm: drift of {ticker} {self._drift(ticker)!r} must be finite")
        for name, low in (("step_s", 1e-6), ("tick_size", 1e-6), ("block_rows", 1), ("sessions", 1), ("seed", 0)):
            if not getattr(self, name) >= low:
                raise TickloomError(f"gbm: {name} {getattr(self, name)!r} must be at least {low:g}")
        if self.seed > _LARGEST_SEED:
            raise TickloomError(f"gbm: seed {self.seed} must be at most {_LARGEST_SEED}")
        for name in ("count", "duration_s"):
            if getattr(self, name) is not None and not getattr(self, name) >= 0:
                raise TickloomError(f"gbm: {name} {getattr(self, name)!r} must not be negative")

    @property
    def source(self) -> str:
        """Name of the series: ``gbm``, the seed, and six digits that stand for all else that shapes its prices."""
        own = [
            (ticker, float(self.start[ticker]), self._drift(ticker), self._volatility(ticker))
            for ticker in sorted(self.tickers)
        ]
        shape = repr((self.market, float(self.step_s), float(self.tick_size), own))
        return f"gbm-{self.seed}-{hashlib.sha256(shape.encode()).hexdigest()[:6]}"

    def blocks(self) -> Iterator[PriceBlock]:
        """Yield the records in time order, tickers in the given order within a step."""
        width = len(self.tickers)
        paths = [self._path(ticker) for ticker in self.tickers]
        codes, source = np.arange(width, dtype=np.int32), self.source
        left = self.count if self.count is not None else 2**62
        first = 0
        for times in self._times(max(1, self.block_rows // width)):
            steps = min(len(times), -(-left // width))
            if steps <= 0:
                return
            drawn = [path.advance(steps) for path in paths]
            sequence = np.arange(first, first + steps, dtype=np.int64)
            block = PriceBlock(
                tickers=list(self.tickers),
                codes=np.tile(codes, steps),
                time_us=np.repeat(times[:steps], width),
                price=np.column_stack([price for price, _ in drawn]).ravel(),
                volume=np.column_stack([volume for _, volume in drawn]).ravel(),
                source=source,
                sequence=np.repeat(sequence, width),
            )
            yield block.take(slice(0, left))
            left -= len(block)
            first += steps

    def _times(self, rows: int) -> Iterator[Times]:
        """Yield the times of the steps, at most ``rows`` at once."""
        table = session_table(self.market)
        step = round(self.step_s * 1e6)
        begin = self._begin_us()
        limit = math.inf if self.duration_s is None else self.duration_s * 1e6
        waiting: list[Times] = []
        held = 0
        for index in range(int(np.searchsorted(table.close_us, begin)), len(table)):
            opens, closes = max(int(table.open_us[index]), begin), int(table.close_us[index])
            end = min(closes, opens + int(limit)) if limit < 2**62 else closes
            times = np.arange(opens, end + 1, step, dtype=np.int64)
            for low in range(0, len(times), rows):
                waiting.append(times[low : low + rows])
                held += len(waiting[-1])
                if held >= rows:
                    joined = np.concatenate(waiting)
                    yield joined[:rows]
                    waiting, held = [joined[rows:]], held - rows
            limit -= closes - opens
            if limit <= 0:
                break
        if held:
            yield np.concatenate(waiting)

    def _begin_us(self) -> int:
        if self.begin is None:
            table = session_table(self.market)
            now = round(self.now.timestamp() * 1e6)
            past = slice(max(int(np.searchsorted(table.close_us, now)), 1) - 1, None, -1)
            lengths = (table.close_us - table.open_us)[past]
            enough = self.sessions - 1
            if self.count is not None:
                steps = -(-self.count // len(self.tickers))
                enough = max(enough, int(np.searchsorted(np.cumsum(lengths // round(self.step_s * 1e6) + 1), steps)))
            if self.duration_s is not None:
                enough = max(enough, int(np.searchsorted(np.cumsum(lengths), self.duration_s * 1e6)))
            return int(table.open_us[past][min(enough, len(lengths) - 1)])
        if self.begin.tzinfo is None:
            raise TickloomError(f"gbm: begin {self.begin} has no time zone; say for example {self.begin}Z")
        return round(self.begin.timestamp() * 1e6)

    def _path(self, ticker: str) -> "_Path":
        table = session_table(self.market)
        year = day_of(int(table.local_day(self._begin_us()))).year
        in_year = (table.day >= days_of(date(year, 1, 1))) & (table.day < days_of(date(year + 1, 1, 1)))
        trading_s = float(np.sum((table.close_us - table.open_us)[in_year])) / 1e6
        if not trading_s:
            raise TickloomError(f"gbm: {self.market} has no session in {year}")
        return _Path(
            price=self.start[ticker],
            drift=self._drift(ticker),
            volatility=self._volatility(ticker),
            years=self.step_s / trading_s,
            tick_size=self.tick_size,
            entropy=(self.seed, *ticker.encode()),
        )

    def _drift(self, ticker: str) -> float:
        return float(self.drift.get(ticker, DRIFT) if isinstance(self.drift, Mapping) else self.drift)

    def _volatility(self, ticker: str) -> float:
        chosen = self.volatility
        return float(chosen.get(ticker, VOLATILITY) if isinstance(chosen, Mapping) else chosen)


class _Path:
    """The motion of one ticker; how it is cut into calls changes nothing."""

    def __init__(
        self, price: float, drift: float, volatility: float, years: float, tick_size: float, entropy: tuple[int, ...]
    ) -> None:
        moves, volumes = np.random.SeedSequence(entropy).spawn(2)
        self._moves, self._volumes = np.random.default_rng(moves), np.random.default_rng(volumes)
        self._mean = (drift - volatility**2 / 2) * years
        self._deviation = volatility * math.sqrt(years)
        self._log = math.log(price)
        self._step, self._tick = 0, tick_size

    def advance(self, steps: int) -> tuple[Floats, Ints]:
        """Return prices and volumes of the next steps."""
        moves = self._mean + self._deviation * self._moves.standard_normal(steps)
        if self._step == 0:
            moves[0] = 0.0
        # Added one after the other from the last value on, so that any split into calls gives the same bits.
        logs = np.cumsum(np.concatenate(([self._log], moves)))[1:]
        self._log = float(logs[-1])
        self._step += steps
        price = np.maximum(np.round(np.exp(logs) / self._tick), 1.0) * self._tick
        volume = np.exp(math.log(_VOLUME_MEDIAN) + _VOLUME_SIGMA * self._volumes.standard_normal(steps))
        return np.round(price, 6), np.maximum(np.round(volume), 1.0).astype(np.int64)
