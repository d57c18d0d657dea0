"""The embedded stack: Kafka and Cassandra of one home brought up, down, and looked at."""

import shutil
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil

from tickloom.errors import TickloomError
from tickloom.local import cassandra, kafka, ports, process
from tickloom.local.failure import explain
from tickloom.local.ivy import Progress
from tickloom.local.jarsets import jars
from tickloom.local.java import find_java
from tickloom.local.state import State, absolute, alone, load, save

PARTS = ("kafka", "cassandra")
DISK_BYTES = 2 << 30
READY_S = 120.0
STOP_S = 60.0


@dataclass(frozen=True)
class Endpoints:
    """Where the servers listen, each ``host:port``."""

    kafka: str
    cassandra: str


@dataclass(frozen=True)
class PartStatus:
    """What one server does; memory is resident, in MB of 10^6 bytes."""

    part: str
    condition: process.Condition
    pid: int | None
    address: str | None
    uptime_s: float | None
    resident_mb: float | None
    log: str
    explanation: str


def up(
    home: Path,
    *,
    kafka_port: int | None = None,
    cassandra_port: int | None = None,
    reset: bool = False,
    timeout_s: float = READY_S,
    progress: Progress | None = None,
) -> Endpoints:
    """Start what of `home` does not run yet and return when both servers answer.

    Raises
    ------
    TickloomError
        Java, jars, disk, ports or data are not as they have to be, or a server did not become ready.
    """
    home = absolute(home)
    say = progress or _silent
    with alone(home, say):
        found = {part: process.find(home, part) for part in PARTS}
        running = {part: it.process for part, it in found.items() if it.process}
        if reset:
            _set_aside(home, running, say)
        state = load(home)
        wanted = {"kafka": kafka_port, "cassandra": cassandra_port}
        _check_wanted(state, running, wanted, home)
        missing = [part for part in PARTS if part not in running]
        for part in missing:
            if found[part].explanation:
                say(f"{found[part].explanation}; its data is recovered now")
        if missing:
            _start(home, state, missing, running, wanted, timeout_s, say)
        return _endpoints(state)


def down(home: Path, *, progress: Progress | None = None, patience_s: float = STOP_S) -> list[str]:
    """Stop what of `home` runs, without loss, and return its names."""
    home = absolute(home)
    if not home.is_dir():
        return []
    say = progress or _silent
    with alone(home, say):
        found = {part: process.find(home, part) for part in PARTS}
        running = {part: it.process for part, it in found.items() if it.process}
        _stop(home, running, say, patience_s)
        for part in PARTS:
            process.forget(home, part)
    return list(running)


def endpoints(home: Path) -> Endpoints | None:
    """Return where the servers of `home` listen, None unless both run."""
    home = absolute(home)
    if not home.is_dir() or any(process.find(home, part).process is None for part in PARTS):
        return None
    return _endpoints(load(home))


def status(home: Path) -> list[PartStatus]:
    """Say of each server of `home` whether, where and with how much memory it runs."""
    home = absolute(home)
    state = load(home)
    return [_status(home, part, state) for part in PARTS]


def _status(home: Path, part: str, state: State) -> PartStatus:
    found = process.find(home, part)
    address = f"{ports.HOST}:{state.ports[part]}" if part in state.ports else None
    log = str(home / "logs" / f"{part}.log")
    try:
        if found.process:
            resident = round(found.process.memory_info().rss / 1e6, 1)
            uptime = round(time.time() - found.process.create_time(), 1)
            return PartStatus(part, "running", found.process.pid, address, uptime, resident, log, "")
    except psutil.Error:
        return PartStatus(part, "stopped", None, address, None, None, log, "it ended this moment")
    return PartStatus(part, found.condition, None, address, None, None, log, found.explanation)


def _start(
    home: Path,
    state: State,
    missing: list[str],
    running: dict[str, psutil.Process],
    wanted: dict[str, int | None],
    timeout_s: float,
    say: Progress,
) -> None:
    java = find_java()
    _check_disk(home)
    sets = {part: jars(part, say) for part in missing}
    _choose_ports(state, missing, wanted, say)
    save(home, state)
    (home / "tmp").mkdir(exist_ok=True)
    started: dict[str, psutil.Process] = {}
    try:
        if "cassandra" in missing:
            if done := cassandra.prepare(home, state.ports):
                say(done)
            started["cassandra"] = _spawn(home, "cassandra", cassandra.command(home, java, sets["cassandra"]))
        if "kafka" in missing:
            say("preparing Kafka")
            kafka.prepare(home, java, sets["kafka"], state)
            save(home, state)
            started["kafka"] = _spawn(home, "kafka", kafka.command(home, java, sets["kafka"]))
        _wait(home, state, started, timeout_s, say)
    except BaseException:
        say("stopping what was started")
        _stop(home, started, say, STOP_S)
        raise


