"""Detached server processes: started, found again, recognised when their pid went to another program, stopped."""

import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from tickloom.files import write_whole

DYING_S = 10.0
Condition = Literal["running", "stopped", "stale pid"]
_children: dict[int, subprocess.Popen[bytes]] = {}  # those that this very process started, so that they are reaped


@dataclass(frozen=True)
class Found:
    """What is known of one server of a home."""

    condition: Condition
    process: psutil.Process | None = None
    explanation: str = ""


def marker(home: Path, part: str) -> str:
    """Return the JVM argument that marks a process as this part of this home."""
    return f"-Dtickloom.process={part}@{home}"


def pid_file(home: Path, part: str) -> Path:
    """Return where a part's pid and start time stand."""
    return home / "run" / f"{part}.json"


def spawn(home: Path, part: str, command: list[str], output: Path) -> psutil.Process:
    """Start `command` so that it outlives this process, its output in the file `output`, and note its pid."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("wb") as out:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            cwd=home, env=environment(), start_new_session=True,
        )  # fmt: skip
    _children[child.pid] = child
    process = psutil.Process(child.pid)
    while marker(home, part) not in _arguments(process) and child.poll() is None:
        time.sleep(0.001)  # the kernel shows a new program's arguments a moment after it began
    write_whole(pid_file(home, part), json.dumps({"pid": child.pid, "started": process.create_time()}))
    return process


def environment() -> dict[str, str]:
    """Return what a server sees of the environment; in the POSIX locale Java could not open files named in Arabic."""
    kept = {name: value for name in ("PATH", "HOME", "USER", "TZ") if (value := os.environ.get(name))}
    return kept | {"LC_ALL": "C.UTF-8"}


def find(home: Path, part: str) -> Found:
    """Find a part of `home`: by its pid file, else by its marker among all processes."""
    mark = marker(home, part)
    try:
        noted = json.loads(pid_file(home, part).read_text(encoding="utf-8"))
        pid, started = int(noted["pid"]), float(noted["started"])
    except (OSError, ValueError, KeyError, TypeError):
        pid, started = 0, 0.0
    if pid and (process := _settled(pid, started)):
        if mark in _arguments(process):
            return Found("running", process)
        explanation = f"pid {pid} was noted for {part} but belongs to {_name(process)} now (a reboot, or a reused pid)"
    elif pid:
        explanation = f"{part} (pid {pid}, started {_clock(started)}) ended without `tickloom down`"
    else:
        explanation = ""
    for process in psutil.process_iter():
        if mark in _arguments(process) and _alive(process.pid):
            return Found("running", process)
    return Found("stale pid", None, explanation) if explanation else Found("stopped")


def alive(process: psutil.Process) -> bool:
    """Say whether the process still runs; one that ended and waits for its parent does not."""
    return _alive(process.pid) is not None and process.is_running()


def stop(home: Path, part: str, process: psutil.Process, *, patience_s: float) -> bool:
    """End a process with SIGTERM, after `patience_s` with SIGKILL; return whether it ended by itself."""
    gentle = True
    try:
        process.terminate()
        deadline = time.monotonic() + patience_s
        while alive(process):
            if time.monotonic() > deadline:
                gentle = False
                process.kill()
                deadline = float("inf")
            time.sleep(0.05)
    except psutil.NoSuchProcess:
        pass
    forget(home, part)
    return gentle


def forget(home: Path, part: str) -> None:
    """Remove a part's pid file."""
    pid_file(home, part).unlink(missing_ok=True)


def exit_status(process: psutil.Process) -> int | None:
    """Return how a process that this one started ended, None where that cannot be known."""
    child = _children.get(process.pid)
    return child.poll() if child else None


def _alive(pid: int) -> psutil.Process | None:
    """Return the process unless it ended; a zombie whose threads still end holds its ports and is alive."""
    child = _children.get(pid)
    if child and child.poll() is not None:
        return None
    try:
        process = psutil.Process(pid)
        ended = process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD) and process.num_threads() <= 1
        return None if ended else process
    except psutil.Error:
        return None


def _settled(pid: int, started: float) -> psutil.Process | None:
    """Return the live process of a pid, None if it ended; one that is just dying is waited for.

    A dying process shows no arguments any more, but still holds its files and ports.
    """
    deadline = time.monotonic() + DYING_S
    while (process := _alive(pid)) and not _arguments(process) and time.monotonic() < deadline:
        try:
            if abs(process.create_time() - started) > 1:
                break  # another program, one without arguments
        except psutil.Error:
            return None
        time.sleep(0.01)
    return process


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _name(process: psutil.Process) -> str:
    try:
        return f"'{process.name()}'"
    except psutil.Error:
        return "another program"


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
