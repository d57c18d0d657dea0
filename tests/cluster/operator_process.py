"""The operator as a process beside the tests, as a Deployment would run it: it can be killed, and started anew."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMAGE = "localhost/fake-driver:dev"
OPERATOR = "operators.streamjob"
FAULTY = "tests.cluster.faulty_operator"
STARTED_WITHIN_S = 40.0
STOPPED_WITHIN_S = 30.0
RESTART_PAUSE_S = 0.5


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class OperatorProcess:
    """``python -m operators.streamjob`` for some namespaces.

    Parameters
    ----------
    namespaces
        Those that it watches, by commas.
    home
        Namespace of its Lease.
    log
        File that its output is added to.
    name
        Name of the Lease.
    identity
        Name in the Lease. An operator that keeps its name over a kill goes on without waiting for the Lease.
    module
        What is run.
    kubeconfig
        By default that of the tests.
    lease_s
        After how long without renewal another may lead.
    supervised
        Whether it is started again whenever it ends, as the kubelet does with a container.
    environment
        Further variables.
    """

    namespaces: str
    home: str
    log: Path
    name: str = "tickloom-operator"
    identity: str = ""
    module: str = OPERATOR
    kubeconfig: str = ""
    lease_s: int = 15
    supervised: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    starts: int = 0
    _child: subprocess.Popen[bytes] | None = None
    _wanted: threading.Event = field(default_factory=threading.Event)
    _supervisor: threading.Thread | None = None

    def __post_init__(self) -> None:
        self.port = free_port()

    def start(self) -> "OperatorProcess":
        """Start it; ``wait_until_leading`` says when it acts."""
        self._wanted.set()
        self._spawn()
        if self.supervised and self._supervisor is None:
            self._supervisor = threading.Thread(target=self._supervise, daemon=True)
            self._supervisor.start()
        return self

    def _spawn(self) -> None:
        values = {
            "NAMESPACES": self.namespaces,
            "OWN_NAMESPACE": self.home,
            "LEASE": self.name,
            "LEASE_SECONDS": str(self.lease_s),
            "IDENTITY": self.identity,
            "IMAGE": IMAGE,
            "SERVICE_ACCOUNT": "default",
            "POLL_SETTLING_SECONDS": "0.3",
            "POLL_SECONDS": "2",
            "RESYNC_SECONDS": "30",
            "HEALTH_PORT": str(self.port),
        }
        environment = {
            **os.environ,
            **{f"TICKLOOM_OPERATOR_{name}": value for name, value in values.items()},
            **self.environment,
            "TICKLOOM_LOG_FORMAT": "json",
            "PYTHONUNBUFFERED": "1",
        }
        if self.kubeconfig:
            environment["KUBECONFIG"] = self.kubeconfig
        self.starts += 1
        with self.log.open("ab") as log:
            log.write(f"--- start {self.starts} of {self.identity or self.name}\n".encode())
            log.flush()
            self._child = subprocess.Popen(
                [sys.executable, "-m", self.module], cwd=ROOT, env=environment, stdout=log, stderr=log
            )

    def _supervise(self) -> None:
        while True:
            self._wanted.wait()
            child = self._child
            if child is not None:
                child.wait()
            time.sleep(RESTART_PAUSE_S)
            if self._wanted.is_set() and self._child is child:
                self._spawn()

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._child is not None and self._child.poll() is None

    @property
    def leading(self) -> bool:
        """Whether it holds the Lease, by its own word."""
        return self.metric("tickloom_operator_leading") == 1.0

    def metric(self, name: str) -> float | None:
        """Return a metric without labels; None where the process does not answer."""
        with contextlib.suppress(OSError):
            address = f"http://127.0.0.1:{self.port}/metrics"
            with urllib.request.urlopen(address, timeout=5) as answer:
                found = re.search(rf"^{name} (\S+)$", answer.read().decode(), re.MULTILINE)
                return float(found[1]) if found else None
        return None

    def ready(self) -> bool:
        """Whether its readiness probe would succeed."""
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5):
            return True
        return False

    def wait_until_leading(self, within_s: float = STARTED_WITHIN_S) -> "OperatorProcess":
        """Wait until it holds the Lease."""
        self._wait(lambda: self.leading, "it does not lead", within_s)
        return self

    def wait_until_ready(self, within_s: float = STARTED_WITHIN_S) -> "OperatorProcess":
        """Wait until it has read the cluster, whether it leads or not."""
        self._wait(self.ready, "it is not ready", within_s)
        return self

    def wait_until_ended(self, within_s: float = STARTED_WITHIN_S) -> int:
        """Wait until the process has ended of itself, and return its exit code."""
        assert self._child is not None
        return self._child.wait(within_s)

    def _wait(self, check, what: str, within_s: float) -> None:
        until = time.monotonic() + within_s
        while not check():
            assert self.supervised or self.running, f"the operator ended:\n{self.tail()}"
            assert time.monotonic() < until, f"{what} after {within_s} s:\n{self.tail()}"
            time.sleep(0.1)

    def kill(self) -> None:
        """End it at once, as a node that loses its power would."""
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        """End it as the kubelet does: SIGTERM first."""
        try:
            self._signal(signal.SIGTERM)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def _signal(self, number: signal.Signals) -> None:
        self._wanted.clear()
        child = self._child
        if child is None:
            return
        if child.poll() is None:
            child.send_signal(number)
        child.wait(STOPPED_WITHIN_S)

    def tail(self, lines: int = 120) -> str:
        """Return the last lines of its output."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])
