"""What may be asked over HTTP."""

import re
from datetime import date
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

LONGEST = 60
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
MOST_LEVELS, MOST_TICKERS, LONGEST_NAME = 5, 256, 32
Ticker = Annotated[
    str,
    Field(
        pattern=r"^[A-Z0-9][A-Z0-9.\-]{0,15}$",
        description="1 to 16 capital letters, digits, '.' and '-', the first a letter or digit.",
        examples=["AAPL"],
    ),
]
Item = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LONGEST_NAME,
        description="A ticker; one that is none, or has no model, has its own problem in its place.",
        examples=["AAPL"],
    ),
]
Market = Annotated[
    str | None,
    Field(pattern=r"^[A-Z]{4}$", description="Market identifier code; needed where two markets have the ticker."),
]


def _percent(value: object) -> object:
    """Refuse text, and true and false, which Python takes for numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number above 0 and below 100")
    return value


def _whole(value: object) -> object:
    """Refuse text, true and false; 5.0 is an integer of JSON Schema."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise ValueError(f"must be an integer from 1 to {LONGEST}")
    return value


def _day(value: object) -> object:
    """Refuse numbers, which could be read as times, and other ways to write a day."""
    if not (value is None or type(value) is date or (isinstance(value, str) and _DAY.fullmatch(value))):
        raise ValueError("must be a date such as 2024-03-08")
    return value


Level = Annotated[float, Field(gt=0, lt=100, allow_inf_nan=False), BeforeValidator(_percent)]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    horizon: Annotated[
        int | None,
        Field(ge=1, le=LONGEST, description="Sessions ahead; by default all that the model forecasts."),
        BeforeValidator(_whole),
    ] = None
    levels: Annotated[
        tuple[Level, ...],
        Field(max_length=MOST_LEVELS, description="Per cent of outcomes that each interval is to hold."),
    ] = (80, 95)
    as_of: Annotated[
        date | None,
        BeforeValidator(_day),
        Field(description="Forecast from the last close up to this date, as if later ones were not known."),
    ] = None
    why: Annotated[bool, Field(strict=True, description="Ask also what moves the forecast of the next session.")] = (
        False
    )

    def shares(self) -> list[float]:
        """Return the levels as rising shares, each once."""
        return sorted({level / 100 for level in self.levels})


class ForecastRequest(_Asked):
    """One ticker's next sessions."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"ticker": "AAPL", "market": "XNYS", "horizon": 5, "levels": [80, 95]}]}
    )

    ticker: Ticker
    market: Market = None


class BatchRequest(_Asked):
    """The next sessions of many tickers; each is answered, or refused, for itself."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"tickers": ["AAPL", "MSFT"], "market": "XNYS", "horizon": 1}]}
    )

    tickers: Annotated[tuple[Item, ...], Field(min_length=1, max_length=MOST_TICKERS)]
    market: Market = None
