"""The operator with faults: it dies at a given action, or some of its writes are refused or their answers lost.

FAULTS_KILL names a file. While the file holds ``{"action": 4, "side": "before"}``, the fourth action that is carried
out since the file was written ends the process, as SIGKILL does, ``before`` or ``after`` it is done. Without the file
nothing happens.

FAULTS_EVERY is a number: each so manieth write goes wrong, in turn with 409, with 429, with 500, and with an answer
that is lost after the server has done what was asked.
"""

import itertools
import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

from operators.streamjob.apply import Hand
from operators.streamjob.cluster import Cluster, Refused
from operators.streamjob.main import main

RETRY_AFTER_S = 0.5


def kill_at(path: Path) -> None:
    """Have the process die at the action that the file names."""
    plain = Hand._do
    lock = threading.Lock()
    counted = {"text": "", "actions": 0}

    def do(self: Hand, *arguments: Any) -> Any:
        side = None
        if path.exists():
            text = path.read_text()
            wanted = json.loads(text)
            with lock:
                if counted["text"] != text:
                    counted.update(text=text, actions=0)
                counted["actions"] += 1
                side = wanted["side"] if counted["actions"] == wanted["action"] else None
        if side == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = plain(self, *arguments)
        if side == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    Hand._do = do


def refuse_every(number: int) -> None:
    """Have each so manieth write go wrong, but for the Lease's."""
    plain = Cluster.request
    count = itertools.count(1)
    faults = itertools.cycle((409, 429, 500, 0))
    lock = threading.Lock()

    def request(self: Cluster, method: str, path: str, *arguments: Any, **named: Any) -> Any:
        with lock:
            wrong = method != "GET" and "/leases" not in path and next(count) % number == 0
            status = next(faults) if wrong else -1
        if status > 0:
            raise Refused(status, f"{method} {path}: told to", RETRY_AFTER_S if status == 429 else None)
        answer = plain(self, method, path, *arguments, **named)
        if status == 0:
            raise Refused(0, f"{method} {path}: the answer is lost, and was told to be")
        return answer

    Cluster.request = request


if __name__ == "__main__":
    if "FAULTS_KILL" in os.environ:
        kill_at(Path(os.environ["FAULTS_KILL"]))
    if "FAULTS_EVERY" in os.environ:
        refuse_every(int(os.environ["FAULTS_EVERY"]))
    main()
