"""Why a server did not start: its logs read, and the sentence that says what to do."""

import re
from pathlib import Path

from tickloom.errors import TickloomError
from tickloom.local.state import State

_TRACE = re.compile(r"^\s+at |^\s+\.\.\. \d+ more|^\s*$")
_SEVERE = re.compile(r"\b(ERROR|FATAL)\b|Exception|\bError\b")
_TAIL_BYTES = 256_000


def explain(
    home: Path, part: str, state: State, exit_status: int | None, waited_s: float | None = None
) -> TickloomError:
    """Return the error of a server that ended while it started, or did not answer for `waited_s`."""
    lines = _lines(home, part)
    text = "\n".join(_severe(lines))
    if waited_s is not None:
        what = f"{part} did not answer within {waited_s:.0f} s"
    elif exit_status is not None and exit_status < 0:
        what = f"{part} was killed by signal {-exit_status} while it started"
    else:
        what = f"{part} ended while it started"
    return TickloomError(
        f"{what}: {advice(text, home, part, state, exit_status)}; last log line: {meaningful(lines)!r} "
        f"in {home / 'logs' / part}.log"
    )


def last_words(home: Path, part: str) -> str:
    """Return the last meaningful line of a server's log."""
    return meaningful(_lines(home, part))


def advice(text: str, home: Path, part: str, state: State, exit_status: int | None) -> str:
    """Return what to do about the cause that stands in a log's lines of errors."""
    if re.search(r"No space left|Insufficient disk space|FSDiskFull", text):
        return f"the disk of {home} is full: free 2 GB, or name a folder on another disk with --home"
    if "Address already in use" in text or "BindException" in text:
        port = state.ports.get(part)
        return f"a port (such as {port}) was taken in the meantime: try again, or name one with --{part}-port"
    if "OutOfMemoryError:" in text or "Cannot allocate memory" in text or exit_status == -9:
        return "memory ran out: the stack needs 2.5 GB free; `tickloom doctor` says how much there is"
    if re.search(r"Corrupt|CommitLogReplayException|checksum mismatch", text, re.IGNORECASE):
        return (
            f"its data is damaged: put back a copy, or `tickloom up --reset --home {home}` moves it aside "
            "and starts anew"
        )
    return "read the log; `tickloom doctor` checks the machine"


def meaningful(lines: list[str]) -> str:
    """Return the last line that tells of an error, else the last line that is no stack trace."""
    plain = [line.strip() for line in lines if not _TRACE.search(line)]
    return (_severe(lines) or plain or ["nothing was logged"])[-1][:500]


def _severe(lines: list[str]) -> list[str]:
    """Return the lines that tell of an error; those at INFO print settings, whose names speak of errors too."""
    return [line.strip() for line in lines if _SEVERE.search(line) and not _TRACE.search(line) and " INFO " not in line]


def tail(path: Path) -> list[str]:
    """Return the last lines of a file, none if it is not there."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            return file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []


def _lines(home: Path, part: str) -> list[str]:
    """Return what the last start of a server printed and logged."""
    return [line for kind in ("out", "log") for line in tail(home / "logs" / f"{part}.{kind}")]
