"""The pinned jars of Kafka, Cassandra and Spark's Kafka source: fetched once, checked against their locks."""

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tickloom.errors import TickloomError
from tickloom.local import ivy
from tickloom.local.ivy import Artifact, Progress
from tickloom.settings import settings

SETS = ("kafka", "cassandra", "spark")
LOCKS = Path(__file__).parent / "jars"
STAMP = "stamp.json"


def lock_file(set_name: str) -> Path:
    """Return the path of a set's lock."""
    return LOCKS / f"{set_name}.txt"


def parse_lock(text: str, name: str) -> dict[Artifact, str]:
    """Return artifact to SHA-256 of a lock's lines ``group:name:version[:classifier] sha256``.

    Raises
    ------
    TickloomError
        A line is not of that form or repeats an artifact.
    """
    locked: dict[Artifact, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            coordinates, digest = line.split()
            artifact = Artifact.parse(coordinates)
            bytes.fromhex(digest)
        except ValueError:
            artifact, digest = None, ""
        if artifact is None or len(digest) != 64 or artifact in locked:
            raise TickloomError(
                f"{name} line {number} {line!r} is not a new 'group:name:version[:classifier] sha256'; "
                "restore it, or make it again with `python -m tickloom.local.lock`"
            )
        locked[artifact] = digest.lower()
    return locked


def folder(set_name: str) -> Path:
    """Return where a set's jars lie; the folder's name changes with its lock."""
    digest = hashlib.sha256(lock_file(set_name).read_bytes()).hexdigest()[:12]
    return settings().cache.expanduser().absolute() / "jars" / f"{set_name}-{digest}"


def present(set_name: str) -> bool:
    """Say whether a set's jars are all there with the sizes that they had when their checksums were right."""
    return complete(folder(set_name))


def complete(where: Path) -> bool:
    """Say whether a folder of jars is as its stamp describes it."""
    try:
        sizes: dict[str, int] = json.loads((where / STAMP).read_text(encoding="utf-8"))
        return all((where / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError):
        return False


def jars(set_name: str, progress: Progress | None = None) -> list[Path]:
    """Return the verified jars of a set (kafka, cassandra or spark), fetched first where they are not there.

    Raises
    ------
    TickloomError
        A jar could not be had, or its SHA-256 is not the locked one.
    """
    if set_name not in SETS:
        raise TickloomError(f"jar set '{set_name}' is unknown; known: {', '.join(SETS)}")
    locked = parse_lock(lock_file(set_name).read_text(encoding="utf-8"), lock_file(set_name).name)
    where = folder(set_name)
    if not complete(where):
        with _alone(where, progress):
            if not complete(where):
                _fetch(set_name, locked, where, progress)
    return [where / artifact.file for artifact in locked]


def _fetch(set_name: str, locked: dict[Artifact, str], where: Path, progress: Progress | None) -> None:
    part = where.with_name(where.name + ".part")
    arrived = part / "jars"
    shutil.rmtree(arrived, ignore_errors=True)

    def say(text: str) -> None:
        if progress:
            progress(f"{set_name} jars, {len(locked)} in all: {text}")

    say("fetching")
    ivy.retrieve(
        list(locked),
        part,
        str(arrived / "[organisation].[artifact]-[revision](-[classifier]).[ext]"),
        settings_file=settings().ivy_settings or LOCKS / "ivysettings.xml",
        progress=say,
    )
    say("checking")
    try:
        verify(locked, arrived)
    except TickloomError:
        shutil.rmtree(part)  # else the wrong file would be kept and every later try would fail
        raise
    stamp = {artifact.file: (arrived / artifact.file).stat().st_size for artifact in locked}
    (arrived / STAMP).write_text(json.dumps(stamp, indent=1), encoding="utf-8")
    shutil.rmtree(where, ignore_errors=True)
    arrived.rename(where)
    shutil.rmtree(part)


def verify(locked: dict[Artifact, str], where: Path) -> None:
    """Compare every jar below `where` with its lock.

    Raises
    ------
    TickloomError
        A jar is missing or has another SHA-256; names it and the fix.
    """
    for artifact, digest in locked.items():
        try:
            with (where / artifact.file).open("rb") as file:
                actual = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            raise TickloomError(
                f"jar {artifact} did not arrive: try again; if it stays away, name another mirror in an Ivy "
                "settings file with TICKLOOM_IVY_SETTINGS"
            ) from None
        if actual != digest:
            raise TickloomError(
                f"jar {artifact} has SHA-256 {actual}, not the locked {digest}; it was thrown away: try again; "
                "if it repeats, the repository serves another file: name a mirror with TICKLOOM_IVY_SETTINGS"
            )


@contextmanager
def _alone(where: Path, progress: Progress | None) -> Iterator[None]:
    """Let one process at a time fetch into `where`."""
    where.parent.mkdir(parents=True, exist_ok=True)
    with where.with_name(where.name + ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if progress:
                progress(f"waiting for another process that fetches {where.name}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
