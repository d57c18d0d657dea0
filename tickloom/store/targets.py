"""What the writer knows of a table: its columns, its prepared INSERT, and how times are split for it."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from cassandra import InvalidRequest
from cassandra.cluster import Session
from cassandra.query import PreparedStatement

from tickloom.errors import TickloomError
from tickloom.store.rowbytes import RowEncoder


@dataclass(frozen=True)
class Target:
    """One table with one set of columns; ``has_us`` says that microseconds lie beside the timestamp ``time``."""

    table: str
    prepared: PreparedStatement  # kept, so that the driver can prepare it again on a node that forgot it
    encoder: RowEncoder
    has_us: bool

    def split_times(self, rows: pa.Table) -> pa.Table:
        """Replace each ``x_us`` by the timestamp ``x``, and for ``time`` by ``us`` too where the table has that.

        Raises
        ------
        TickloomError
            A time has microseconds that the table cannot hold.
        """
        for name in [name for name in rows.column_names if name.endswith("_us")]:
            known = rows[name].is_valid()
            millis, rest = np.divmod(pc.fill_null(rows[name], 0).to_numpy(), 1000)
            split = name == "time_us" and self.has_us
            if not split and rest.any():
                first = rows[name].to_numpy()[rest != 0][0]
                raise TickloomError(f"table {self.table}: {name} {first} is not a whole millisecond")
            times = pc.if_else(known, pa.array(millis), pa.scalar(None, pa.int64()))
            rows = rows.drop_columns([name]).append_column(name[:-3], times)
            if split:
                rows = rows.append_column("us", pa.array(rest.astype(np.int16)))
        return rows


class Targets:
    """The targets of a session's keyspace, each prepared once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[tuple[str, tuple[str, ...]], Target] = {}
        self._types: dict[str, dict[str, str]] = {}

    def of(self, table: str, names: tuple[str, ...]) -> Target:
        """Return the target for rows with these columns.

        Raises
        ------
        TickloomError
            There is no such table or column, or a column of the primary key is absent.
        """
        found = self._known.get((table, names))
        if found is None:
            found = self._known[table, names] = self._prepare(table, names)
        return found

    def _prepare(self, table: str, names: tuple[str, ...]) -> Target:
        types = self._types.get(table) or self._read_types(table)
        has_us = "us" in types
        bound: list[str] = []
        for name in names:
            if name.endswith("_us") and types.get(name[:-3]) == "timestamp":
                bound += [name[:-3], "us"] if name == "time_us" and has_us else [name[:-3]]
            elif name in types:
                bound.append(name)
            else:
                raise TickloomError(f"table {table} has no column {name!r}; it has {', '.join(sorted(types))}")
        marks = ", ".join("?" * len(bound))
        try:
            # Table and columns were found in Cassandra's own list of columns.
            prepared = self._session.prepare(f"INSERT INTO {table} ({', '.join(bound)}) VALUES ({marks})")  # noqa: S608
        except InvalidRequest as error:
            raise TickloomError(
                f"table {table}: rows with the columns {', '.join(bound)} are refused: {error}"
            ) from None
        columns = [(name, types[name]) for name in bound]
        encoder = RowEncoder(prepared.query_id, columns, prepared.routing_key_indexes or ())
        return Target(table, prepared, encoder, has_us)

    def _read_types(self, table: str) -> dict[str, str]:
        rows = self._session.execute(
            "SELECT column_name, type FROM system_schema.columns WHERE keyspace_name = %s AND table_name = %s",
            (self._session.keyspace, table),
        )
        types = {row[0]: row[1] for row in rows}
        if not types:
            raise TickloomError(f"keyspace {self._session.keyspace} has no table {table!r}; migrate it first")
        self._types[table] = types
        return types
