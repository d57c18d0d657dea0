"""How the loops are compiled, and where the compiled code is kept."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tickloom.settings import settings


def _keep_compiled_code() -> None:
    """Let numba write its cache into ``TICKLOOM_CACHE``, unless the user says where or that folder cannot be made."""
    folder = settings().cache / "numba"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    os.environ.setdefault("NUMBA_CACHE_DIR", str(folder))


_keep_compiled_code()

import numba  # noqa: E402  (reads NUMBA_CACHE_DIR once, when it is imported)
import numpy as np  # noqa: E402
import numpy.typing as npt  # noqa: E402

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]


def inner(function: Callable[..., Any]) -> Any:
    """Compile a loop that ``run`` calls: IEEE rules without reordering, division by 0 gives inf or NaN."""
    return numba.njit(error_model="numpy")(function)


def outer(function: Callable[..., Any]) -> Any:
    """Compile the entry point and keep its code on disk; only in memory where no folder can be written."""
    try:
        return numba.njit(error_model="numpy", cache=True)(function)
    except RuntimeError:
        return numba.njit(error_model="numpy")(function)


def stamp() -> int:
    """Return a number that follows the kernels' sources; numba itself looks at the entry point's file alone."""
    digest = hashlib.sha256()
    try:
        for name in ("kernels.py", "kernels_bars.py", "layout.py", "program.py"):
            digest.update(Path(__file__).with_name(name).read_bytes())
    except OSError:
        return 1  # imported from an archive, where numba keeps nothing either
    return int.from_bytes(digest.digest()[:7], "big") | 1
