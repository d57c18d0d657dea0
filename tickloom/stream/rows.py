"""The fixed-width rows that the stateful operator and the sinks exchange, as numpy structured types."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tickloom.market.intervals import SECONDS

Array = npt.NDArray[Any]

UNKNOWN_VOLUME = -1

TICK = np.dtype(
    [
        ("time_us", "i8"),
        ("sequence", "i8"),
        ("source", "i2"),  # position in the list of source names that travels with the rows
        ("price", "f8"),
        ("volume", "i8"),  # UNKNOWN_VOLUME when unknown
        ("open", "f8"),  # NaN unless the record sums up an interval
        ("high", "f8"),
        ("low", "f8"),
        ("interval_s", "i4"),  # 0 for a single trade
        ("mean", "f8"),  # NaN in warm-up
        ("deviation", "f8"),
        ("z_score", "f8"),  # NaN in warm-up and where the deviation is 0
        ("anomaly", "i1"),  # -1 unknown, 0 no, 1 yes
        ("late", "i1"),
        ("day", "i4"),  # exchange-local date, days since 1970
        ("bucket", "i4"),
        ("arrived_us", "i8"),  # Kafka's timestamp of the record
    ]
)
"""One accepted record with what was computed from it."""

BAR = np.dtype(
    [
        ("start_us", "i8"),
        ("end_us", "i8"),
        ("day", "i4"),
        ("open", "f8"),
        ("high", "f8"),
        ("low", "f8"),
        ("close", "f8"),
        ("volume", "i8"),  # UNKNOWN_VOLUME when no record had one
        ("notional", "f8"),  # sum of price times volume
        ("ticks", "i8"),
        ("first_us", "i8"),  # key of the record that gave the open
        ("first_source", "i2"),
        ("first_sequence", "i8"),
        ("last_us", "i8"),  # key of the record that gave the close
        ("last_source", "i2"),
        ("last_sequence", "i8"),
        ("interval_s", "i4"),
        ("final", "i1"),
        ("dirty", "i1"),
    ]
)
"""One bar while it is built, and as it is written."""

DAY_S = SECONDS["1d"]
INTERVAL_NAMES: dict[int, str] = {seconds: name for name, seconds in SECONDS.items()}


def empty(dtype: np.dtype[Any]) -> Array:
    """Return zero rows of ``dtype``."""
    return np.empty(0, dtype)
