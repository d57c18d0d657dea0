import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tickloom.bus import encode, schemas
from tickloom.sources.blocks import PriceBlock

PRICE = Draft202012Validator(schemas.load("price.v1"))


def block(rows, interval=None, spans=None):
    """Return a block of (ticker, time_us, price, volume, sequence) rows."""
    tickers = sorted({row[0] for row in rows}) or ["AAPL"]
    column = lambda i, dtype: np.array([row[i] for row in rows], dtype)  # noqa: E731
    extra = {} if interval is None else dict(zip(("open", "high", "low"), np.array(spans, float).T.copy(), strict=True))
    return PriceBlock(
        tickers=tickers,
        codes=np.array([tickers.index(row[0]) for row in rows], np.int32),
        time_us=column(1, np.int64),
        price=column(2, np.float64),
        volume=column(3, np.int64),
        source="replay",
        sequence=column(4, np.int64),
        interval=interval,
        **extra,
    )


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["AAPL", "BRK.B", "ATW"]),
        st.integers(631_152_000_000_000, 4_102_444_800_000_000),
        st.floats(min_value=5e-324, allow_infinity=False, allow_nan=False),
        st.integers(-1, 2**63 - 1),
        st.integers(0, 2**63 - 1),
    ),
    max_size=30,
)


@given(ROWS)
def test_every_message_is_valid_and_reads_back_as_it_was(rows):
    messages = [json.loads(text) for text in encode.prices(block(rows))]

    for message, (ticker, time_us, price, volume, sequence) in zip(messages, rows, strict=True):
        PRICE.validate(message)
        assert message["ticker"] == ticker
        time = datetime.fromisoformat(message["time"])
        assert (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) == time_us
        assert message["price"] == price
        assert message["volume"] == (None if volume < 0 else volume)
        assert (message["source"], message["sequence"]) == ("replay", sequence)


def test_a_message_is_written_as_documented():
    (message,) = encode.prices(block([("AAPL", 1550264340000000, 170.2461, 202717, 1551)]))

    assert message == (
        b'{"v":1,"ticker":"AAPL","time":"2019-02-15T20:59:00.000000Z","price":170.2461,"volume":202717,'
        b'"source":"replay","sequence":1551}'
    )


def test_a_summary_has_its_interval_and_one_with_gaps_has_none():
    rows = [("AAPL", 1550264340000000, 170.2, 1, 0), ("AAPL", 1550264400000000, 170.3, 1, 1)]
    whole, partial = (
        json.loads(text) for text in encode.prices(block(rows, "1m", [(170.1, 170.3, 170.0), (170.2, np.nan, 170.0)]))
    )

    PRICE.validate(whole)
    PRICE.validate(partial)
    assert [whole[name] for name in ("interval", "open", "high", "low")] == ["1m", 170.1, 170.3, 170.0]
    assert "interval" not in partial
    assert "open" not in partial


VALID = {
    "v": 1,
    "ticker": "AAPL",
    "time": "2019-02-15T20:59:00.000000Z",
    "price": "170.25",
    "source": "x",
    "sequence": 0,
}


def test_decimal_strings_are_valid_prices():
    PRICE.validate(VALID)


@pytest.mark.parametrize(
    "wrong",
    [
        {"v": 2},
        {"price": 0},
        {"price": "0.00"},
        {"price": "NaN"},
        {"price": None},
        {"time": "2019-02-15T20:59:00"},
        {"time": "2019-02-15T20:59:00+01:00"},
        {"sequence": -1},
        {"sequence": 0.5},
        {"volume": -1},
        {"ticker": "aapl"},
        {"interval": "1m"},
        {"open": 170.1},
    ],
)
def test_the_schema_refuses(wrong):
    assert not PRICE.is_valid(VALID | wrong)


@pytest.mark.parametrize("name", schemas.NAMES)
def test_the_schemas_are_schemas(name):
    Draft202012Validator.check_schema(schemas.load(name))