def _spawn(home: Path, part: str, command: list[str]) -> psutil.Process:
    log = home / "logs" / f"{part}.log"
    if log.exists():
        log.replace(log.with_name(f"{part}.previous.log"))
    return process.spawn(home, part, command, home / "logs" / f"{part}.out")


def _wait(home: Path, state: State, started: dict[str, psutil.Process], timeout_s: float, say: Progress) -> None:
    """Wait until every started server answers; the first that ends or stays silent is an error."""
    begin = time.monotonic()
    waiting = dict(started)
    while waiting:
        say(f"waiting for {' and '.join(waiting)} to answer ({time.monotonic() - begin:.0f} s)")
        for part, child in list(waiting.items()):
            if not process.alive(child):
                process.forget(home, part)
                raise explain(home, part, state, process.exit_status(child))
            if kafka.ready(state) if part == "kafka" else cassandra.ready(state.ports):
                del waiting[part]
                if part == "cassandra":
                    cassandra.answered(home)
        if waiting and time.monotonic() - begin > timeout_s:
            raise explain(home, next(iter(waiting)), state, None, waited_s=timeout_s)
        time.sleep(0.1)


def _stop(home: Path, running: dict[str, psutil.Process], say: Progress, patience_s: float) -> None:
    if not running:
        return
    say(f"stopping {' and '.join(running)}")
    with ThreadPoolExecutor(len(running)) as pool:
        ends = {part: pool.submit(process.stop, home, part, it, patience_s=patience_s) for part, it in running.items()}
    for part, gentle in ends.items():
        if not gentle.result():
            say(
                f"WARNING: {part} did not stop within {patience_s:.0f} s and was killed; "
                "its next start replays its log, which takes longer"
            )


def _check_wanted(state: State, running: Iterable[str], wanted: dict[str, int | None], home: Path) -> None:
    for part, port in wanted.items():
        if port is None:
            continue
        if part in running:
            if state.ports.get(part) != port:
                raise TickloomError(
                    f"{part} of {home} runs on port {state.ports.get(part)} already, not on {port}: "
                    f"`tickloom down --home {home}` first"
                )
        elif not ports.is_free(port):
            raise TickloomError(
                f"port {port} for {part} is taken by {ports.holder(port)}: stop it, name another with "
                f"--{part}-port, or leave the option out and a free one is found"
            )


def _choose_ports(state: State, missing: list[str], wanted: dict[str, int | None], say: Progress) -> None:
    for name in [*kafka.PORTS] * ("kafka" in missing) + [*cassandra.PORTS] * ("cassandra" in missing):
        if (port := wanted.get(name)) is not None:
            state.ports[name] = port
            continue
        old = state.ports.get(name)
        if old is not None and ports.is_free(old):
            continue
        taken = set(state.ports.values()) | {port for port in wanted.values() if port}
        state.ports[name] = ports.pick(taken)
        if old is not None:
            say(f"port {old} of {name} is taken by {ports.holder(old)}, so {state.ports[name]} is used from now on")


def _check_disk(home: Path) -> None:
    free = shutil.disk_usage(home).free
    if free < DISK_BYTES:
        raise TickloomError(
            f"the disk of {home} has {free / 1e9:.1f} GB free, and the stack needs {DISK_BYTES / 1e9:.1f} GB: "
            "free some, or name a folder on another disk with --home"
        )


def _set_aside(home: Path, running: Iterable[str], say: Progress) -> None:
    if names := list(running):
        raise TickloomError(f"{' and '.join(names)} of {home} runs: `tickloom down --home {home}` before --reset")
    aside = home / f"old-{time.strftime('%Y%m%d-%H%M%S')}"
    for name in ("kafka", "cassandra", "state.json"):
        if (home / name).exists():
            aside.mkdir(exist_ok=True)
            (home / name).rename(aside / name)
    if aside.exists():
        say(f"the old data was moved to {aside}; remove it when it is not needed any more")


def _endpoints(state: State) -> Endpoints:
    return Endpoints(*(f"{ports.HOST}:{state.ports[part]}" for part in PARTS))


def _silent(_text: str) -> None:
    pass
