"""A flag for signal handlers."""

import time

_LOOK_S = 0.1


class Flag:
    """Can be set by a signal handler, for setting it takes no lock.

    A threading.Event must not be: its lock may be held by the very code that the handler interrupts.
    """

    def __init__(self) -> None:
        self._up = False

    def set(self) -> None:
        """Put it up, for good."""
        self._up = True

    def is_set(self) -> bool:
        """Return whether it is up."""
        return self._up

    def wait(self, seconds: float) -> bool:
        """Wait until it is up, at most so many seconds, and return whether it is."""
        until = time.monotonic() + seconds
        while not self._up and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_S))
        return self._up
