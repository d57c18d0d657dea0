"""Each indicator once: initial state, update over a block; batch and stream run the same compiled loops.

``registry`` and ``spec`` are pure Python. ``Engine``, ``Block`` and ``compute`` import numba, on first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

from tickloom.indicators.registry import DEFAULT_TWELVE, REGISTRY, names, resolve
from tickloom.indicators.spec import Indicator

if TYPE_CHECKING:
    from tickloom.indicators.batch import compute
    from tickloom.indicators.engine import Block, Engine

_LAZY = {"Block": "engine", "Engine": "engine", "compute": "batch"}
__all__ = ["DEFAULT_TWELVE", "REGISTRY", "Block", "Engine", "Indicator", "compute", "names", "resolve"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
