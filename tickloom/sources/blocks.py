"""The columnar form in which every source yields price records."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tickloom.errors import TickloomError
from tickloom.market.intervals import parse_interval
from tickloom.market.records import Tick

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class PriceBlock:
    """Some price records of one source, oldest first; record ``i`` is row ``i`` of every array.

    Attributes
    ----------
    tickers : list of str
        The distinct tickers of the block.
    codes : int32[n]
        Index into ``tickers`` of each record.
    time_us : int64[n]
        UTC microseconds since 1970 at which the record is known (for an interval, its end); never falls.
    price : float64[n]
        Price, or the interval's close; positive and finite.
    volume : int64[n]
        Shares; -1 when unknown.
    source : str
        Name of the source, ``[a-z0-9_.-]{1,64}``.
    sequence : int64[n]
        The number that the source gives the record, the same at each restart.
    interval : str or None
        ``1m``, ``5m``, ``1d`` … for records that sum up an interval; None for single trades.
    open, high, low : float64[n] or None
        Together with ``interval``, or None; NaN where the source does not know them.
    """

    tickers: list[str]
    codes: npt.NDArray[np.int32]
    time_us: Ints
    price: Floats
    volume: Ints
    source: str
    sequence: Ints
    interval: str | None = None
    open: Floats | None = None
    high: Floats | None = None
    low: Floats | None = None

    def __post_init__(self) -> None:
        n = len(self.time_us)
        columns: dict[str, tuple[npt.NDArray[Any] | None, type[np.generic]]] = {
            "codes": (self.codes, np.int32),
            "time_us": (self.time_us, np.int64),
            "price": (self.price, np.float64),
            "volume": (self.volume, np.int64),
            "sequence": (self.sequence, np.int64),
            "open": (self.open, np.float64),
            "high": (self.high, np.float64),
            "low": (self.low, np.float64),
        }
        for name, (array, dtype) in columns.items():
            if array is None:
                continue
            if array.dtype != dtype or array.shape != (n,):
                raise TickloomError(
                    f"PriceBlock: {name} is {array.dtype}{list(array.shape)}; it must be {np.dtype(dtype)}[{n}]"
                )
        given = [column is not None for column in (self.interval, self.open, self.high, self.low)]
        if any(given) != all(given):
            raise TickloomError("PriceBlock: interval, open, high and low must be given together or not at all")

    def __len__(self) -> int:
        return len(self.time_us)

    def take(self, rows: slice) -> "PriceBlock":
        """Return the records of a slice; the arrays are views."""
        return PriceBlock(
            tickers=self.tickers,
            codes=self.codes[rows],
            time_us=self.time_us[rows],
            price=self.price[rows],
            volume=self.volume[rows],
            source=self.source,
            sequence=self.sequence[rows],
            interval=self.interval,
            open=None if self.open is None else self.open[rows],
            high=None if self.high is None else self.high[rows],
            low=None if self.low is None else self.low[rows],
        )

    def ticks(self) -> Iterator[Tick]:
        """Yield the records as objects, validated."""
        ranges = [None] * len(self) if self.interval is None else self._ranges()
        interval = None if self.interval is None else parse_interval(self.interval)
        columns = (self.codes, self.time_us, self.price, self.volume, self.sequence)
        for code, us, price, volume, sequence, span in zip(*(c.tolist() for c in columns), ranges, strict=True):
            time = _EPOCH + timedelta(microseconds=us)
            given = None if volume < 0 else volume
            if span is None:
                yield Tick(self.tickers[code], time, price, given, self.source, sequence)
            else:
                yield Tick(self.tickers[code], time, price, given, self.source, sequence, interval, *span)

    def _ranges(self) -> list[Any]:
        """Return open, high, low of each record, or None where the source does not know all three."""
        spans = np.column_stack([c for c in (self.open, self.high, self.low) if c is not None])
        return [None if np.isnan(span).any() else span.tolist() for span in spans]


class PriceSource(Protocol):
    """What every source offers."""

    def blocks(self) -> Iterator[PriceBlock]:
        """Yield the records in time order."""
        ...


def ticks(source: PriceSource) -> Iterator[Tick]:
    """Yield the records of a source as objects."""
    for block in source.blocks():
        yield from block.ticks()
