"""Services as real processes, and loads on them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import psutil

from tickloom.bench.serving.requests import Outcome, Plan
from tickloom.errors import TickloomError

READY_S = 120.0


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        port: int = it.getsockname()[1]
        return port


class Server:
    """A service in processes of its own, from ``with`` to its end.

    Parameters
    ----------
    command
        After ``python``; the port is appended.
    settings
        Variables.
    first
        Path and body of a request that is answered with 200 once it is ready.
    log
        File of its output.
    """

    def __init__(self, command: Sequence[str], settings: Mapping[str, str], first: tuple[str, str], log: Path) -> None:
        self.port = free_port()
        self._command = [sys.executable, *command, "--port", str(self.port)]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TICKLOOM_")}
        self._environment = {**kept, "BENTOML_DO_NOT_TRACK": "True", "OMP_NUM_THREADS": "1", **settings}
        self._first, self._log = first, log

    def __enter__(self) -> Self:
        with self._log.open("wb") as out:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )
        until = time.monotonic() + READY_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                tail = "\n".join(self._log.read_text(errors="replace").splitlines()[-5:])
                self._end()
                raise TickloomError(f"the service of the benchmark did not start; its log ends with:\n{tail}")
            time.sleep(0.2)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _answers(self) -> bool:
        path, body = self._first
        asked = urllib.request.Request(  # noqa: S310
            self.url(path), body.encode(), {"content-type": "application/json"}
        )
        try:
            with urllib.request.urlopen(asked, timeout=5) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except OSError:
            return False

    def url(self, path: str) -> str:
        """Return the address of a path."""
        return f"http://127.0.0.1:{self.port}{path}"

    def processes(self) -> list[psutil.Process]:
        """Return all of its processes."""
        parent = psutil.Process(self._process.pid)
        return [parent, *parent.children(recursive=True)]

    def named(self, service: str) -> psutil.Process:
        """Return the process of one of its services."""
        return next(it for it in self.processes() if service in it.cmdline())

    def memory_mb(self) -> float:
        """Return the resident memory of all its processes, in MB."""
        total = 0
        for it in self.processes():
            with suppress(psutil.NoSuchProcess):
                total += it.memory_info().rss
        return total / 1e6


class Running:
    """A load that is under way."""

    def __init__(self, plan: Plan) -> None:
        command = [sys.executable, "-m", "tickloom.bench.serving.requests"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(plan)))
        self._process.stdin.close()

    def outcome(self) -> Outcome:
        """Wait for its end, and return what came of it."""
        assert self._process.stdout is not None
        found = self._process.stdout.read()
        if self._process.wait():
            raise TickloomError("the load of the benchmark failed; what it said stands above")
        return Outcome(**json.loads(found))


def percentile_ms(outcome: Outcome, share: float, status: int = 200) -> float:
    """Return within how many milliseconds a share of the requests with a status was answered; NaN without any."""
    found = np.array(outcome.latencies)[np.array(outcome.codes) == status]
    return float(np.quantile(found, share) * 1000) if len(found) else float("nan")


def answered(outcome: Outcome) -> int:
    """Return how many requests were answered with 200."""
    return outcome.statuses.get("200", 0)


def failed(outcome: Outcome) -> int:
    """Return how many were not."""
    return sum(outcome.statuses.values()) - answered(outcome)
