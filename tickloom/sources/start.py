"""The last real price of a ticker, from which synthetic ones start."""

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tickloom.errors import TickloomError
from tickloom.settings import settings
from tickloom.sources.csvfile import read_bars, ticker_of

REFERENCE = Path(__file__).with_name("reference_prices.csv")


@dataclass(frozen=True)
class Start:
    """A price and where it comes from, in words: ``given``, a file's name, the cache, or the shipped table."""

    price: float
    origin: str


@lru_cache(maxsize=1)
def reference_prices() -> Mapping[str, Start]:
    """Return the shipped prices; each is a real close, with its date."""
    with REFERENCE.open(encoding="utf-8") as file:
        return {
            row["ticker"]: Start(float(row["price"]), f"reference price of {row['date']}: {row['source']}")
            for row in csv.DictReader(file)
        }


def cached_files(ticker: str) -> list[Path]:
    """Return the files of daily bars that were downloaded for a ticker, the one that reaches furthest last."""
    return sorted((settings().cache / "yahoo").glob(f"{ticker}_1d_*.csv"), key=lambda path: path.stem.split("_")[-1])


def starting_prices(
    tickers: Iterable[str], given: Mapping[str, float] | None = None, files: Iterable[Path] = ()
) -> dict[str, Start]:
    """Return where each ticker starts: given, else a file's last close, else the cache, else the shipped table.

    Raises
    ------
    TickloomError
        When nothing says a price, or a given one is not a finite number above 0.
    """
    wanted = list(tickers)
    given = given or {}
    for ticker, price in given.items():
        if not (math.isfinite(price) and price > 0):
            raise TickloomError(f"start price of {ticker} {price!r} must be a finite number above 0")
    by_ticker = {ticker_of(path): path for path in files}
    return {ticker: _find(ticker, given, by_ticker) for ticker in wanted}


def _find(ticker: str, given: Mapping[str, float], files: Mapping[str, Path]) -> Start:
    if ticker in given:
        return Start(float(given[ticker]), "given")
    if ticker in files:
        return _last_close(ticker, files[ticker], "last close of")
    for path in reversed(cached_files(ticker)):
        try:
            return _last_close(ticker, path, "last cached close of")
        except TickloomError:
            continue
    if ticker in reference_prices():
        return reference_prices()[ticker]
    raise TickloomError(f"no starting price of {ticker!r} is known; say one, for example --start {ticker}=100")


def _last_close(ticker: str, path: Path, words: str) -> Start:
    bars = read_bars(path, ticker=ticker)
    return Start(float(bars.frame["close"].iloc[-1]), f"{words} {path.name}")
