"""Clocks as Kubeflow takes them: six fields, seconds first.

The rules are those of the parser that Kubeflow uses (github.com/robfig/cron, version 1.2), whose days of the week go
from 0 (Sunday) to 6.
"""

import re

from tickloom.errors import TickloomError

EXAMPLE = "0 30 21 * * 1-5"
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("second", 0, 59, {}),
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: at for at, name in enumerate(_MONTHS, 1)}),
    ("day of the week", 0, 6, {name: at for at, name in enumerate(_DAYS)}),
)
_PART = re.compile(r"(?:[*?]|(?P<low>\w+)(?:-(?P<high>\w+))?)(?:/(?P<step>\d+))?")


def check(text: str) -> str:
    """Return a clock as it was given.

    Raises
    ------
    TickloomError
        It has not six fields, or one of them is no number, name, range, step or list of those that are possible.
    """
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise TickloomError(
            f"--cron {text!r} has {len(fields)} fields; it must have six fields, seconds first, such as {EXAMPLE!r}"
        )
    for field, (name, least, most, names) in zip(fields, _FIELDS, strict=True):
        for part in field.split(","):
            if not _is_possible(part, least, most, names):
                said = f", or {', '.join(names)}" if names else ""
                raise TickloomError(
                    f"--cron {text!r}: {name} {part!r} must be *, {least} to {most}{said}, or a range such as "
                    f"{least}-{most} or */2"
                )
    return text


def _is_possible(part: str, least: int, most: int, names: dict[str, int]) -> bool:
    found = _PART.fullmatch(part)
    if found is None or not int(found["step"] or 1):
        return False
    given = [names.get(it.upper(), it) for it in (found["low"], found["high"]) if it is not None]
    values = [int(it) for it in given if str(it).isdecimal()]
    return len(values) == len(given) and all(least <= it <= most for it in values) and values == sorted(values)
