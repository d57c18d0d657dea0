"""A circuit breaker before the store: while it is known to be away, nobody waits for it."""

import threading
from collections.abc import Callable
from typing import TypeVar

import structlog
from purgatory import SyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState

from tickloom.errors import TickloomError

log = structlog.get_logger(__name__)
T = TypeVar("T")


class Breaker:
    """Lets calls through until several in a row have failed, then none for a while, then one that shows how it stands.

    Parameters
    ----------
    name
        Of what is called, for the sentences.
    counts
        The exceptions that count as failures; what else is raised says that it answers.
    threshold
        Failures in a row that open it.
    ttl_s
        Seconds for which it stays open.
    """

    def __init__(self, name: str, counts: tuple[type[Exception], ...], threshold: int = 3, ttl_s: float = 15.0) -> None:
        self._name, self._ttl_s = name, ttl_s
        factory = SyncCircuitBreakerFactory(default_threshold=threshold, default_ttl=ttl_s)
        self._breaker = factory.get_breaker(name, exclude=[(Exception, lambda error: not isinstance(error, counts))])
        self._lock = threading.Lock()
        self._trying = False

    @property
    def state(self) -> str:
        """``closed``, ``half-opened`` or ``opened``."""
        return str(self._breaker.context.state)

    def call(self, what: Callable[[], T]) -> T:
        """Return what a call gives; from any thread.

        Raises
        ------
        TickloomError
            It is open.
        """
        with self._lock:
            before = self.state
            try:
                if self._trying:
                    raise self._open()
                self._breaker.__enter__()
            except OpenedState:
                raise self._open() from None
            mine = self._trying = self.state == "half-opened"
        try:
            found = what()
        except BaseException as error:
            self._end(error, before, mine)
            raise
        self._end(None, before, mine)
        return found

    def _end(self, error: BaseException | None, before: str, mine: bool) -> None:
        with self._lock:
            if mine:
                self._trying = False
            elif self.state != "closed":  # a call from before it opened ends only now
                return
            self._breaker.__exit__(None if error is None else type(error), error, None)
            if self.state != before:
                log.warning("circuit breaker", of=self._name, state=self.state)

    def _open(self) -> TickloomError:
        return TickloomError(
            f"{self._name} has not answered several times in a row and is not asked for {self._ttl_s:g} s; see whether "
            "it is up"
        )
