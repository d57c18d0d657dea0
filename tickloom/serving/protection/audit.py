"""Who asked for what, and what was answered: a line of JSON for each request, without secrets."""

import sys
from typing import Any, TextIO

import structlog

from tickloom.serving.seen import Seen

_MOST_TICKERS = 8


class Audit:
    """Writes the audit log; it has a logger of its own, whatever the format and level of the others.

    Neither bodies nor credentials are in it. Requests that the gate turned away are counted, not written.

    Parameters
    ----------
    file
        Where to; by default standard error.
    """

    def __init__(self, file: TextIO | None = None) -> None:
        self._log: Any = structlog.wrap_logger(
            structlog.WriteLogger(file or sys.stderr),
            processors=[structlog.processors.TimeStamper(fmt="iso", utc=True), structlog.processors.JSONRenderer()],
            wrapper_class=structlog.BoundLogger,
            cache_logger_on_first_use=True,
        )

    def write(self, seen: Seen, method: str, path: str, seconds: float) -> None:
        """Write the line of a request."""
        tickers: list[str] = list(seen.tickers[:_MOST_TICKERS])
        self._log.info(
            "audit",
            request=seen.request,
            who=None if seen.caller is None else seen.caller.name,
            method=method,
            path=path[:200],
            status=seen.status,
            ms=round(1000 * seconds, 2),
            tickers=tickers,
            count=len(seen.tickers),
            market=seen.markets,
            arm=seen.arms,
            version=seen.versions[:_MOST_TICKERS],
            degraded=len(seen.degraded),
        )
