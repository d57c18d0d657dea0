"""The names of all indicators; imports neither numpy nor numba, so that a name can be checked anywhere."""

import difflib
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from tickloom.errors import TickloomError
from tickloom.indicators.families import FAMILIES
from tickloom.indicators.spec import Indicator

_BY_NAME = {family.name: family for family in FAMILIES}
_PARAMETER = re.compile(r"_(\d+(?:\.\d+)?)$")

REGISTRY: Mapping[str, Indicator] = MappingProxyType(
    {
        item.name: item
        for family in FAMILIES
        for values in family.defaults
        for item in [family.make(family.label(values) if family.suffixed else family.name, values)]
    }
)
DEFAULT_TWELVE: tuple[str, ...] = (
    "sma_20",
    "ema_12",
    "ema_26",
    "rsi_14",
    "macd",
    "macd_signal",
    "macd_hist",
    "bb_upper",
    "bb_lower",
    "atr_14",
    "obv",
    "vwap",
)


def names() -> tuple[str, ...]:
    """Return the names of the registry in its order."""
    return tuple(REGISTRY)


def resolve(wanted: Iterable[str]) -> tuple[Indicator, ...]:
    """Return the indicators of these names, in their order.

    Beside the registry's own names, any parameters can be set by appending all of a family's to its name: ``sma_30``,
    ``macd_5_35_5``, ``bb_upper_20_2.5``.

    Raises
    ------
    TickloomError
        A name is unknown, or a parameter out of its range.
    """
    return tuple(_find(name) for name in wanted)


def _find(name: str) -> Indicator:
    if name in REGISTRY:
        return REGISTRY[name]
    base = name
    values: list[float] = []
    while (match := _PARAMETER.search(base)) is not None:
        values.insert(0, float(match[1]))
        base = base[: match.start()]
    family = _BY_NAME.get(base)
    if family is None or not values or len(values) != len(family.parameters) or family.label(tuple(values)) != name:
        raise TickloomError(_unknown(name, base))
    return family.make(name, tuple(values))


def _unknown(name: str, base: str) -> str:
    family = _BY_NAME.get(base)
    if family is not None and family.parameters:
        example = family.label(family.defaults[0])
        return (
            f"indicator {name!r} is unknown; {base} takes {_list(k for k, _ in family.parameters)}, as in {example!r}"
        )
    close = difflib.get_close_matches(name, REGISTRY, n=3, cutoff=0.6)
    hint = f"did you mean {_list(close)}? " if close else ""
    return f"indicator {name!r} is unknown; {hint}known: {_list(REGISTRY)}"


def _list(items: Iterable[str]) -> str:
    return ", ".join(items)
