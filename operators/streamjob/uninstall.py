"""``python -m operators.streamjob.uninstall``: delete the StreamJobs where an operator watches, and wait.

The chart runs it while the operator is still there: without one, nobody takes their finalizer off.
"""

import sys
import time
from collections.abc import Callable, Sequence

import structlog

from operators.streamjob.cluster import Cluster
from operators.streamjob.settings import OperatorSettings
from tickloom.errors import TickloomError
from tickloom.logs import configure

log = structlog.get_logger()
WITHIN_S = 240.0
"""Below the five minutes that Helm waits for a hook."""
LOOK_S = 1.0


def remove(
    cluster: Cluster, namespaces: Sequence[str], within_s: float = WITHIN_S, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Delete every StreamJob of the namespaces, of all where there are none, and wait.

    Raises
    ------
    TickloomError
        Some are still there after ``within_s`` seconds.
    """
    end = time.monotonic() + within_s
    asked: set[str] = set()
    while found := [job["metadata"] for place in namespaces or (None,) for job in cluster.list("StreamJob", place)]:
        for meta in found:
            if meta["uid"] not in asked and "deletionTimestamp" not in meta:
                log.info("delete StreamJob", namespace=meta["namespace"], name=meta["name"])
                cluster.delete("StreamJob", meta["namespace"], meta["name"], meta["uid"])
            asked.add(meta["uid"])
        if time.monotonic() > end:
            left = ", ".join(sorted(f"{meta['namespace']}/{meta['name']}" for meta in found))
            raise TickloomError(
                f"StreamJobs {left} are still there after {within_s:.0f} s; see the operator's logs, or uninstall with "
                "--no-hooks and take their finalizers off"
            )
        sleep(LOOK_S)
    log.info("no StreamJob is left", deleted=len(asked))


def main() -> None:
    """Do it where the environment says that the operator watches."""
    configure()
    try:
        remove(Cluster(), OperatorSettings().watched)
    except TickloomError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
