"""Arrow columns as arrays of what Cassandra's wire format holds: big-endian numbers, UTF-8, unset cells."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tickloom.errors import TickloomError

Array = npt.NDArray[Any]

FIXED: dict[str, str] = {
    "double": ">f8",
    "bigint": ">i8",
    "timestamp": ">i8",
    "int": ">i4",
    "smallint": ">i2",
    "boolean": "u1",
    "date": ">u4",
}
"""CQL types of a fixed width, as numpy types."""

EPOCH_DAY = 1 << 31
"""Cassandra's ``date`` counts days from 2^31 before 1970."""


@dataclass(frozen=True)
class Fixed:
    """A column whose cells are all of one width; ``unset`` marks the cells that stay unset, if any do."""

    form: str
    values: Array
    unset: Array | None

    def shapes(self) -> tuple[Array | None, Sequence[Any]]:
        """Return the shape of each cell (0 set, 1 unset), None where all are set, and what the numbers mean."""
        return (None if self.unset is None else self.unset.astype(np.int64)), (self.form, None)


@dataclass(frozen=True)
class Text:
    """A column of text: ``words`` as bytes, and for each cell its position there, -1 for unset."""

    words: list[bytes]
    codes: Array
    _by_length: dict[int, Array] = field(default_factory=dict)

    def shapes(self) -> tuple[Array | None, Sequence[Any]]:
        """Return the shape of each cell: its length, or the number after the greatest length for unset."""
        lengths = np.fromiter(map(len, self.words), np.int64, len(self.words))
        longest = int(lengths.max(initial=0))
        meaning = [*range(longest + 1), None]
        shape = np.append(lengths, longest + 1)[self.codes]  # code -1 takes the last
        return shape, meaning

    def of_length(self, length: int) -> Array:
        """Return the words as an array of ``S<length>``; those of other lengths are cut and not to be used."""
        if length not in self._by_length:
            self._by_length[length] = np.array(self.words, f"S{length}")
        return self._by_length[length]


@dataclass(frozen=True)
class Map:
    """A column of maps from text to double; ``entries[i, j]`` is where in ``values`` cell i has its j-th key."""

    patterns: list[tuple[bytes, ...] | None]
    pattern_of: Array
    entries: dict[int, Array]
    place: Array
    values: Array

    def shapes(self) -> tuple[Array | None, Sequence[Any]]:
        """Return the shape of each cell: which keys it has."""
        return self.pattern_of, self.patterns

    def of_pattern(self, pattern: int, rows: Array) -> Array:
        """Return float64[len(rows), keys]: the values of these rows, which have that pattern."""
        found: Array = self.values[self.entries[pattern][self.place[rows]]]
        return found


Column = Fixed | Text | Map


def read(name: str, cql: str, column: pa.ChunkedArray | pa.Array) -> Column:
    """Read an Arrow column as cells of the CQL type; nulls and NaN become unset.

    Raises
    ------
    TickloomError
        The column's Arrow type does not fit, or the writer does not know the CQL type.
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):  # zero chunks
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], column.type)
    try:
        if cql == "text":
            return _text(array)
        if cql == "frozen<map<text, double>>":
            return _map(array)
        if cql in FIXED:
            return _fixed(array, cql)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, TypeError, ValueError) as error:
        raise TickloomError(f"column {name!r}: Arrow type {array.type} does not fit {cql}: {error}") from error
    known = ["text", "frozen<map<text, double>>", *FIXED]
    raise TickloomError(f"column {name!r} is of CQL type {cql}, which cannot be written; known: {', '.join(known)}")


def _fixed(array: pa.Array, cql: str) -> Fixed:
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_null(array.type):
        return Fixed(FIXED[cql], np.zeros(len(array), FIXED[cql]), np.ones(len(array), bool))
    unset = None if array.null_count == 0 else array.is_null().to_numpy(zero_copy_only=False)
    if unset is not None:
        array = array.fill_null(False if pa.types.is_boolean(array.type) else pa.scalar(0).cast(array.type))
    if cql == "date":
        days = (
            array.cast(pa.int32()) if not pa.types.is_date64(array.type) else array.cast(pa.date32()).cast(pa.int32())
        )
        return Fixed(">u4", (days.to_numpy().astype(np.int64) + EPOCH_DAY).astype(np.uint32), unset)
    if cql == "timestamp":
        values = array.cast(pa.timestamp("ms")).cast(pa.int64()).to_numpy()
    elif cql == "boolean":
        values = array.cast(pa.bool_()).to_numpy(zero_copy_only=False).view(np.uint8)
    elif cql == "double":
        values = array.cast(pa.float64()).to_numpy()
        unknown = np.isnan(values)
        if unknown.any():
            unset = unknown if unset is None else unset | unknown
    else:
        wide = {"bigint": pa.int64(), "int": pa.int32(), "smallint": pa.int16()}[cql]
        values = array.cast(wide).to_numpy()
    return Fixed(FIXED[cql], values, unset)


def _text(array: pa.Array) -> Text:
    if pa.types.is_null(array.type):
        return Text([], np.full(len(array), -1))
    if not pa.types.is_dictionary(array.type):
        array = array.cast(pa.string()).dictionary_encode()
    words = array.dictionary.cast(pa.string()).to_pylist()
    if None in words:
        return _text(array.dictionary_decode())
    codes = array.indices.cast(pa.int64()).fill_null(-1).to_numpy()
    return Text([word.encode() for word in words], codes)


def _map(array: pa.Array) -> Map:
    rows = len(array)
    if pa.types.is_null(array.type):
        return Map([None], np.zeros(rows, np.int64), {}, np.zeros(rows, np.int64), np.empty(0))
    if not pa.types.is_map(array.type):
        raise TypeError("a map is needed")
    offsets = array.offsets.to_numpy().astype(np.int64)
    keys = array.keys.dictionary_encode()
    names = [key.encode() for key in keys.dictionary.to_pylist()]
    codes = keys.indices.to_numpy()
    values = array.items.cast(pa.float64())
    if values.null_count or bool(pc.any(pc.is_nan(values)).as_py()):
        raise ValueError("a map's value is null or NaN: leave its key out")
    counts = np.diff(offsets)
    counts[array.is_null().to_numpy(zero_copy_only=False)] = -1
    patterns: list[tuple[bytes, ...] | None] = []
    pattern_of, place = np.empty(rows, np.int64), np.empty(rows, np.int64)
    entries: dict[int, Array] = {}
    for count in np.unique(counts).tolist():
        mine = np.flatnonzero(counts == count)
        if count < 1:
            pattern_of[mine] = len(patterns)
            patterns.append(None if count < 0 else ())
            continue
        where = offsets[mine][:, None] + np.arange(count)
        distinct, which = np.unique(codes[where], axis=0, return_inverse=True)
        for number, pattern in enumerate(distinct):
            # Cassandra compares frozen maps by their bytes: the keys must stand in order.
            order = sorted(range(count), key=lambda j, own=pattern: names[own[j]])  # type: ignore[misc]
            chosen = which.reshape(-1) == number
            cells = mine[chosen]
            pattern_of[cells] = len(patterns)
            place[cells] = np.arange(len(cells))
            entries[len(patterns)] = where[chosen][:, order]
            patterns.append(tuple(names[pattern[j]] for j in order))
    return Map(patterns, pattern_of, entries, place, values.to_numpy())
