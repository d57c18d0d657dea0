"""What a stack's folder remembers between `up` and `down`: ports and Kafka's cluster id."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ValidationError

from tickloom.errors import TickloomError
from tickloom.files import write_whole
from tickloom.local.ivy import Progress

FILE = "state.json"


class State(BaseModel):
    """Ports by name, and the id that Kafka's data folder was formatted with."""

    ports: dict[str, int] = {}
    kafka_cluster_id: str | None = None


def absolute(home: Path) -> Path:
    """Return `home` as an absolute path, `~` resolved."""
    return Path(os.path.abspath(home.expanduser()))  # noqa: PTH100 (not through links: the user's name for it stays)


def load(home: Path) -> State:
    """Read ``state.json``, empty where there is none.

    Raises
    ------
    TickloomError
        The file cannot be read.
    """
    path = home / FILE
    try:
        return State.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return State()
    except (OSError, ValidationError) as error:
        raise TickloomError(
            f"{path} cannot be read ({str(error).splitlines()[0]}): remove it; ports are then chosen anew, "
            "no data is lost"
        ) from error


def save(home: Path, state: State) -> None:
    """Write ``state.json`` at once or not at all."""
    write_whole(home / FILE, state.model_dump_json(indent=1) + "\n")


@contextmanager
def alone(home: Path, progress: Progress | None = None) -> Iterator[None]:
    """Let one `up` or `down` at a time work on `home`."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = (home / "lock").open("w")
    except OSError as error:
        raise TickloomError(
            f"home '{home}' cannot be written ({error.strerror}): name another folder with --home"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if progress:
                progress(f"waiting for another tickloom that works on {home}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
