"""Records and specs for the tests of the state machine."""

from datetime import UTC, datetime

import numpy as np

from tickloom.stream.job import parse
from tickloom.stream.machine import Records
from tickloom.stream.rows import UNKNOWN_VOLUME

MINUTE = 60_000_000
OPEN = int(datetime(2019, 2, 15, 14, 30, tzinfo=UTC).timestamp()) * 1_000_000
CLOSE = int(datetime(2019, 2, 15, 21, 0, tzinfo=UTC).timestamp()) * 1_000_000


def spec(**processors):
    document = {
        "apiVersion": "tickloom.dev/v1alpha1",
        "kind": "StreamJob",
        "metadata": {"name": "test"},
        "spec": {"tickers": ["AAPL"], "market": "XNYS", "processors": processors},
    }
    return parse(document).spec


def records(
    time_us,
    price,
    *,
    volume=None,
    sequence=None,
    source="test",
    interval_s=0,
    opened=None,
    high=None,
    low=None,
    delay_us=0,
):
    """Make records; scalars are repeated."""
    time_us = np.asarray(time_us, np.int64)
    count = len(time_us)

    def column(value, dtype, default):
        return np.broadcast_to(np.asarray(default if value is None else value, dtype), count).copy()

    return Records(
        time_us=time_us,
        sequence=np.arange(count, dtype=np.int64) if sequence is None else np.asarray(sequence, np.int64),
        position=np.arange(count, dtype=np.int64),
        source=[source] * count if isinstance(source, str) else list(source),
        price=column(price, float, np.nan),
        volume=column(volume, np.int64, UNKNOWN_VOLUME),
        open=column(opened, float, np.nan),
        high=column(high, float, np.nan),
        low=column(low, float, np.nan),
        interval_s=column(interval_s, np.int32, 0),
        arrived_us=time_us + delay_us,
    )


def pick(given, rows):
    """Return the records at ``rows`` (slice or positions)."""
    values = {name: getattr(given, name)[rows] for name in given.__dataclass_fields__ if name != "source"}
    return Records(source=list(np.array(given.source, dtype=object)[rows]), **values)
