"""Tables of rows as the stream gives them to the writer."""

from datetime import date

import numpy as np
import pyarrow as pa

FIRST_US = 1550241000000000  # 2019-02-15 14:30 UTC
DAY = date(2019, 2, 15)


def prices(ticker, n, /, day=DAY, bucket=0, first=0, first_us=FIRST_US, **columns):
    number = np.arange(first, first + n)
    given = {
        "ticker": [ticker] * n,
        "day": pa.array([day] * n, pa.date32()),
        "bucket": pa.array(np.full(n, bucket, np.int32)),
        "time_us": first_us + number * 1_000_001,
        "source": ["test"] * n,
        "sequence": number,
        "price": 100.0 + number,
        "volume": pa.array(number),
        "late": np.zeros(n, bool),
        **columns,
    }
    return pa.table(given)


def bars(ticker, n, /, interval="1m", day=DAY, first_us=FIRST_US, **columns):
    number = np.arange(n)
    given = {
        "ticker": [ticker] * n,
        "interval": [interval] * n,
        "year": pa.array(np.full(n, day.year, np.int32)),
        "time_us": first_us + number * 60_000_000,
        "day": pa.array([day] * n, pa.date32()),
        **dict.fromkeys(("open", "high", "low", "close"), 100.0 + number),
        "final": np.ones(n, bool),
        **columns,
    }
    return pa.table(given)
