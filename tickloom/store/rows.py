"""Whole tables as plain rows, to compare what two runs wrote."""

from typing import Any

from cassandra.cluster import Session

from tickloom.errors import TickloomError


def dump(session: Session, table: str) -> list[dict[str, Any]]:
    """Return every row of a table of the session's keyspace, sorted; unset cells are absent.

    Raises
    ------
    TickloomError
        There is no such table.
    """
    known = session.execute("SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s", (session.keyspace,))
    if table not in {row[0] for row in known}:
        raise TickloomError(f"keyspace {session.keyspace} has no table {table!r}")
    answer = session.execute(f"SELECT * FROM {table}", timeout=120)  # noqa: S608 (one of the tables just listed)
    names = answer.column_names
    rows = [{name: _plain(cell) for name, cell in zip(names, row, strict=True) if cell is not None} for row in answer]
    return sorted(rows, key=repr)


def _plain(cell: Any) -> Any:
    return dict(cell) if hasattr(cell, "items") else cell.date() if type(cell).__name__ == "Date" else cell
