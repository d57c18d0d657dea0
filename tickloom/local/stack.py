"""The embedded stack: Kafka and Cassandra of one home brought up, down, and looked at."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from tickloom.errors import TickloomError
from tickloom.local import process
from tickloom.local.failure import last_words
from tickloom.local.ivy import Progress
from tickloom.local.launch import PARTS, STOP_S, bring_up, running, stop
from tickloom.local.ports import HOST, check
from tickloom.local.state import State, absolute, alone, load

READY_S = 120.0
_FORBIDDEN = set(",:;\n")  # they part the entries of lists in Kafka's settings and in Java's class path


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
    if odd := _FORBIDDEN & set(str(home)):
        raise TickloomError(f"home '{home}' has {min(odd)!r} in its name, which Kafka cannot take: name another folder")
    say = progress or _silent
    with alone(home, say):
        there, gone = running(home)
        if reset:
            _set_aside(home, there, say)
        state = load(home)
        wanted = {"kafka": kafka_port, "cassandra": cassandra_port}
        _check_wanted(home, state, there, wanted)
        for explanation in gone.values():
            say(f"{explanation}; its data is recovered now")
        bring_up(home, state, there, wanted=wanted, timeout_s=timeout_s, say=say)
        return _endpoints(home, state)


def down(home: Path, *, progress: Progress | None = None, patience_s: float = STOP_S) -> list[str]:
    """Stop what of `home` runs, without loss, and return its names; after `patience_s` seconds it is killed."""
    home = absolute(home)
    if not home.is_dir():
        return []
    say = progress or _silent
    with alone(home, say):
        there, _ = running(home)
        stop(home, there, say, patience_s)
        for part in PARTS:
            process.forget(home, part)
    return list(there)


def endpoints(home: Path) -> Endpoints | None:
    """Return where the servers of `home` listen, None unless both run."""
    home = absolute(home)
    if not home.is_dir() or len(running(home)[0]) < len(PARTS):
        return None
    return _endpoints(home, load(home))


def status(home: Path) -> list[PartStatus]:
    """Say of each server of `home` whether, where and with how much memory it runs."""
    home = absolute(home)
    state = load(home)
    return [_status(home, part, state) for part in PARTS]


def _status(home: Path, part: str, state: State) -> PartStatus:
    found = process.find(home, part)
    address = f"{HOST}:{state.ports[part]}" if part in state.ports else None
    log = str(home / "logs" / f"{part}.log")
    if found.process:
        try:
            resident = round(found.process.memory_info().rss / 1e6, 1)
            uptime = round(time.time() - found.process.create_time(), 1)
            return PartStatus(part, "running", found.process.pid, address, uptime, resident, log, "")
        except psutil.Error:
            return PartStatus(part, "stopped", None, address, None, None, log, "it ended this moment")
    explanation = f"{found.explanation}; last log line: {last_words(home, part)!r}" if found.explanation else ""
    return PartStatus(part, found.condition, None, address, None, None, log, explanation)


def _check_wanted(home: Path, state: State, there: Iterable[str], wanted: Mapping[str, int | None]) -> None:
    """Refuse ports that the user named and that cannot be had."""
    for part in there:
        if wanted[part] not in (None, state.ports.get(part)):
            raise TickloomError(
                f"{part} of {home} runs on port {state.ports.get(part)} already, not on {wanted[part]}: "
                f"`tickloom down --home {home}` first"
            )
    check({part: port for part, port in wanted.items() if port is not None and part not in there})


def _set_aside(home: Path, there: Iterable[str], say: Progress) -> None:
    if names := " and ".join(there):
        raise TickloomError(f"{names} of {home} still runs: `tickloom down --home {home}` before --reset")
    aside = home / f"old-{time.strftime('%Y%m%d-%H%M%S')}"
    for name in ("kafka", "cassandra", "state.json"):
        if (home / name).exists():
            aside.mkdir(exist_ok=True)
            (home / name).rename(aside / name)
    if aside.exists():
        say(f"the old data was moved to {aside}; remove it when it is not needed any more")


def _endpoints(home: Path, state: State) -> Endpoints:
    try:
        return Endpoints(*(f"{HOST}:{state.ports[part]}" for part in PARTS))
    except KeyError as error:
        raise TickloomError(
            f"{home / 'state.json'} is gone while the servers run: `tickloom down --home {home}`, then `tickloom up`"
        ) from error


def _silent(_text: str) -> None:
    pass
