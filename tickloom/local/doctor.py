"""What could keep the stack from running on this machine, each finding with what to do."""

import importlib.util
import resource
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tickloom.errors import TickloomError

Verdict = Literal["ok", "warn", "fail"]
MEMORY_BYTES = 2_500_000_000
SPARK_BYTES = 2_000_000_000
DISK_WISH_BYTES = 10_000_000_000
OPEN_FILES = 10_000
MODULES = ("cassandra", "confluent_kafka", "numba", "numpy", "pandas", "psutil", "pyarrow", "pyspark", "stamina")


@dataclass(frozen=True)
class Check:
    """One finding; `fix` is empty where nothing has to be done."""

    name: str
    verdict: Verdict
    finding: str
    fix: str = ""


def diagnose(home: Path) -> list[Check]:
    """Return every finding about this machine and `home`."""
    missing = [name for name in MODULES if importlib.util.find_spec(name) is None]
    if missing:
        lacks = f"{', '.join(missing)} cannot be imported"
        return [Check("python", "fail", lacks, "install them with `pip install 'tickloom[stream]'`"), _java()]
    found = [Check("python", "ok", f"all {len(MODULES)} modules of the stream extra are there"), _java()]
    for look in (_jars, _memory, _disk, _files, _processes, _ports, _data, _credentials):
        try:
            found.extend(look(home))
        except TickloomError as error:
            found.append(_failure(look, error))
    return found


def _failure(look: Callable[[Path], Iterator[Check]], error: TickloomError) -> Check:
    finding, _, fix = str(error).rpartition(": ")
    return Check(look.__name__.strip("_"), "fail", finding, fix)


def _java() -> Check:
    from tickloom.local.java import find_java

    try:
        java = find_java()
    except TickloomError as error:
        finding, _, fix = str(error).rpartition(": ")
        return Check("java", "fail", finding or str(error), fix)
    return Check("java", "ok", f"Java {java.version} in {java.home}")


def _jars(_home: Path) -> Iterator[Check]:
    from tickloom.local.jarsets import SETS, folder, lock_file, parse_lock, present

    for name in SETS:
        count = len(parse_lock(lock_file(name).read_text(encoding="utf-8"), lock_file(name).name))
        if present(name):
            yield Check(f"{name} jars", "ok", f"all {count} in {folder(name)}")
        else:
            yield Check(f"{name} jars", "warn", f"not fetched yet, {count} in all", "they are fetched when first used")


def _memory(home: Path) -> Iterator[Check]:
    import psutil

    from tickloom.local.launch import PARTS, running

    needed = SPARK_BYTES + MEMORY_BYTES * (len(PARTS) - len(running(home)[0])) // len(PARTS)
    free = psutil.virtual_memory().available
    finding = f"{free / 1e9:.1f} GB free; what does not run yet and a Spark job need {needed / 1e9:.1f} GB"
    if free >= needed:
        yield Check("memory", "ok", finding)
    else:
        enough_for_servers = free >= needed - SPARK_BYTES
        yield Check("memory", "warn" if enough_for_servers else "fail", finding, "close other programs")


def _disk(home: Path) -> Iterator[Check]:
    from tickloom.local.launch import DISK_BYTES

    there = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    finding = f"{free / 1e9:.1f} GB free on the disk of {home}"
    if free >= DISK_WISH_BYTES:
        yield Check("disk", "ok", finding)
    else:
        verdict: Verdict = "warn" if free >= DISK_BYTES else "fail"
        yield Check("disk", verdict, finding, "free some, or name a folder on another disk with --home")


def _files(_home: Path) -> Iterator[Check]:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY or hard >= OPEN_FILES:
        yield Check("open files", "ok", f"up to {'any number' if hard == resource.RLIM_INFINITY else hard}")
    else:
        yield Check("open files", "warn", f"only {hard} allowed", f"raise the limit with `ulimit -Hn {OPEN_FILES}`")


def _processes(home: Path) -> Iterator[Check]:
    from tickloom.local.stack import status

    for part in status(home):
        if part.condition == "running":
            yield Check(part.part, "ok", f"runs as pid {part.pid} at {part.address}, {part.resident_mb:.0f} MB")
        elif part.explanation:
            yield Check(part.part, "warn", part.explanation, "`tickloom up` starts it again and recovers its data")
        else:
            yield Check(part.part, "ok", "does not run; `tickloom up` starts it")


def _ports(home: Path) -> Iterator[Check]:
    from tickloom.local.launch import NAMES, running
    from tickloom.local.ports import holder, is_free
    from tickloom.local.state import load

    there, _ = running(home)
    ours = {name for part in there for name in NAMES[part]}
    remembered = load(home).ports
    taken = {name: port for name, port in remembered.items() if name not in ours and not is_free(port)}
    for name, port in taken.items():
        finding = f"port {port} of {name} is taken by {holder(port)}"
        yield Check("ports", "warn", finding, "nothing: `tickloom up` will choose another and say so")
    if not taken:
        yield Check(
            "ports", "ok", f"{len(remembered)} remembered, each ours or free" if remembered else "none chosen yet"
        )


def _data(home: Path) -> Iterator[Check]:
    from tickloom.local import cassandra, kafka
    from tickloom.local.state import load

    if not home.exists():
        yield Check("data", "ok", f"{home} is not there yet; `tickloom up` makes it")
        return
    cluster = kafka.inspect(home, load(home).kafka_cluster_id)
    if cassandra.inspect(home):
        finding = "Cassandra's first start was cut off, or is going on now"
        yield Check("data", "warn", finding, "nothing: `tickloom up` starts it anew")
    else:
        yield Check("data", "ok", f"{home} is whole" if cluster else f"{home} holds no data yet")


def _credentials(_home: Path) -> Iterator[Check]:
    from tickloom.bus import credentials as kafka
    from tickloom.settings import settings
    from tickloom.store import credentials as cassandra

    if (folder := settings().kafka_credentials) is not None:
        broker = kafka.read(folder)
        yield Check(
            "credentials", "ok", f"Kafka: user {broker.username!r} by {broker.mechanism} over {broker.protocol}"
        )
    if (node := cassandra.mine()) is not None:
        if node.tls:
            node.context()
        who = f"user {node.username!r}" if node.username else "no user"
        yield Check("credentials", "ok", f"Cassandra: {who}, {'with' if node.tls else 'without'} TLS")
