"""Where Kafka and Cassandra are: what the settings say, else the embedded stack of a home."""

from pathlib import Path
from typing import TYPE_CHECKING

from tickloom.errors import TickloomError
from tickloom.settings import settings

if TYPE_CHECKING:
    from tickloom.local.stack import Endpoints


def kafka_address(home: Path | None = None) -> str:
    """Return Kafka's bootstrap servers.

    Raises
    ------
    TickloomError
        No setting names them and nothing runs in ``home``.
    """
    return settings().kafka or _embedded(home).kafka


def cassandra_address(home: Path | None = None) -> str:
    """Return Cassandra's contact points; raises as ``kafka_address`` does."""
    return settings().cassandra or _embedded(home).cassandra


def _embedded(home: Path | None) -> "Endpoints":
    from tickloom.local.stack import endpoints

    where = home or settings().home
    found = endpoints(where)
    if found is None:
        raise TickloomError(f"nothing runs in {where}; start it with `tickloom up`")
    return found
