"""Prepared statements, each made once for a session."""

from weakref import WeakKeyDictionary

from cassandra.cluster import Session
from cassandra.query import PreparedStatement

_known: WeakKeyDictionary[Session, dict[str, PreparedStatement]] = WeakKeyDictionary()


def prepare(session: Session, query: str) -> PreparedStatement:
    """Return the prepared statement of a query."""
    mine = _known.setdefault(session, {})
    if query not in mine:
        mine[query] = session.prepare(query)
    return mine[query]
