"""Waiting for what a cluster does in its own time."""

import time
from collections.abc import Callable
from typing import Any


def until(
    check: Callable[[], Any], what: str, within_s: float, describe: Callable[[], str] = str, look_s: float = 0.2
) -> Any:
    """Wait until a check holds and return what it returned; ``describe`` says what there is when it does not."""
    end = time.monotonic() + within_s
    while not (found := check()):
        if time.monotonic() > end:
            raise AssertionError(f"not after {within_s:.0f} s: {what}\n{describe()}")
        time.sleep(look_s)
    return found
