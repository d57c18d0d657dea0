"""Starts the servers of one home, waits until they answer, and stops them."""

import shutil
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil

from tickloom.errors import TickloomError
from tickloom.local import cassandra, kafka, process
from tickloom.local.failure import explain
from tickloom.local.ivy import Progress
from tickloom.local.jarsets import jars
from tickloom.local.java import find_java
from tickloom.local.ports import choose
from tickloom.local.state import State, save

PARTS = ("kafka", "cassandra")
NAMES = {"kafka": kafka.PORTS, "cassandra": cassandra.PORTS}
DISK_BYTES = 2_000_000_000
STOP_S = 60.0
ABORT_S = 20.0

Running = dict[str, psutil.Process]


def running(home: Path) -> tuple[Running, dict[str, str]]:
    """Return the servers of `home` that run and, for those that should and do not, the explanation."""
    found = {part: process.find(home, part) for part in PARTS}
    return (
        {part: it.process for part, it in found.items() if it.process},
        {part: it.explanation for part, it in found.items() if it.explanation},
    )


def bring_up(
    home: Path, state: State, there: Running, *, wanted: Mapping[str, int | None], timeout_s: float, say: Progress
) -> None:
    """Start what is not `there` and wait until everything answers; on any failure stop what was started."""
    missing = [part for part in PARTS if part not in there]
    started: Running = {}
    try:
        if missing:
            _start(home, state, missing, started, wanted=wanted, say=say)
        _wait(home, state, there | started, timeout_s, say)
    except BaseException:
        stop(home, started, say, ABORT_S)
        raise


def stop(home: Path, there: Running, say: Progress, patience_s: float) -> None:
    """Stop servers side by side; says loudly which had to be killed."""
    if not there:
        return
    say(f"stopping {' and '.join(there)}")
    with ThreadPoolExecutor(len(there)) as pool:
        ends = {part: pool.submit(process.stop, home, part, it, patience_s=patience_s) for part, it in there.items()}
    for part, gentle in ends.items():
        if not gentle.result():
            say(
                f"WARNING: {part} did not stop within {patience_s:.0f} s and was killed; "
                "its next start recovers from its log, which takes longer"
            )


def check_disk(home: Path) -> None:
    """Raise TickloomError unless the disk has room for a start."""
    free = shutil.disk_usage(home).free
    if free < DISK_BYTES:
        raise TickloomError(
            f"the disk of {home} has {free / 1e9:.1f} GB free, and the stack needs {DISK_BYTES / 1e9:.0f} GB: "
            "free some, or name a folder on another disk with --home"
        )


def _start(
    home: Path, state: State, missing: list[str], started: Running, *, wanted: Mapping[str, int | None], say: Progress
) -> None:
    """Start `missing` and note each in `started` as soon as it runs."""
    java = find_java()
    check_disk(home)
    sets = {part: jars(part, say) for part in missing}
    choose(state.ports, [name for part in missing for name in NAMES[part]], wanted, say)
    save(home, state)
    if len(missing) == len(PARTS):
        shutil.rmtree(home / "tmp", ignore_errors=True)  # unpacked native libraries of a killed start
    (home / "tmp").mkdir(exist_ok=True)
    if "cassandra" in missing:  # first: it takes longer, and Kafka's format runs meanwhile
        if done := cassandra.prepare(home, state.ports):
            say(done)
        _spawn(home, "cassandra", cassandra.command(home, java, sets["cassandra"]), started)
    if "kafka" in missing:
        kafka.prepare(home, java, sets["kafka"], state)
        save(home, state)
        _spawn(home, "kafka", kafka.command(home, java, sets["kafka"]), started)


def _spawn(home: Path, part: str, command: list[str], started: Running) -> None:
    """Start a server and note it in `started`; no signal comes between the two."""
    log = home / "logs" / f"{part}.log"
    if log.exists():
        log.replace(log.with_name(f"{part}.previous.log"))

    with _uninterrupted():
        started[part] = process.spawn(home, part, command, home / "logs" / f"{part}.out")


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Have what SIGINT and SIGTERM do here done at the end of the block.

    The signals are not blocked, for a process that is started in between would have them blocked for good.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # no handler runs here
        return
    came: list[int] = []
    held = {it: does for it in (signal.SIGINT, signal.SIGTERM) if callable(does := signal.getsignal(it))}
    try:
        for number in held:
            signal.signal(number, lambda one, _frame: came.append(one))
        yield
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
        for one in came:
            signal.raise_signal(one)


def _wait(home: Path, state: State, there: Running, timeout_s: float, say: Progress) -> None:
    """Wait until every server answers; the first that ends, or all that stay silent, are an error."""
    begin = time.monotonic()
    waiting = dict(there)
    said = ""
    while waiting:
        waited = time.monotonic() - begin
        if (text := f"waiting for {' and '.join(waiting)} to answer ({waited:.0f} s)") != said:
            say(said := text)
        for part, child in list(waiting.items()):
            if not process.alive(child):
                process.forget(home, part)
                raise explain(home, part, state, process.exit_status(child))
            if kafka.ready(state) if part == "kafka" else cassandra.ready(state.ports):
                del waiting[part]
                if part == "cassandra":
                    cassandra.answered(home)
        if waiting and waited > timeout_s:
            raise explain(home, next(iter(waiting)), state, None, waited_s=timeout_s)
        if waiting:
            time.sleep(0.1)
