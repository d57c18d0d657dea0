"""Whether processes are there, for tests of how they end."""

import time
from pathlib import Path


def gone_within(pids, seconds=20):
    """Return whether all processes end in time."""
    until = time.monotonic() + seconds
    while not (ended := all(map(_gone, pids))) and time.monotonic() < until:
        time.sleep(0.05)
    return ended


def _gone(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"  # of an orphan nobody may take the status
