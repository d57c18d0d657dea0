"""Rows as the bytes of a BATCH message, made for many rows at once.

The cells of a row are written one after the other, each as its length and its bytes. Rows whose cells have the same
lengths therefore have the same layout, and all rows of a layout are one numpy structured array: encoding a hundred
thousand of them is one assignment per column, and no Python runs per row.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tickloom.errors import TickloomError
from tickloom.store.columns import Array, Column, Fixed, Map, Text, read

UNSET = struct.pack(">i", -2)
PREPARED = b"\x01"
TEMPLATES = 4096


@dataclass(frozen=True)
class Layout:
    """Where the cells of some rows lie, and the bytes that all of these rows share."""

    template: bytes
    dtype: np.dtype[Any]
    key: list[tuple[int, int]]  # offset and length of the cells of the partition key


@dataclass(frozen=True)
class Chunk:
    """Rows of one partition: their number, their bytes, and the partition's routing key."""

    rows: int
    data: bytes
    routing_key: bytes


class RowEncoder:
    """Encodes rows for one prepared INSERT.

    Parameters
    ----------
    statement
        The server's id of the prepared statement.
    columns
        Name and CQL type of each bound column, in order.
    key
        Positions of the columns of the partition key, in its order.
    max_rows, max_bytes
        Limits of a chunk.
    """

    def __init__(
        self,
        statement: bytes,
        columns: Sequence[tuple[str, str]],
        key: Sequence[int],
        *,
        max_rows: int = 100,
        max_bytes: int = 48 << 10,
    ) -> None:
        self._head = PREPARED + struct.pack(">H", len(statement)) + statement + struct.pack(">H", len(columns))
        self._columns = columns
        self._key = key
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._layouts: dict[tuple[Any, ...], Layout] = {}

    def encode(self, table: pa.Table) -> Iterator[Chunk]:
        """Yield the rows of a table that has the statement's columns; rows of a partition come together.

        Raises
        ------
        TickloomError
            A column does not fit its CQL type, or a cell of the partition key is unknown.
        """
        if not table.num_rows:
            return
        cells = [read(name, cql, table[name]) for name, cql in self._columns]
        shapes, meanings = zip(*(cell.shapes() for cell in cells), strict=True)
        layout_of = _combine([shape for shape in shapes if shape is not None], table.num_rows)
        partition_of = _combine([self._identity(cells[i], i) for i in self._key], table.num_rows)
        order = np.lexsort((partition_of, layout_of))
        starts = np.flatnonzero(np.diff(layout_of[order], prepend=-1))
        for start, end in zip(starts, [*starts[1:], len(order)], strict=True):
            rows = order[start:end]
            numbers = [0 if shape is None else int(shape[rows[0]]) for shape in shapes]
            layout = self._layout(tuple(meaning[n] for meaning, n in zip(meanings, numbers, strict=True)))
            data = _fill(layout, cells, numbers, rows)
            yield from self._cut(layout, data, partition_of[rows])

    def _identity(self, cell: Column, position: int) -> Array:
        name = self._columns[position][0]
        unset = cell.codes < 0 if isinstance(cell, Text) else cell.unset if isinstance(cell, Fixed) else None
        if isinstance(cell, Map) or (unset is not None and unset.any()):
            raise TickloomError(f"column {name!r} is part of the partition key and must be known in every row")
        return (cell.codes if isinstance(cell, Text) else cell.values).astype(np.int64)

    def _cut(self, layout: Layout, data: bytes, partition: Array) -> Iterator[Chunk]:
        width = len(layout.template)
        most = max(1, min(self._max_rows, self._max_bytes // width))
        starts = np.flatnonzero(np.diff(partition, prepend=partition[0] - 1)).tolist()
        for start, end in zip(starts, [*starts[1:], len(partition)], strict=True):
            routing_key = _routing_key(data, start * width, layout.key)
            for first in range(start, end, most):
                last = min(first + most, end)
                yield Chunk(last - first, data[first * width : last * width], routing_key)

    def _layout(self, shape: tuple[Any, ...]) -> Layout:
        found = self._layouts.get(shape)
        if found is None:
            if len(self._layouts) >= TEMPLATES:
                self._layouts.clear()
            found = self._layouts[shape] = self._build(shape)
        return found

    def _build(self, shape: tuple[Any, ...]) -> Layout:
        out = bytearray(self._head)
        fields: list[tuple[str, str, int]] = []
        spans: list[tuple[int, int]] = []
        for i, cell in enumerate(shape):
            start = len(out) + 4
            if cell is None:
                out += UNSET
            elif isinstance(cell, tuple):
                body = bytearray(struct.pack(">i", len(cell)))
                for j, key in enumerate(cell):
                    body += struct.pack(">i", len(key)) + key + struct.pack(">i", 8)
                    fields.append((f"{i}.{j}", ">f8", start + len(body)))
                    body += bytes(8)
                out += struct.pack(">i", len(body)) + body
            else:
                form = cell if isinstance(cell, str) else f"S{cell}"
                length = np.dtype(form).itemsize
                out += struct.pack(">i", length) + bytes(length)
                if length:
                    fields.append((str(i), form, start))
            spans.append((start, len(out) - start))
        names, formats, offsets = zip(*fields, strict=True) if fields else ((), (), ())
        dtype = np.dtype(
            {"names": list(names), "formats": list(formats), "offsets": list(offsets), "itemsize": len(out)}
        )
        return Layout(bytes(out), dtype, [spans[i] for i in self._key])


def _fill(layout: Layout, cells: Sequence[Column], numbers: Sequence[int], rows: Array) -> bytes:
    """Return the bytes of the rows, all of them of this layout."""
    data = bytearray(layout.template * len(rows))
    out = np.frombuffer(data, layout.dtype)
    fields = layout.dtype.names or ()
    for i, cell in enumerate(cells):
        if isinstance(cell, Map):
            if f"{i}.0" in fields:
                for j, values in enumerate(cell.of_pattern(numbers[i], rows).T):
                    out[f"{i}.{j}"] = values
        elif str(i) in fields:
            out[str(i)] = cell.values[rows] if isinstance(cell, Fixed) else cell.of_length(numbers[i])[cell.codes[rows]]
    return bytes(data)


def _routing_key(data: bytes, start: int, spans: list[tuple[int, int]]) -> bytes:
    parts = [data[start + offset : start + offset + length] for offset, length in spans]
    if len(parts) == 1:
        return parts[0]
    return b"".join(struct.pack(">H", len(part)) + part + b"\0" for part in parts)


def _combine(numbers: Sequence[Array], rows: int) -> Array:
    """Return one small number per row that is equal where all of ``numbers`` are."""
    combined = np.zeros(rows, np.int64)
    for column in numbers:
        if (column == column[0]).all():
            continue
        distinct, dense = np.unique(column, return_inverse=True)
        combined = combined * len(distinct) + dense
        if len(numbers) > 2:
            combined = np.unique(combined, return_inverse=True)[1]
    return combined
