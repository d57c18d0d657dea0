"""The bytes of a row are those that the driver itself would send."""

import io
from datetime import date, datetime

import numpy as np
import pyarrow as pa
import pytest
from cassandra.cqltypes import lookup_casstype
from cassandra.marshal import int64_unpack
from cassandra.protocol import _UNSET_VALUE, BatchMessage
from cassandra.query import BatchType
from hypothesis import given, settings
from hypothesis import strategies as st

from tickloom.errors import TickloomError
from tickloom.store.rowbytes import RowEncoder

ID = bytes(range(16))
TYPES = {
    "ticker": ("text", "UTF8Type", pa.string()),
    "day": ("date", "SimpleDateType", pa.date32()),
    "bucket": ("int", "Int32Type", pa.int32()),
    "time": ("timestamp", "DateType", pa.int64()),
    "us": ("smallint", "ShortType", pa.int16()),
    "sequence": ("bigint", "LongType", pa.int64()),
    "source": ("text", "UTF8Type", pa.string()),
    "price": ("double", "DoubleType", pa.float64()),
    "late": ("boolean", "BooleanType", pa.bool_()),
    "indicators": (
        "frozen<map<text, double>>",
        "FrozenType(MapType(UTF8Type, DoubleType))",
        pa.map_(pa.string(), pa.float64()),
    ),
}
NUMBERS = st.floats(allow_nan=False)
ROW = st.fixed_dictionaries(
    {
        "ticker": st.sampled_from(["A", "AAPL", "ÇA"]),
        "day": st.dates(date(1969, 1, 1), date(2100, 1, 1)),
        "bucket": st.integers(0, 2),
        "time": st.integers(-(2**40), 2**42),
        "us": st.integers(0, 999),
        "sequence": st.integers(0, 2**63 - 1),
        "source": st.none() | st.text("ab.é", max_size=4),
        "price": st.none() | NUMBERS,
        "late": st.none() | st.booleans(),
        "indicators": st.none() | st.dictionaries(st.text("abé_1", min_size=1, max_size=3), NUMBERS, max_size=4),
    }
)
NAMES = list(TYPES)


def encoder(**limits):
    return RowEncoder(ID, [(name, TYPES[name][0]) for name in NAMES], [0, 1, 2], **limits)


def arrow(rows):
    def cells(name):
        values = [row[name] for row in rows]
        return [None if v is None else list(v.items()) for v in values] if name == "indicators" else values

    return pa.table({name: pa.array(cells(name), TYPES[name][2]) for name in NAMES})


def by_driver(row):
    """Return the bytes that the driver makes of a row as the only one of a batch."""
    values = []
    for name in NAMES:
        value = row[name]
        if value is None:
            values.append(_UNSET_VALUE)
        elif name == "time":
            values.append(value.to_bytes(8, "big", signed=True))
        else:
            if name == "indicators":
                value = dict(sorted(value.items(), key=lambda item: item[0].encode()))
            values.append(lookup_casstype(TYPES[name][1]).serialize(value, 5))
    out = io.BytesIO()
    BatchMessage(BatchType.UNLOGGED, [(True, ID, values)], 1).send_body(out, 5)
    return out.getvalue()[3:-6]


@settings(deadline=None)
@given(st.lists(ROW, min_size=1, max_size=12))
def test_rows_are_the_bytes_that_the_driver_would_send(rows):
    chunks = list(encoder(max_rows=1).encode(arrow(rows)))

    assert all(chunk.rows == 1 for chunk in chunks)
    assert sorted(chunk.data for chunk in chunks) == sorted(map(by_driver, rows))


@settings(deadline=None)
@given(st.lists(ROW, min_size=1, max_size=40), st.integers(1, 5))
def test_a_chunk_holds_rows_of_one_partition_and_all_chunks_hold_every_row(rows, most):
    chunks = list(encoder(max_rows=most).encode(arrow(rows)))

    assert sum(chunk.rows for chunk in chunks) == len(rows)
    assert max(chunk.rows for chunk in chunks) <= most
    expected: dict[bytes, list[bytes]] = {}
    for row in rows:
        key = b""
        for name in ("ticker", "day", "bucket"):
            part = lookup_casstype(TYPES[name][1]).serialize(row[name], 5)
            key += len(part).to_bytes(2, "big") + part + b"\0"
        expected.setdefault(key, []).append(by_driver(row))
    found: dict[bytes, int] = {}
    for chunk in chunks:
        found[chunk.routing_key] = found.get(chunk.routing_key, 0) + len(chunk.data)
    assert found == {key: sum(map(len, rows)) for key, rows in expected.items()}


def row(**changes):
    return {
        "ticker": "AAPL", "day": date(2019, 2, 15), "bucket": 0, "time": 0, "us": 0, "sequence": 0, "source": "x",
        "price": 1.0, "late": False, "indicators": None, **changes,
    }  # fmt: skip


def test_chunks_stay_below_the_limit_of_bytes():
    chunks = list(encoder(max_bytes=1000).encode(arrow([row(sequence=i) for i in range(50)])))

    assert max(len(chunk.data) for chunk in chunks) <= 1000
    assert len(chunks) > 1


def test_nan_stays_unset_as_null_does():
    table = arrow([row()])
    unknown = table.set_column(NAMES.index("price"), "price", pa.array([np.nan]))
    (chunk,) = encoder().encode(unknown)

    assert chunk.data == by_driver(row(price=None))


def test_dictionary_columns_are_encoded_as_plain_ones():
    table = arrow([row(ticker="A"), row(ticker="AAPL"), row(ticker="A", source=None)])
    coded = table.set_column(0, "ticker", table["ticker"].dictionary_encode())
    coded = coded.set_column(NAMES.index("source"), "source", table["source"].dictionary_encode())

    assert list(encoder().encode(coded)) == list(encoder().encode(table))


def test_an_unknown_partition_key_is_refused():
    with pytest.raises(TickloomError, match="'ticker' is part of the partition key"):
        list(encoder().encode(arrow([row(ticker=None)])))


def test_a_column_that_does_not_fit_is_named():
    table = arrow([row()]).set_column(NAMES.index("bucket"), "bucket", pa.array([2**40]))
    with pytest.raises(TickloomError, match="column 'bucket': Arrow type int64 does not fit int"):
        list(encoder().encode(table))


def test_a_map_must_leave_out_what_is_unknown():
    with pytest.raises(TickloomError, match=r"'indicators'.*leave its key out"):
        list(encoder().encode(arrow([row(indicators={"a": float("nan")})])))


def test_timestamps_may_be_arrow_timestamps():
    at = datetime(2019, 2, 15, 14, 30, 0, 123000)
    table = arrow([row()]).set_column(NAMES.index("time"), "time", pa.array([at], pa.timestamp("us")))
    (chunk,) = encoder().encode(table)

    assert chunk.data == by_driver(row(time=1550241000123))
    assert int64_unpack((1550241000123).to_bytes(8, "big")) == 1550241000123
