"""Where Kafka and Cassandra are: what the settings say, else the embedded stack of a home."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tickloom.errors import TickloomError
from tickloom.settings import settings

if TYPE_CHECKING:
    from cassandra.cluster import Session


def kafka_address(home: Path | None = None) -> str:
    """Return Kafka's bootstrap servers.

    Raises
    ------
    TickloomError
        No setting names them and Kafka does not run in ``home``.
    """
    return settings().kafka or _embedded(home, "kafka")


def cassandra_address(home: Path | None = None) -> str:
    """Return Cassandra's contact points; raises as ``kafka_address`` does."""
    return settings().cassandra or _embedded(home, "cassandra")


@contextmanager
def store_session(home: Path | None = None, keyspace: str | None = None) -> Iterator["Session"]:
    """Open a session for a block, with the keyspace of the settings where none is named.

    Raises
    ------
    TickloomError
        As ``cassandra_address`` does, or Cassandra does not answer or has no such keyspace.
    """
    from tickloom.store.connect import connect

    session = connect(cassandra_address(home), keyspace or settings().keyspace)
    try:
        yield session
    finally:
        session.cluster.shutdown()


def _embedded(home: Path | None, part: str) -> str:
    from tickloom.local.stack import status

    where = home or settings().home
    running = {found.part: found for found in status(where) if found.condition == "running"}
    if not running:
        raise TickloomError(f"nothing runs in {where}; start it with `tickloom up`")
    if part not in running:
        others = " and ".join(name.capitalize() for name in running)
        raise TickloomError(
            f"{part.capitalize()} does not run in {where}, only {others} does; start it with `tickloom up`"
        )
    address = running[part].address
    if address is None:
        raise TickloomError(
            f"{where / 'state.json'} is gone while the servers run: `tickloom down`, then `tickloom up`"
        )
    return address
