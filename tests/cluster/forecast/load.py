"""Clients that ask on and on, each with a connection that it keeps, and try once more where an answer is not there."""

import threading
import time
from dataclasses import dataclass, field

import httpx

PAUSE_S = 0.5
"""Before the second try: as long as it may take until everybody knows that a pod is gone."""


@dataclass
class Load:
    """What became of the requests of all clients.

    Parameters
    ----------
    address
        ``http://host:port``.
    body
        Of ``POST /v1/forecast``.
    clients
    every_s
        Seconds between two requests of a client; 0: one after the other.
    """

    address: str
    body: dict
    clients: int = 4
    every_s: float = 0.0
    answered: int = 0
    tried_again: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    degraded: list[object] = field(default_factory=list)
    slowest_s: float = 0.0

    def __post_init__(self):
        self._over, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._ask_on, daemon=True) for _ in range(self.clients)]

    def __enter__(self):
        for it in self._threads:
            it.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for it in self._threads:
            it.join()

    def _ask_on(self):
        with httpx.Client(base_url=self.address, timeout=httpx.Timeout(10, connect=2)) as client:
            while not self._over.is_set():
                begun = time.monotonic()
                wrong = self._ask(client)
                if wrong:
                    time.sleep(PAUSE_S)
                    again = self._ask(client)
                    with self._lock:
                        self.tried_again.append(wrong)
                        self.failed += [f"{wrong}, then {again}"] if again else []
                with self._lock:
                    self.answered += 1
                    self.slowest_s = max(self.slowest_s, time.monotonic() - begun)
                self._over.wait(self.every_s)

    def _ask(self, client):
        """Return what is wrong, None where it was answered."""
        try:
            answer = client.post("/v1/forecast", json=self.body)
        except httpx.TransportError as error:
            return f"{type(error).__name__} {error}"
        if answer.status_code != 200:
            return f"{answer.status_code} {answer.text[:200]}"
        if answer.json()["degraded"]:
            with self._lock:
                self.degraded.append(answer.json()["degraded"])
        return None
