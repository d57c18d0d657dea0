"""Places where a test kills the application, to show that a restart loses and repeats nothing.

``TICKLOOM_FAULT=cassandra.before:3`` kills the whole application at the point ``cassandra.before`` of micro-batch 3.
"""

import os
import signal
import time

POINTS = tuple(
    f"{sink}.{moment}" for sink in ("cassandra", "lake", "topics", "commit") for moment in ("before", "after")
)


def armed() -> str | None:
    """Return the fault that the environment asks for, as ``point:batch``."""
    return os.environ.get("TICKLOOM_FAULT") or None


def reach(point: str, batch: int, fault: str | None, process: int) -> None:
    """Kill ``process`` (the driver) with its Java child and this worker when the armed fault is here."""
    if fault != f"{point}:{batch}":
        return
    import psutil

    victims = [psutil.Process(process), *psutil.Process(process).children(recursive=True)]
    for victim in sorted(victims, key=lambda item: item.pid == os.getpid()):
        try:
            victim.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    time.sleep(60)
