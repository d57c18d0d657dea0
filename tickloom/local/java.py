"""Which Java runs Kafka, Cassandra and Spark: a Java 17, wherever it lies."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tickloom.errors import TickloomError
from tickloom.settings import settings

WANTED = 17
FOLDERS = Path("/usr/lib/jvm")
FIX = "install one with `apt-get install openjdk-17-jre-headless` or set TICKLOOM_JAVA_HOME to the folder of a Java 17"
_VERSION = re.compile(r'version "(?:1\.)?(\d+)([^"]*)"')


@dataclass(frozen=True)
class Java:
    """A Java runtime that was asked for its version."""

    home: Path
    version: str

    @property
    def major(self) -> int:
        """The number that people mean by "Java 17"."""
        return int(re.split(r"\D", self.version)[0])

    @property
    def path(self) -> Path:
        """The ``java`` program."""
        return self.home / "bin" / "java"


def ask(home: Path) -> Java | None:
    """Run the ``java`` below `home` and return what it says of itself, or None where none runs."""
    program = home / "bin" / "java"
    if not os.access(program, os.X_OK):
        return None
    try:
        said = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(said.stderr + said.stdout)
    return Java(home, found.group(1) + found.group(2)) if found else None


def find_java() -> Java:
    """Return the first Java 17 of TICKLOOM_JAVA_HOME, JAVA_HOME, /usr/lib/jvm and PATH.

    Raises
    ------
    TickloomError
        There is none, or TICKLOOM_JAVA_HOME names something else; says what was found where.
    """
    chosen = settings().java_home
    if chosen is not None:
        java = ask(chosen)
        if java is None:
            raise TickloomError(f"TICKLOOM_JAVA_HOME '{chosen}' has no bin/java that runs; name a Java 17, or unset it")
        if java.major != WANTED:
            raise TickloomError(f"TICKLOOM_JAVA_HOME '{chosen}' is Java {java.version}; name a Java 17, or unset it")
        return java
    found: list[str] = []
    for place, home in _places():
        java = ask(home)
        if java is None:
            continue
        if java.major == WANTED:
            return java
        found.append(f"Java {java.version} in {home} ({place})")
    what = (
        f"no Java 17; found only {', '.join(found)}" if found else "no Java at all in JAVA_HOME, /usr/lib/jvm or PATH"
    )
    raise TickloomError(f"{what}: {FIX}")


def _places() -> Iterator[tuple[str, Path]]:
    """Yield where a Java may lie, without repeats, in the order of preference."""
    seen: set[Path] = set()
    for place, home in _all_places():
        if (real := home.resolve()) not in seen:
            seen.add(real)
            yield place, home


def _all_places() -> Iterator[tuple[str, Path]]:
    if variable := os.environ.get("JAVA_HOME"):
        yield "JAVA_HOME", Path(variable)
    if FOLDERS.is_dir():
        # The folders named after 17 first: each question costs a JVM's start.
        for home in sorted(FOLDERS.iterdir(), key=lambda folder: (str(WANTED) not in folder.name, folder.name)):
            yield str(FOLDERS), home
    if program := shutil.which("java"):
        yield "PATH", Path(program).resolve().parent.parent


def main() -> None:
    """Print the folder of the Java that is used; with a sentence exit with 1 where there is none."""
    try:
        print(find_java().home)
    except TickloomError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
