"""What is traded: tickers with their name, exchange, currency, sector and ISIN.

The operator imports this module to validate manifests, so it needs neither numpy nor pandas.
"""

import csv
import difflib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from tickloom.errors import TickloomError
from tickloom.settings import settings

SHIPPED = Path(__file__).with_name("instruments.csv")
COLUMNS = ("ticker", "name", "exchange", "currency", "sector", "isin")
_REQUIRED = COLUMNS[:4]


def isin_check_digit(body: str) -> int:
    """Return the check digit of the first eleven characters of an ISIN (ISO 6166, Luhn over letters as 10 to 35)."""
    digits = "".join(str(int(character, 36)) for character in body)
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value // 10 + value % 10
    return -total % 10


class Instrument(BaseModel):
    """One listing.

    Attributes
    ----------
    ticker : str
        The exchange's code, the key of price records.
    exchange : str
        MIC of the calendar that it trades by: XNYS (for Nasdaq names too, whose sessions are the same) or XCAS.
    currency : str
        ISO 4217 code of its prices.
    sector, isin : str or None
        None when not known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    ticker: Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9.\-]{0,15}$")]
    name: Annotated[str, Field(min_length=1, max_length=120)]
    exchange: Annotated[str, Field(pattern=r"^(XCAS|XNYS)$")]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    sector: Annotated[str, Field(min_length=1, max_length=80)] | None = None
    isin: Annotated[str, Field(pattern=r"^[A-Z]{2}[A-Z0-9]{9}[0-9]$")] | None = None

    @field_validator("sector", "isin", mode="before")
    @classmethod
    def _empty_is_unknown(cls, value: Any) -> Any:
        return None if value == "" else value

    @field_validator("isin")
    @classmethod
    def _check_digit(cls, value: str | None) -> str | None:
        if value is not None and isin_check_digit(value[:-1]) != int(value[-1]):
            raise ValueError(f"the check digit must be {isin_check_digit(value[:-1])}")
        return value


def read_instruments(path: Path) -> dict[str, Instrument]:
    """Read a CSV with the columns ``ticker,name,exchange,currency`` and, if known, ``sector,isin``.

    Raises
    ------
    TickloomError
        When the file cannot be read, lacks a column, repeats a ticker, or a line is malformed (with its number).
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TickloomError(f"instruments {path}: {error}; set TICKLOOM_INSTRUMENTS to a readable UTF-8 CSV") from error
    reader = csv.DictReader(text.splitlines(), restkey="", restval="")
    missing = [column for column in _REQUIRED if column not in (reader.fieldnames or ())]
    unknown = [column for column in reader.fieldnames or () if column not in COLUMNS]
    if missing or unknown:
        wrong = f"lacks {', '.join(missing)}" if missing else f"has unknown {', '.join(unknown)}"
        raise TickloomError(f"instruments {path}, line 1: {wrong}; columns: {','.join(COLUMNS)}")
    found: dict[str, Instrument] = {}
    for row in reader:
        where = f"instruments {path}, line {reader.line_num}"
        if "" in row:
            raise TickloomError(f"{where}: more cells than the header has columns")
        try:
            instrument = Instrument.model_validate(row)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise TickloomError(f"{where}: {field} {first['input']!r}: {first['msg']}") from None
        if instrument.ticker in found:
            raise TickloomError(f"{where}: ticker {instrument.ticker!r} stands twice; keep one line")
        found[instrument.ticker] = instrument
    return found


@lru_cache(maxsize=4)
def instruments(market: str | None = None) -> Mapping[str, Instrument]:
    """Return the known instruments by ticker: the shipped ones, and over them those of ``TICKLOOM_INSTRUMENTS``.

    Parameters
    ----------
    market : str or None
        MIC to keep, ``XCAS`` or ``XNYS``; None keeps all.
    """
    if market is not None and market not in ("XCAS", "XNYS"):
        raise TickloomError(f"market {market!r} is unknown; known: XCAS, XNYS")
    extra = settings().instruments
    found = read_instruments(SHIPPED) | (read_instruments(extra) if extra is not None else {})
    return MappingProxyType({k: v for k, v in sorted(found.items()) if market in (None, v.exchange)})


def known_market(value: str) -> str:
    """Return ``value``, or raise a `ValueError` that names the markets of the known instruments."""
    known = sorted({item.exchange for item in instruments().values()})
    if value not in known:
        raise ValueError(f"market {value!r} is unknown; known: {', '.join(known)}")
    return value


def unlisted(tickers: Iterable[str], market: str) -> list[str]:
    """Return a sentence with near names for each ticker that no list of instruments has for the market."""
    known = instruments(market)
    said = []
    for ticker in tickers:
        if ticker in known:
            continue
        close = difflib.get_close_matches(ticker, known, n=3, cutoff=0.6)
        hint = f"did you mean {', '.join(close)}?" if close else f"known: {', '.join(sorted(known)[:12])}, …;"
        said.append(
            f"ticker {ticker!r} is in no instrument list of {market}; {hint} "
            "list further ones in the CSV that TICKLOOM_INSTRUMENTS names, for a cluster in the ConfigMap of the "
            "charts' global.market.instruments"
        )
    return said


def find(ticker: str) -> Instrument:
    """Return the instrument of a ticker, or raise a `TickloomError` that names the closest known ones."""
    known = instruments()
    if ticker in known:
        return known[ticker]
    names = {instrument.name.upper(): code for code, instrument in known.items()}
    close = difflib.get_close_matches(ticker.upper(), known, n=3, cutoff=0.5)
    close += [names[name] for name in difflib.get_close_matches(ticker.upper(), names, n=2, cutoff=0.7)]
    hint = f"did you mean {', '.join(dict.fromkeys(close))}?" if close else f"{len(known)} tickers are known."
    raise TickloomError(f"ticker {ticker!r} is unknown; {hint} List others in a CSV named by TICKLOOM_INSTRUMENTS")
