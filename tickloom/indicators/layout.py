"""How long each kernel's slice of the state is, and what it begins with; see the kernels for what stands in it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tickloom.indicators.spec import Numbers


@dataclass(frozen=True)
class Slot:
    """A kernel's slice of the state.

    Attributes
    ----------
    size : callable
        From the kernel's arguments to the number of float64 values.
    fill : float
        What all of them begin with, except the first, a position or a count, which begins with 0.
    """

    size: Callable[[Numbers], float]
    fill: float = 0.0


SLOTS: Mapping[str, Slot] = MappingProxyType(
    {
        "mean": Slot(lambda a: 5 + a[0]),
        "ema": Slot(lambda _: 2),
        "rsi": Slot(lambda _: 4),
        "macd": Slot(lambda _: 4),
        "range": Slot(lambda a: 8 + 2 * a[0] + a[1]),
        "lag": Slot(lambda a: 1 + a[0], fill=math.nan),
        "moments": Slot(lambda a: 3 + 2 * a[0]),
        "atr": Slot(lambda _: 3),
        "obv": Slot(lambda _: 3),
        "volume": Slot(lambda a: 5 + a[0]),
        "ultimate": Slot(lambda a: 10 + 2 * a[2]),
        "vwap": Slot(lambda _: 4),
        "zscore": Slot(lambda a: 5 + 2 * a[0]),
        "calendar": Slot(lambda _: 1),
    }
)
OPCODES: tuple[str, ...] = tuple(SLOTS)
