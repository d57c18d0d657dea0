"""API keys: a file holds their hashes, never themselves."""

import hashlib
import hmac
import re
import secrets
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import structlog
from limits import RateLimitItem, parse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from tickloom.errors import ConfigurationError
from tickloom.manifest.document import read_yaml
from tickloom.manifest.mistakes import sentences
from tickloom.market.calendars import MARKETS

log = structlog.get_logger(__name__)
_LOOK_S = 1.0
NAME = r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$"
_KEY = re.compile(r"[a-z][-a-z0-9]{0,62}\.[A-Za-z0-9_-]{16,128}")
_NOBODY = "0" * 64


def rate_of(text: str) -> RateLimitItem:
    """Read a rate such as ``100/second``.

    Raises
    ------
    ValueError
        It is none.
    """
    try:
        found = parse(text)
    except (ValueError, KeyError):
        found = None
    if found is None or found.amount < 1:
        raise ValueError("must be a rate such as 100/second, 5000/hour or 10 per 5 minutes")
    return found


def _rate(text: str) -> str:
    rate_of(text)
    return text


Rate = Annotated[str, AfterValidator(_rate)]


class Key(BaseModel):
    """An entry of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=NAME, description="Who has it; the part of the key before the dot.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the whole key, in small hexadecimal digits.")
    markets: tuple[Annotated[str, Field(pattern=r"^([A-Z]{4}|\*)$")], ...] = Field(
        min_length=1, description="Markets that it may ask for; `*` for all."
    )
    rate: Rate | None = Field(None, description="Such as 100/second; without it that of the settings.")
    expires: date | None = Field(None, description="Last day, in UTC, on which it counts.")

    def scope(self) -> frozenset[str] | None:
        """Return its markets; None for all."""
        return None if "*" in self.markets else frozenset(self.markets)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: tuple[Key, ...]


def new_key(
    name: str,
    markets: Sequence[str],
    rate: str | None = None,
    expires: date | None = None,
    today: date | None = None,
) -> tuple[str, dict[str, Any]]:
    """Make a key.

    Parameters
    ----------
    name
        Who gets it.
    markets
        Markets that it may ask for; ``*`` for all.
    rate
        Such as ``100/second``.
    expires
        Last day, in UTC, on which it counts.
    today
        In UTC; by default what the clock says.

    Returns
    -------
    key : str
        ``NAME.SECRET`` with 256 random bits.
    entry : dict
        For the file.

    Raises
    ------
    ConfigurationError
        The name, a market or the rate cannot be, or the last day is past.
    """
    if unknown := [it for it in markets if it not in (*MARKETS, "*")]:
        raise ConfigurationError(f"markets: {unknown[0]!r} is unknown; known: {', '.join(MARKETS)}, and '*' for all")
    today = today or datetime.now(UTC).date()
    if expires is not None and expires < today:
        raise ConfigurationError(
            f"expires: {expires} is past, for today is {today} in UTC; give the last day on which the key is to count, "
            "or leave it out"
        )
    key = f"{name}.{secrets.token_urlsafe(32)}"
    found = {"name": name, "sha256": digest(key), "markets": list(markets), "rate": rate, "expires": expires}
    given = {field: value for field, value in found.items() if value is not None}
    try:
        entry = Key.model_validate(given)
    except ValidationError as error:
        raise ConfigurationError("\n".join(sentences(error.errors(), Key))) from None
    return key, entry.model_dump(mode="json", exclude_none=True)


def digest(key: str) -> str:
    """Return the SHA-256 of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def looks_like_key(text: str) -> bool:
    """Return whether this could be a key: a token has two dots."""
    return _KEY.fullmatch(text) is not None


@dataclass(frozen=True)
class _Stamp:
    modified_ns: int
    size: int
    inode: int


class Keys:
    """The keys of a file, read again when it changes.

    A file that cannot be read any more, or holds a mistake, is logged, and what was read before counts on.

    Parameters
    ----------
    path
        YAML or JSON: ``keys``, a list of entries.
    clock
        Seconds since 1970.

    Raises
    ------
    ConfigurationError
        The file cannot be read at first.
    """

    def __init__(self, path: Path, clock: Any = time.time) -> None:
        self._path, self._clock = path, clock
        self._stamp, self._looked = self._stamp_now(), clock()
        self._held = _read(path)

    def find(self, key: str) -> Key | None:
        """Return the entry of a key; None where there is none, or it has expired.

        The hash is compared in constant time; how long it takes says of a name alone whether it is known.
        """
        self._look()
        offered, found = digest(key), None
        for entry in self._held.get(key.partition(".")[0], ()):
            if hmac.compare_digest(offered, entry.sha256):
                found = entry
        if found is None:
            hmac.compare_digest(offered, _NOBODY)
            return None
        if found.expires is not None and datetime.fromtimestamp(self._clock(), UTC).date() > found.expires:
            return None
        return found

    def _look(self) -> None:
        now = self._clock()
        if 0 <= now - self._looked < _LOOK_S:
            return
        self._looked, stamp = now, self._stamp_now()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._held = _read(self._path)
            log.info("keys", file=str(self._path), names=sorted(self._held))
        except ConfigurationError as error:
            log.error("the file of keys is wrong; those read before count on", error=str(error))

    def _stamp_now(self) -> _Stamp | None:
        try:
            found = self._path.stat()  # follows the links by which Kubernetes changes a mounted Secret
        except OSError:
            return None
        return _Stamp(found.st_mtime_ns, found.st_size, found.st_ino)


def _read(path: Path) -> Mapping[str, list[Key]]:
    documents = read_yaml(path, "keys", "`tickloom keys new` prints its entries")
    if len(documents) != 1:
        raise ConfigurationError(f"{path}: must hold one document, `keys:` with a list of entries")
    try:
        # what is wrong is told without the document: a key that was put there by mistake shall not be in a log
        found = _File.model_validate(documents[0])
    except ValidationError as error:
        places = sorted({".".join(str(part) for part in item["loc"]) or "the file" for item in error.errors()})
        fields = ", ".join(Key.model_fields)
        raise ConfigurationError(f"{path}: wrong: {', '.join(places)}; an entry of `keys` has {fields}") from None
    held: dict[str, list[Key]] = defaultdict(list)
    for entry in found.keys:
        held[entry.name].append(entry)
    return dict(held)
