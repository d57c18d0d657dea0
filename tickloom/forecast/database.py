"""An MLflow of one machine: a database in a file, which is there whole or not at all."""

import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

SQLITE = "sqlite:///"
Stamp = tuple[tuple[int, int, int], ...]
_SETTLED_S = 1.0


def create(uri: str) -> None:
    """Make the database of an address such as ``sqlite:////var/lib/mlflow.db``, where its file is not there yet.

    MLflow makes one table after another, and what is left when it is killed in between it does not take again.
    """
    path = Path(uri.removeprefix(SQLITE))
    if not uri.startswith(SQLITE) or path.name in ("", ":memory:") or "?" in uri or path.exists():
        return
    from mlflow import MlflowClient

    path.parent.mkdir(parents=True, exist_ok=True)
    # a name that is new each time, for MLflow remembers in which files it has made its tables
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        part = Path(folder) / path.name
        client = MlflowClient(tracking_uri=f"{SQLITE}{part}", registry_uri=f"{SQLITE}{part}")
        client.search_experiments(max_results=1)
        client.search_registered_models(max_results=1)
        with suppress(FileExistsError):  # another process was faster
            os.link(part, path)


def changed(path: Path) -> Stamp | None:
    """Return what is another once a database in a file was written to.

    None where it cannot be told: there is no such file, or it was written to only just now, and clocks of file systems
    are coarse.
    """
    found = []
    for it in (path, path.with_name(f"{path.name}-wal")):
        with suppress(OSError):
            told = it.stat()
            found.append((told.st_mtime_ns, told.st_size, told.st_ino))
    if not found or time.time() - max(it[0] for it in found) / 1e9 < _SETTLED_S:
        return None
    return tuple(found)
