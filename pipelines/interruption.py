"""How a run on this machine ends before its time: by a signal, and its steps with it, however it ends."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from pathlib import Path

import psutil

from tickloom import files

STARTER = "TICKLOOM_RETRAIN_STARTER"
"""Variable: process id of the run that started a step, and when that began."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LOOK_S = 0.5


def mark() -> dict[str, str]:
    """Return the variable by which steps know this process."""
    return {STARTER: f"{os.getpid()} {psutil.Process().create_time()}"}


@cache
def follow() -> None:
    """Have this process end when the run that started it is gone; in a cluster there is none on this machine.

    A step whose run was killed would work on beside the next run, on the same checkpoint. One thread looks, however
    often it is asked for.
    """
    said = os.environ.get(STARTER)
    if said:
        number, began = said.split()
        threading.Thread(target=_end_with, args=(int(number), float(began)), daemon=True).start()


def _end_with(number: int, began: float) -> None:
    while _there(number, began):
        time.sleep(_LOOK_S)
    os._exit(1)


def _there(number: int, began: float) -> bool:
    try:
        found = psutil.Process(number)
        return found.create_time() == began and found.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def ends_at_once() -> Iterator[None]:
    """End this process and all it has started at Ctrl-C and SIGTERM.

    ``kfp.local`` would wait for the steps that are at work, and start those once more that the signal has ended. All
    that a step leaves behind is whole, so nothing is lost by killing it.
    """

    def leave(number: int, _frame: object) -> None:
        os.write(2, b"stopped; the same command goes on from the checkpoints\n")
        with suppress(psutil.Error):
            for child in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    child.kill()
        os._exit(128 + number)

    before = {number: signal.signal(number, leave) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def alone(folder: Path) -> AbstractContextManager[None]:
    """Keep other runs out of a folder, whose checkpoints, studies and cache are of one run at a time.

    Raises
    ------
    TickloomError
        There is another.
    """
    return files.alone(
        folder,
        lambda holder: (
            f"a run is at work in {folder} (process {holder}): wait for its end, or give this one a folder of its own "
            "with --home"
        ),
    )
