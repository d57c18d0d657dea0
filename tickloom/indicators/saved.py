"""The bytes of a saved state: a magic word, a version, a JSON header that names each part, then float64 values."""

import json
import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tickloom.errors import TickloomError
from tickloom.indicators.compiler import Floats

MAGIC = b"TLIN"
VERSION = 1
_PREFIX = struct.Struct("<4sHI")


class Part(NamedTuple):
    """One kernel's slice: its name with arguments, where it begins, how many values it has."""

    label: str
    begin: int
    size: int


def pack(names: Sequence[str], parts: Sequence[Part]) -> bytes:
    """Return the bytes that stand before the values."""
    body = json.dumps({"names": list(names), "parts": [[part.label, part.size] for part in parts]}).encode()
    return _PREFIX.pack(MAGIC, VERSION, len(body)) + body


def unpack(data: bytes) -> dict[str, Floats]:
    """Return the values of each part by its label.

    Raises
    ------
    TickloomError
        The bytes are no saved state, cut off, or of a version that is not known.
    """
    if len(data) < _PREFIX.size or not data.startswith(MAGIC):
        raise TickloomError(f"indicator state: {data[:8]!r} does not begin like one; start with a fresh state")
    _, version, length = _PREFIX.unpack_from(data)
    if version != VERSION:
        raise TickloomError(
            f"indicator state: version {version} is unknown, this is version {VERSION}; start with a fresh state"
        )
    begin = _PREFIX.size + length
    try:
        parts = [(str(label), int(size)) for label, size in json.loads(data[_PREFIX.size : begin])["parts"]]
    except (ValueError, KeyError, TypeError):
        raise TickloomError("indicator state: its header is damaged; start with a fresh state") from None
    total = sum(size for _, size in parts)
    if len(data) != begin + 8 * total or any(size < 0 for _, size in parts):
        raise TickloomError(
            f"indicator state: {len(data) - begin} bytes of values where the header names {8 * total}; "
            "start with a fresh state"
        )
    values = np.frombuffer(data, "<f8", offset=begin).astype(np.float64)
    found: dict[str, Floats] = {}
    at = 0
    for label, size in parts:
        found[label] = values[at : at + size]
        at += size
    return found
