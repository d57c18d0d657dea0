"""An MLflow of one machine: a database in a file, which is there whole or not at all."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

SQLITE = "sqlite:///"


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
