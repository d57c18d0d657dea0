r"""How records cross from the JVM to the stateful operator: one binary column.

Spark hands every group to Python as a pandas frame, and each column of it costs some 100 µs per group whatever its
length. So the JVM joins a record's fields, already validated and typed, into one value, and numpy reads them back a
group at a time::

    source \x1f integers \x1f prices \x1e original bytes
    \x1d reason \x1f detail \x1f partition \x1f offset \x1f key in hex, or - \x1f 1 or 0: has value \x1e original bytes
    \x1c control \x1f time_us \x1e
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tickloom.stream.machine import Records
from tickloom.stream.rows import Array

FIELD, END, REFUSED, CONTROL = b"\x1f", b"\x1e", b"\x1d", b"\x1c"
FLUSH, CLOSE = b"flush", b"close"
"""Control events: the end of a bounded replay, the close of a session."""

INTEGERS = ("time_us", "sequence", "position", "volume", "arrived_us", "interval_s")
PRICES = ("price", "open", "high", "low")


@dataclass(frozen=True)
class Refused:
    """A record that the JVM refused."""

    key: bytes | None
    value: bytes | None
    reason: str
    detail: str
    partition: int
    offset: int


def encoded(typed: DataFrame) -> DataFrame:
    """Return ``group`` and ``payload`` for the rows of ``parse.typed``."""
    fields = FIELD.decode()
    valid = F.concat_ws(
        fields,
        "source",
        F.concat_ws(" ", *(F.col(name).cast("string") for name in INTEGERS)),
        F.concat_ws(" ", *(F.col(name).cast("string") for name in PRICES)),
    )
    refused = F.concat(
        F.lit(REFUSED.decode()),
        F.concat_ws(
            fields,
            "refusal",
            F.col("partition").cast("string"),
            F.col("offset").cast("string"),
            F.coalesce(F.hex("key"), F.lit("-")),
            F.col("value").isNotNull().cast("int").cast("string"),
        ),
    )
    head = F.when(F.col("refusal").isNull(), valid).otherwise(refused)
    value = F.coalesce("value", F.lit(b"").cast("binary"))
    return typed.select("group", F.concat(_bytes(F.concat(head, F.lit(END.decode()))), value).alias("payload"))


def control_payload(control: Column, time_us: Column) -> Column:
    """Return the payload of a control event."""
    head = F.concat(
        F.lit(CONTROL.decode()), control, F.lit(FIELD.decode()), time_us.cast("string"), F.lit(END.decode())
    )
    return _bytes(head)


def _bytes(text: Column) -> Column:
    return text.cast("binary")


def records_of(payloads: Sequence[bytes]) -> Records:
    """Read the records of one group.

    Parameters
    ----------
    payloads
        Payloads of valid records, in any order.
    """
    heads = [payload[: payload.index(END)].split(FIELD) for payload in payloads]
    count = len(heads)
    integers = _numbers([head[1] for head in heads], np.dtype(np.int64), count, len(INTEGERS))
    prices = _numbers([head[2] for head in heads], np.dtype(np.float64), count, len(PRICES))
    values: dict[str, Any] = {name: np.ascontiguousarray(integers[:, i]) for i, name in enumerate(INTEGERS)}
    values |= {name: np.ascontiguousarray(prices[:, i]) for i, name in enumerate(PRICES)}
    names = {head[0] for head in heads}
    decoded = {name: name.decode() for name in names}
    return Records(source=[decoded[head[0]] for head in heads], **values)


def _numbers(texts: list[bytes], dtype: np.dtype[Any], rows: int, columns: int) -> Array:
    if not rows:
        return np.empty((0, columns), dtype)
    return np.fromstring(b" ".join(texts).decode(), dtype, sep=" ").reshape(rows, columns)


def original(payload: bytes) -> bytes:
    """Return the record's own bytes."""
    return payload[payload.index(END) + 1 :]


def position_of(position: int) -> tuple[int, int]:
    """Return partition and offset of a record's position."""
    return position >> 48, position & ((1 << 48) - 1)


def refused_of(payload: bytes) -> Refused:
    """Read a refused record."""
    end = payload.index(END)
    reason, detail, partition, offset, key, known = payload[1:end].split(FIELD)
    return Refused(
        key=None if key == b"-" else bytes.fromhex(key.decode()),
        value=payload[end + 1 :] if known == b"1" else None,
        reason=reason.decode(),
        detail=detail.decode(),
        partition=int(partition),
        offset=int(offset),
    )


def control_of(payload: bytes) -> tuple[bytes, int]:
    """Read a control event: its name and its time in UTC microseconds."""
    name, time_us = payload[1 : payload.index(END)].split(FIELD)
    return name, int(time_us)
