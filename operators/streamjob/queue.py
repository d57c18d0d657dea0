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
    is due again when that worker is done. Of the keys that are due, those that can wait come last, so that a thousand
    reports of progress hold no change of a manifest up.
    """

    def __init__(self) -> None:
        self._due: dict[Key, tuple[float, bool]] = {}
        self._heaps: dict[bool, list[tuple[float, int, Key]]] = {False: [], True: []}
        self._busy: set[Key] = set()
        self._count = 0
        self._ready = threading.Condition()
        self._closed = False

    def add(self, key: Key, after_s: float = 0.0, *, can_wait: bool = False) -> None:
        """Have a key looked at, ``after_s`` seconds from now at the latest, and last where it can wait."""
        due = time.monotonic() + after_s
        with self._ready:
            old = self._due.get(key)
            if old is not None:
                due, can_wait = min(due, old[0]), can_wait and old[1]
            if (due, can_wait) == old:
                return
            self._due[key] = (due, can_wait)
            self._count += 1
            heapq.heappush(self._heaps[can_wait], (due, self._count, key))
            self._ready.notify()

    def take(self) -> Key | None:
        """Wait for a key that is due and take it; None when the queue is closed."""
        with self._ready:
            while not self._closed:
                key, wait = self._next(time.monotonic())
                if key is not None:
                    self._busy.add(key)
                    return key
                self._ready.wait(wait)
            return None

    def _next(self, now: float) -> tuple[Key | None, float | None]:
        """Return a key that is due, or the seconds until one will be; None where that is for `done` to say."""
        waits = []
        for can_wait in (False, True):
            key, wait = self._first(self._heaps[can_wait], can_wait, now)
            if key is not None:
                return key, None
            if wait is not None:
                waits.append(wait)
        return None, min(waits, default=None)

    def _first(self, heap: list[tuple[float, int, Key]], can_wait: bool, now: float) -> tuple[Key | None, float | None]:
        held = []
        found, wait = None, None
        while heap:
            due, _, key = heap[0]
            if self._due.get(key) != (due, can_wait):
                heapq.heappop(heap)  # another entry took its place
            elif due > now:
                wait = due - now
                break
            elif key in self._busy:
                held.append(heapq.heappop(heap))
            else:
                heapq.heappop(heap)
                del self._due[key]
                found = key
                break
        for item in held:
            heapq.heappush(heap, item)
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
            return sum(due <= now for due, _ in self._due.values())

    def forget(self, key: Key) -> None:
        """Take a key out."""
        with self._ready:
            self._due.pop(key, None)

    def close(self) -> None:
        """Let every worker end."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()
