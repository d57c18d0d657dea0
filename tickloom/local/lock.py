"""Rewrites the jar locks: ``python -m tickloom.local.lock`` resolves every set anew and writes its checksums."""

import hashlib
import sys
import tempfile
from pathlib import Path

from tickloom.local import ivy
from tickloom.local.ivy import Artifact
from tickloom.local.jarsets import SETS, lock_file
from tickloom.settings import settings

ROOTS: dict[str, list[str]] = {
    "kafka": [
        "org.apache.kafka:kafka_2.13:4.3.1",
        "org.apache.kafka:kafka-tools:4.3.1",
        "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4",
    ],
    "cassandra": ["org.apache.cassandra:cassandra-all:5.0.9"],
    # pyspark has the rest of their dependencies.
    "spark": [
        "org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0",
        "org.apache.spark:spark-token-provider-kafka-0-10_2.13:3.5.1",
        "org.apache.kafka:kafka-clients:3.9.2",
        "org.apache.commons:commons-pool2:2.13.1",
    ],
}
TRANSITIVE = {"kafka": True, "cassandra": True, "spark": False}


def resolve(set_name: str, work: Path) -> dict[Artifact, str]:
    """Return every artifact of a set with its SHA-256."""
    out = work / set_name
    ivy.retrieve(
        [Artifact.parse(root) for root in ROOTS[set_name]],
        work / f"{set_name}-work",
        str(out / "[organisation]/[artifact]/[revision]/jar(-[classifier]).[ext]"),
        settings_file=settings().ivy_settings,
        transitive=TRANSITIVE[set_name],
        progress=lambda text: print(text, file=sys.stderr),
    )
    found: dict[Artifact, str] = {}
    for jar in sorted(out.glob("*/*/*/*.jar")):
        group, name, version = jar.relative_to(out).parts[:3]
        artifact = Artifact(group, name, version, jar.stem.removeprefix("jar").removeprefix("-"))
        found[artifact] = hashlib.sha256(jar.read_bytes()).hexdigest()
    return found


def main() -> None:
    """Resolve the sets named as arguments, or all, and write their locks."""
    for set_name in sys.argv[1:] or SETS:
        with tempfile.TemporaryDirectory() as work:
            found = resolve(set_name, Path(work))
        lines = [f"{artifact} {digest}" for artifact, digest in sorted(found.items())]
        lock_file(set_name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"{set_name}: {len(lines)} jars")


if __name__ == "__main__":
    main()
