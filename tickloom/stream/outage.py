"""Notices that Kafka or Cassandra has gone while a job waits for it, and says so."""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from tickloom.stream.progress import Progress

log = structlog.get_logger()
QUIET_S = 15.0
"""Without a report for so long, something may be away: an idle query reports every ten seconds."""
LOOK_EVERY_S = 5.0
SAY_EVERY_S = 30.0
CONNECT_S = 2.0


def answers(addresses: str) -> bool:
    """Return whether one of ``host:port,…`` takes a connection."""
    for address in addresses.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
        except (OSError, ValueError):
            continue
        return True
    return False


@dataclass
class Outage:
    """Looks for what is away when no report has come for a while.

    Parameters
    ----------
    job
        Name for the log.
    parts
        Addresses by name, ``host:port,…``.
    progress
        Its state is ``waiting`` while a part is away.
    """

    job: str
    parts: dict[str, str]
    progress: Progress
    probe: Callable[[str], bool] = answers
    _heard: float = field(default_factory=time.monotonic)
    _looked: float = 0.0
    _away: dict[str, tuple[float, float]] = field(default_factory=dict)

    def heard(self) -> None:
        """Note a report of the query."""
        self._heard = time.monotonic()

    def look(self) -> None:
        """Probe the parts if it is time, and say what has gone and what has come back."""
        now = time.monotonic()
        quiet = now - self._heard
        if (quiet < QUIET_S and not self._away) or now - self._looked < LOOK_EVERY_S:
            return
        self._looked = now
        for name, address in self.parts.items():
            self._part(name, address, now, quiet)
        if self._away:
            self.progress.state("waiting", f"{' and '.join(self._away)} does not answer")

    def _part(self, name: str, address: str, now: float, quiet: float) -> None:
        if not self.probe(address):
            since, said = self._away.get(name, (now, float("-inf")))
            if now - said >= SAY_EVERY_S:
                said = now
                log.warning(
                    f"{name} does not answer; the job waits and goes on by itself",
                    job=self.job,
                    at=address,
                    away_s=round(now - since),
                    last_report_s=round(quiet),
                    next_look_s=LOOK_EVERY_S,
                )
            self._away[name] = (since, said)
        elif name in self._away:
            since, _ = self._away.pop(name)
            log.info(f"{name} answers again", job=self.job, at=address, away_s=round(now - since))
            if not self._away:
                self.progress.state("running")
