"""Whether the kernel killed a process of this container for want of memory."""

from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
_FILES = ("memory.events", "memory/memory.oom_control")  # of cgroups version 2 and 1


def kills(root: Path = CGROUPS) -> int:
    """Return how many processes of this container the kernel has killed at the limit of its memory; 0 if unknown."""
    for name in _FILES:
        try:
            lines = (root / name).read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            key, _, value = line.partition(" ")
            if key == "oom_kill" and value.isdigit():
                return int(value)
    return 0
