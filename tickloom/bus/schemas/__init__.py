"""JSON Schemas (2020-12) of the messages, one file for each kind and version."""

import json
from importlib.resources import files
from typing import Any

from tickloom.errors import TickloomError

NAMES = ("price.v1", "bar.v1", "anomaly.v1", "forecast.v1")


def load(name: str) -> dict[str, Any]:
    """Return a schema, for example that of ``price.v1``.

    Raises
    ------
    TickloomError
        There is no such schema.
    """
    if name not in NAMES:
        raise TickloomError(f"message schema {name!r} is unknown; known: {', '.join(NAMES)}")
    found: dict[str, Any] = json.loads(files(__name__).joinpath(f"{name}.json").read_text(encoding="utf-8"))
    return found
