"""How MLflow is reached: for how long it is tried, and what is said where it cannot be."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from tickloom.errors import TickloomError
from tickloom.forecast.database import SQLITE

_CLIENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # of the client's own accord it tries for minutes
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # of a server's runs; standard output is for --json
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


@contextmanager
def reaching(uri: str, then: str = "") -> Iterator[None]:
    """Have what MLflow raises within be a sentence, and its client set as the user has not.

    Parameters
    ----------
    then
        What to do where it fails; by default what may be wrong with the address.

    Raises
    ------
    TickloomError
        MLflow does not answer, or refuses.
    """
    with _settings():
        try:
            yield
        except _errors() as error:
            words = (next(iter(str(error).splitlines()), "") or type(error).__name__).strip()[:300]
            if "Max retries exceeded" in words:  # what follows are addresses of objects
                words = "it does not answer"
            own = "see that the file is MLflow's and can be written, or name another (--mlflow)"
            server = "see that it runs, and that TICKLOOM_MLFLOW and MLFLOW_TRACKING_USERNAME are right"
            fix = then or (own if uri.startswith(SQLITE) else server)
            raise TickloomError(f"MLflow at {uri}: {words}; {fix}") from None


def _errors() -> tuple[type[Exception], ...]:
    """Return what MLflow raises; who asks a server need not have what reads a database in a file."""
    from mlflow.exceptions import MlflowException

    try:
        from sqlalchemy.exc import SQLAlchemyError
    except ModuleNotFoundError:
        return (MlflowException, OSError)
    return (MlflowException, OSError, SQLAlchemyError)


@contextmanager
def _settings() -> Iterator[None]:
    """Set what MLflow's client reads from the environment, where the user has not, and put it back afterwards."""
    chosen = {name: value for name, value in _CLIENT.items() if name not in os.environ}
    os.environ.update(chosen)
    try:
        yield
    finally:
        for name in chosen:
            os.environ.pop(name, None)
