"""How long each kernel's slice of the state is, and what it begins with; see the kernels for what stands in it."""

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
    zeros : int or None
        How many of them begin with 0, the others with NaN; None means all.
    """

    size: Callable[[Numbers], float]
    zeros: int | None = None


SLOTS: Mapping[str, Slot] = MappingProxyType(
    {
        "mean": Slot(lambda a: 5 + a[0]),
        "ema": Slot(lambda _: 2),
        "rsi": Slot(lambda _: 4),
        "macd": Slot(lambda _: 4),
        "range": Slot(lambda a: 8 + 2 * a[0] + a[1]),
        "lag": Slot(lambda a: 1 + a[0], zeros=1),
        "moments": Slot(lambda a: a[0], zeros=0),
        "atr": Slot(lambda _: 3),
        "obv": Slot(lambda _: 3),
        "volume": Slot(lambda a: 5 + a[0]),
        "ultimate": Slot(lambda a: 10 + 2 * a[2]),
        "vwap": Slot(lambda _: 4),
        "zscore": Slot(lambda a: 2 + a[0], zeros=2),
        "calendar": Slot(lambda _: 1),
    }
)
OPCODES: tuple[str, ...] = tuple(SLOTS)
