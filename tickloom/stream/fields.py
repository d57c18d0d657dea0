"""Named byte fields as one blob: a short head with a version, then each field with its name and length."""

import struct

from tickloom.errors import TickloomError

Fields = dict[str, bytes]
_HEAD = struct.Struct("<4sHH")
_FIELD = struct.Struct("<BI")
_MAGIC = b"TLST"


def pack(fields: Fields, version: int = 1) -> bytes:
    """Return named fields as one blob with a version in front."""
    parts = [_HEAD.pack(_MAGIC, version, len(fields))]
    for name, payload in fields.items():
        raw = name.encode()
        parts += (_FIELD.pack(len(raw), len(payload)), raw, payload)
    return b"".join(parts)


def version_of(blob: bytes) -> int:
    """Return the version in front of a blob.

    Raises
    ------
    TickloomError
        The bytes are no blob of named fields.
    """
    if len(blob) < _HEAD.size or not blob.startswith(_MAGIC):
        raise TickloomError(f"state begins with {blob[:4]!r}, not {_MAGIC!r}: the checkpoint is not one of Tickloom's")
    return int(_HEAD.unpack_from(blob)[1])


def unpack(blob: bytes) -> Fields:
    """Return the fields of a blob; raises as ``version_of`` does."""
    version_of(blob)
    count = _HEAD.unpack_from(blob)[2]
    at = _HEAD.size
    fields: Fields = {}
    for _ in range(count):
        name_size, size = _FIELD.unpack_from(blob, at)
        at += _FIELD.size
        name = blob[at : at + name_size].decode()
        at += name_size
        fields[name] = blob[at : at + size]
        at += size
    return fields
