"""A session that is opened when it is first needed, and again where that failed."""

import threading
from collections.abc import Callable
from typing import TypeVar

from cassandra import DriverException, OperationTimedOut
from cassandra.cluster import NoHostAvailable, Session

from tickloom.errors import ConfigurationError, TickloomError
from tickloom.store.connect import connect, first_reason

T = TypeVar("T")


class StoreAwayError(TickloomError):
    """Cassandra does not answer."""


class LazySession:
    """Opens a session of Cassandra when it is first used; the driver itself looks for nodes that went away.

    Parameters
    ----------
    address
        Returns the contact points; may raise a TickloomError.
    keyspace
    patience_s
        Seconds for which a use waits for Cassandra to answer at first.
    """

    def __init__(self, address: Callable[[], str], keyspace: str, patience_s: float = 5.0) -> None:
        self._address, self._keyspace, self._patience_s = address, keyspace, patience_s
        self._session: Session | None = None
        self._lock = threading.Lock()

    def use(self, what: Callable[[Session], T]) -> T:
        """Return what a function makes of the session.

        Raises
        ------
        StoreAwayError
            Cassandra does not answer, or there is no such keyspace.
        ConfigurationError
            It refuses the credentials.
        """
        session = self.get()
        try:
            return what(session)
        except (NoHostAvailable, OperationTimedOut, DriverException, OSError) as error:
            raise StoreAwayError(
                f"Cassandra does not answer ({first_reason(error)}); is it up? (`tickloom status`)"
            ) from error

    def get(self) -> Session:
        """Return the session, which is opened where it is not yet; raises as ``use`` does where that fails."""
        with self._lock:
            if self._session is None:
                try:
                    self._session = connect(self._address(), self._keyspace, patience_s=self._patience_s)
                except ConfigurationError:
                    raise
                except TickloomError as error:
                    raise StoreAwayError(str(error)) from error
            return self._session

    def close(self) -> None:
        """Close it; the next use opens another."""
        with self._lock:
            if self._session is not None:
                self._session.cluster.shutdown()
                self._session = None
