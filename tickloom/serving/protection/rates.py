"""How often each caller may ask."""

import math
import time
from typing import Any

import structlog
from limits import RateLimitItem
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter as SharedLimiter
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from tickloom.serving.problems import ProblemError

log = structlog.get_logger(__name__)
_WITHIN_S = 0.05
_AGAIN_S = 5.0


class Rates:
    """Counts requests over a sliding window, in this process, or in a Redis that replicas share.

    While Redis is away each process counts for itself.

    Parameters
    ----------
    redis
        Address, such as ``redis://redis:6379/0``.
    """

    def __init__(self, redis: str | None = None) -> None:
        self._near = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._far: SharedLimiter | None = None
        self._away_until = 0.0
        if redis is not None:
            within: dict[str, Any] = {"socket_timeout": _WITHIN_S, "socket_connect_timeout": _WITHIN_S}
            self._far = SharedLimiter(
                RedisStorage(f"async+{redis}", implementation="redispy", key_prefix="tickloom:rate", **within)
            )

    async def take(self, item: RateLimitItem, who: str) -> None:
        """Count one request of a caller.

        Raises
        ------
        ProblemError
            It has asked too often; Retry-After says when to come back.
        """
        if self._far is not None and time.monotonic() >= self._away_until:
            try:
                if not await self._far.hit(item, who):
                    raise _too_often(item, (await self._far.get_window_stats(item, who)).reset_time)
                return
            except ProblemError:
                raise
            except Exception as error:  # of Redis, of its sockets, of its time limit
                self._away_until = time.monotonic() + _AGAIN_S
                log.warning("rates are not shared: Redis does not answer", error=str(error), again_s=_AGAIN_S)
        if not self._near.hit(item, who):
            raise _too_often(item, self._near.get_window_stats(item, who).reset_time)


def _too_often(item: RateLimitItem, reset: float) -> ProblemError:
    wait = max(1, math.ceil(reset - time.time()))
    window = item.get_expiry()
    return ProblemError(
        429, "rate-limited", f"more than {item.amount} requests in {window} s; try again in {wait} s",
        headers={
            "Retry-After": str(wait),
            "RateLimit-Policy": f'"caller";q={item.amount};w={window}',
            "RateLimit": f'"caller";r=0;t={wait}',
        },
    )  # fmt: skip
