"""A queue of keys to look at: each key once, by one worker at a time, the earliest first."""

import heapq
import threading
import time
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class WorkQueue(Generic[Key]):
    """Keys with the time from which they are due.

    A key that is added while it waits keeps the earlier of the two times; one that is added while a worker has it
    is due again when that worker is done.
    """

    def __init__(self) -> None:
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._busy: set[Key] = set()
        self._count = 0
        self._ready = threading.Condition()
        self._closed = False

    def add(self, key: Key, after_s: float = 0.0) -> None:
        """Have a key looked at, ``after_s`` seconds from now at the latest."""
        due = time.monotonic() + after_s
        with self._ready:
            old = self._due.get(key)
            if old is not None and old <= due:
                return
            self._due[key] = due
            self._push(key, due)
            self._ready.notify()

    def _push(self, key: Key, due: float) -> None:
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, key))

    def take(self) -> Key | None:
        """Wait for a key that is due and take it; None when the queue is closed."""
        with self._ready:
            while not self._closed:
                now = time.monotonic()
                key, wait = self._next(now)
                if key is not None:
                    self._busy.add(key)
                    return key
                self._ready.wait(wait)
            return None

    def _next(self, now: float) -> tuple[Key | None, float | None]:
        held = []
        found, wait = None, None
        while self._heap:
            due, _, key = self._heap[0]
            if self._due.get(key) != due:
                heapq.heappop(self._heap)  # an earlier entry took its place
            elif due > now:
                wait = due - now
                break
            elif key in self._busy:
                held.append(heapq.heappop(self._heap))
            else:
                heapq.heappop(self._heap)
                del self._due[key]
                found = key
                break
        for item in held:
            heapq.heappush(self._heap, item)
        return found, wait

    def done(self, key: Key) -> None:
        """Give a key back."""
        with self._ready:
            self._busy.discard(key)
            self._ready.notify()

    def depth(self) -> int:
        """Return the number of keys that are due now."""
        now = time.monotonic()
        with self._ready:
            return sum(due <= now for due in self._due.values())

    def forget(self, key: Key) -> None:
        """Take a key out."""
        with self._ready:
            self._due.pop(key, None)

    def close(self) -> None:
        """Let every worker end."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()
