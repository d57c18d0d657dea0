"""Tables and numbers as JSON has them."""

import math
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd

from tickloom.forecast.history import Floats

DIGITS = 9
"""Of a price in a file: a log-return that is made of two of them is off by 1e-8 at most."""


def shortened(prices: Floats) -> Floats:
    """Return float64[n] rounded to ``DIGITS`` significant digits; what is not known stays so."""
    known = np.isfinite(prices) & (prices != 0)
    exponents = np.floor(np.log10(np.abs(prices, where=known, out=np.ones(len(prices)))))
    found = prices.copy()
    for exponent in np.unique(exponents):
        at = known & (exponents == exponent)
        found[at] = np.round(prices[at], DIGITS - 1 - int(exponent))
    return found


def columns(table: pd.DataFrame) -> dict[str, list[Any]]:
    """Return a table as one list for each column."""
    return {str(name): plain(table[name].tolist()) for name in table}


def plain(value: Any) -> Any:
    """Return a value of Python's own types, with None for NaN and infinity."""
    if isinstance(value, Mapping):
        return {str(name): plain(it) for name, it in value.items()}
    if isinstance(value, list | tuple):
        return [plain(it) for it in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value.isoformat() if isinstance(value, date | datetime) else value
