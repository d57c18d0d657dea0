"""Days on which an exchange departed, or will depart, from its rules: read from CSV files."""

import csv
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal, cast, get_args

from tickloom.errors import TickloomError

Status = Literal["open", "closed", "half"]
SHIPPED = Path(__file__).with_name("casablanca_days.csv")


@dataclass(frozen=True)
class Override:
    """One day whose status is known: ``open``, ``closed``, or ``half`` (an early close)."""

    day: date
    name: str
    status: Status


def read_overrides(path: Path) -> dict[date, Override]:
    """Read ``date,name,status`` lines; a header line with these words, blank lines and ``#`` lines are skipped.

    Further columns, such as a source, are ignored.

    Raises
    ------
    TickloomError
        When the file cannot be read, or a line is malformed or repeats a date; the message has the line number.
    """
    found: dict[date, Override] = {}
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TickloomError(f"holidays {path}: {error}; set TICKLOOM_HOLIDAYS to a readable UTF-8 CSV") from error
    reader = csv.reader(text.splitlines())
    for row in reader:
        cells = [cell.strip() for cell in row]
        if not any(cells) or cells[0].startswith("#") or cells[:3] == ["date", "name", "status"]:
            continue
        where = f"holidays {path}, line {reader.line_num}"
        if len(cells) < 3:
            raise TickloomError(f"{where}: {','.join(row)!r} has {len(cells)} columns; expected date,name,status")
        try:
            day = date.fromisoformat(cells[0])
        except ValueError:
            raise TickloomError(f"{where}: date {cells[0]!r} is not of the form YYYY-MM-DD") from None
        if not cells[1]:
            raise TickloomError(f"{where}: the name of {day} is empty; say what the day is")
        if cells[2] not in get_args(Status):
            raise TickloomError(f"{where}: status {cells[2]!r} is unknown; known: {', '.join(get_args(Status))}")
        if day in found:
            raise TickloomError(f"{where}: {day} stands twice; keep one line")
        found[day] = Override(day, cells[1], cast(Status, cells[2]))
    return found
