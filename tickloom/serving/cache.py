"""Answers that hold until the next close: in the process, and in Redis where several share them."""

import json
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Protocol, cast

import structlog

from tickloom.serving.wire import Made

log = structlog.get_logger(__name__)
_WITHIN_S = 0.05
_AGAIN_S = 5.0


class Cache(Protocol):
    """Keeps what was made, for a while."""

    async def get(self, key: tuple[Hashable, ...]) -> Made | None:
        """Return what is kept under a key, None where nothing is or it has expired."""

    async def put(self, key: tuple[Hashable, ...], made: Made, ttl_s: float) -> None:
        """Keep it for some seconds."""


class NoCache:
    """Keeps nothing."""

    async def get(self, key: tuple[Hashable, ...]) -> Made | None:
        """Return None."""
        return None

    async def put(self, key: tuple[Hashable, ...], made: Made, ttl_s: float) -> None:
        """Do nothing."""


class LocalCache:
    """In this process; the least recently used goes first.

    Parameters
    ----------
    most
        Answers.
    clock
        Seconds.
    """

    def __init__(self, most: int = 20_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._held: OrderedDict[tuple[Hashable, ...], tuple[float, Made]] = OrderedDict()

    async def get(self, key: tuple[Hashable, ...]) -> Made | None:
        """Return what is kept under a key."""
        found = self._held.get(key)
        if found is None:
            return None
        if found[0] <= self._clock():
            del self._held[key]
            return None
        self._held.move_to_end(key)
        return found[1]

    async def put(self, key: tuple[Hashable, ...], made: Made, ttl_s: float) -> None:
        """Keep it for some seconds."""
        if ttl_s > 0:
            self._held[key] = (self._clock() + ttl_s, made)
            self._held.move_to_end(key)
            while len(self._held) > self._most:
                self._held.popitem(last=False)


class RedisCache:
    """In Redis, with a cache of the process before it; while Redis is away, that one alone.

    Parameters
    ----------
    url
        Such as ``redis://redis:6379/0``.
    near
        The cache of the process.
    """

    def __init__(self, url: str, near: Cache) -> None:
        from redis.asyncio import Redis

        self._redis = Redis.from_url(url, socket_timeout=_WITHIN_S, socket_connect_timeout=_WITHIN_S)
        self._near, self._away_until = near, 0.0

    async def get(self, key: tuple[Hashable, ...]) -> Made | None:
        """Return what is kept under a key."""
        found = await self._near.get(key)
        if found is not None or time.monotonic() < self._away_until:
            return found
        try:
            name = _name(key)
            pipe = self._redis.pipeline(transaction=False)
            pipe.get(name)
            pipe.pttl(name)
            content, ttl_ms = await pipe.execute()
        except Exception as error:  # of Redis, of its sockets, of its time limit
            self._away(error)
            return None
        if content is None:
            return None
        made = cast(Made, json.loads(content))
        await self._near.put(key, made, ttl_ms / 1000)
        return made

    async def put(self, key: tuple[Hashable, ...], made: Made, ttl_s: float) -> None:
        """Keep it for some seconds, here and there."""
        await self._near.put(key, made, ttl_s)
        if ttl_s < 0.001 or time.monotonic() < self._away_until:
            return
        try:
            await self._redis.set(_name(key), json.dumps(made), px=int(ttl_s * 1000))
        except Exception as error:
            self._away(error)

    def _away(self, error: Exception) -> None:
        self._away_until = time.monotonic() + _AGAIN_S
        log.warning("the shared cache does not answer", error=str(error), again_s=_AGAIN_S)


def _name(key: tuple[Any, ...]) -> str:
    return "tickloom:forecast:" + json.dumps(key, default=str)
