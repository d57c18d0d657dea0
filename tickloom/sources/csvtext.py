"""A CSV file as columns of text with their line numbers, and the numbers in them."""

import csv
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tickloom.errors import TickloomError

_UNKNOWN = {"", "-", "nan", "null", "none", "n/a", "na"}
_NUMBER = re.compile(r"[$€]?([+-]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d*)?(?:[eE][+-]?\d+)?)")
_SCALES = {"K": 1e3, "M": 1e6, "B": 1e9}


@dataclass(frozen=True)
class Table:
    """The cells of a CSV file.

    Attributes
    ----------
    header : list of str
        Column names as written.
    columns : list of list of str
        One list of stripped cells per column.
    lines : list of int
        Line number in the file of each row, from 1.
    """

    path: Path
    header: list[str]
    columns: list[list[str]]
    lines: list[int]

    def __len__(self) -> int:
        return len(self.lines)

    def fail(self, row: int, problem: str) -> TickloomError:
        """Return an error that names the file and the line of a row."""
        return TickloomError(f"{self.path}, line {self.lines[row]}: {problem}")


def read_table(path: Path) -> Table:
    """Read a CSV file: any line ends, byte-order mark, quotes, blank lines; comma, semicolon or tab between cells.

    Raises
    ------
    TickloomError
        When the file cannot be read, is not UTF-8 or UTF-16 with a mark, is empty, or a row has not the header's width.
    """
    text = _decode(path)
    first = text.lstrip().partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True)
    header: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        for cells in reader:
            row = [cell.strip() for cell in cells]
            if not any(row):
                continue
            if not header:
                header = row
                continue
            if len(row) != len(header):
                if len(row) > len(header) and not any(row[len(header) :]):
                    row = row[: len(header)]
                else:
                    raise TickloomError(
                        f"{path}, line {reader.line_num}: {len(row)} cells where the header has {len(header)} columns"
                    )
            rows.append(row)
            lines.append(reader.line_num)
    except csv.Error as error:
        raise TickloomError(f"{path}, line {reader.line_num}: {error}") from error
    if not header:
        raise TickloomError(f"{path}: the file is empty; give one with a header and a row for each bar")
    if not rows:
        raise TickloomError(f"{path}: no row below the header {','.join(header)!r}; give a file with rows")
    return Table(path, header, [list(column) for column in zip(*rows, strict=True)], lines)


def _decode(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TickloomError(f"{path}: {error.strerror or error}") from error
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TickloomError(
            f"{path}, line {line}: byte 0x{data[error.start]:02x} is not {encoding.removesuffix('-sig')}; "
            "save the file as UTF-8"
        ) from error


def parse_number(text: str, scaled: bool = False) -> float:
    """Return the number in ``1,225.00``, ``$3.5`` or, when ``scaled``, ``49.38K``; NaN for ``-`` and empty.

    Raises
    ------
    ValueError
        When the text is no number; ``1225,00`` is none, for its comma separates no thousands.
    """
    if text.lower() in _UNKNOWN:
        return math.nan
    scale = 1.0
    if scaled and text[-1:].upper() in _SCALES:
        scale = _SCALES[text[-1].upper()]
        text = text[:-1]
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    value = float(match.group(1).replace(",", ""))
    if scale > 1:
        value = float(round(value * scale))
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def numbers(table: Table, column: int, scaled: bool = False) -> npt.NDArray[np.float64]:
    """Return a column as float64, NaN where unknown; a bad number is refused with its line and value."""
    cells = table.columns[column]
    try:
        # The fast way; "1_000", "inf" and the like pass it, so text with letters or underscores goes the slow way.
        if not re.search(r"[^0-9.\n+-]", "\n".join(cells)):
            return np.array(cells, dtype=np.float64)
    except ValueError:
        pass
    found = np.empty(len(cells))
    for row, cell in enumerate(cells):
        try:
            found[row] = parse_number(cell, scaled)
        except ValueError:
            raise table.fail(
                row, f"{table.header[column]} {cell!r} is not a number; correct it or remove the line"
            ) from None
    return found
