"""Files that appear whole or not at all, and folders that one process at a time works in."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tickloom.errors import TickloomError


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a path beside ``path`` to write to, and move it to ``path`` when the block ends without an error.

    A reader sees the old file or the new one, never half. Missing folders are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield part
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_whole(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` in UTF-8 so that a reader sees the old file or the new one, never half."""
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")


@contextmanager
def alone(folder: Path, taken: Callable[[str], str]) -> Iterator[None]:
    """Keep other processes out of a folder that is there, for as long as the block lasts.

    Parameters
    ----------
    taken
        What is said where another process holds the folder; it is given that one's id, or ``unknown``.

    Raises
    ------
    TickloomError
        Another process holds it.
    """
    with (folder / "lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise TickloomError(taken(lock.read().strip() or "unknown")) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
