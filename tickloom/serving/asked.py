"""What may be asked over HTTP."""

from datetime import date
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

LONGEST = 60
MOST_LEVELS, MOST_TICKERS = 5, 256
Ticker = Annotated[
    str,
    Field(
        pattern=r"^[A-Z0-9][A-Z0-9.\-]{0,15}$",
        description="1 to 16 capital letters, digits, '.' and '-', the first a letter or digit.",
        examples=["AAPL"],
    ),
]
Market = Annotated[
    str | None,
    Field(pattern=r"^[A-Z]{4}$", description="Market identifier code; needed where two markets have the ticker."),
]


def _percent(value: object) -> object:
    """Refuse true and false, which Python takes for numbers."""
    if isinstance(value, bool):
        raise ValueError("must be a number above 0 and below 100")
    return value


Level = Annotated[float, BeforeValidator(_percent), Field(gt=0, lt=100, allow_inf_nan=False)]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    horizon: Annotated[
        int | None,
        Field(ge=1, le=LONGEST, strict=True, description="Sessions ahead; by default all that the model forecasts."),
    ] = None
    levels: Annotated[
        tuple[Level, ...],
        Field(max_length=MOST_LEVELS, description="Per cent of outcomes that each interval is to hold."),
    ] = (80, 95)
    as_of: Annotated[
        date | None,
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

    tickers: Annotated[tuple[Ticker, ...], Field(min_length=1, max_length=MOST_TICKERS)]
    market: Market = None
