"""Processes that work side by side, and end with the one that started them, however it ends."""

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process

from tickloom.errors import TickloomError


@contextmanager
def workers(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Give a pool of ``jobs`` processes with one thread each, so that a result does not depend on their number.

    Where the block ends with an error, Ctrl-C included, they are ended at once; where this process is killed, they
    end too.

    Raises
    ------
    TickloomError
        One of them was killed.
    """
    others = set(active_children())
    # not forked: a copy of a process whose libraries have threads may wait for ever
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _begin)
    try:
        with _no_interrupt():
            for _ in range(jobs):
                pool.submit(_nothing)
        yield pool
    except BaseException as error:
        for it in set(active_children()) - others:
            it.kill()
        if isinstance(error, BrokenProcessPool):
            raise TickloomError(
                "a process was killed in the middle of its work, as happens where memory runs out; take fewer (--jobs)"
            ) from None
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def one_thread() -> None:
    """Have numerical libraries keep to one thread in this process."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)


def _begin() -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    one_thread()


def _end_with_parent() -> None:
    """End this process when its parent is gone; of itself it would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _nothing() -> None:
    """Have a process started."""


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Start processes to which Ctrl-C is nothing: it goes to all of a terminal's, and the first one ends the others.

    They inherit what is blocked; this process gets an interrupt that came meanwhile when the block ends.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
