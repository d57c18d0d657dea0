"""``python -m operators.streamjob.uninstall``: delete the StreamJobs where an operator watches, and wait.

The chart runs it while the operator is still there: without one, nobody takes their finalizer off.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from operators.streamjob import names
from operators.streamjob.cluster import Cluster, Refused, path_of
from operators.streamjob.settings import OperatorSettings
from tickloom.errors import TickloomError
from tickloom.logs import configure

log = structlog.get_logger()
WITHIN_S = 240.0
"""Below the five minutes that Helm waits for a hook."""
LOOK_S = 1.0


def remove(
    cluster: Cluster,
    namespaces: Sequence[str],
    within_s: float = WITHIN_S,
    sleep: Callable[[float], None] = time.sleep,
    *,
    checkpoints: bool = False,
) -> None:
    """Delete every StreamJob of the namespaces, of all where there are none, and wait.

    Parameters
    ----------
    checkpoints
        Whether the claims that were made for them go too, unless a job's own annotation says otherwise.

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
                if checkpoints:
                    _let_checkpoint_go(cluster, meta)
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


def _let_checkpoint_go(cluster: Cluster, meta: Mapping[str, Any]) -> None:
    if names.KEEP_CHECKPOINT in meta.get("annotations", {}):
        return
    patch = {"metadata": {"uid": meta["uid"], "annotations": {names.KEEP_CHECKPOINT: "false"}}}
    path = path_of("StreamJob", meta["namespace"], meta["name"])
    try:
        cluster.request("PATCH", path, patch, content="application/merge-patch+json")
    except Refused as error:
        if error.status not in (404, 409):  # it is gone, or another one has its name
            raise


def main() -> None:
    """Do it where the environment says that the operator watches."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoints", action="store_true", help="delete the claims that were made for them, too")
    checkpoints = parser.parse_args().checkpoints
    configure()
    try:
        remove(Cluster(), OperatorSettings().watched, checkpoints=checkpoints)
    except (TickloomError, Refused) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
