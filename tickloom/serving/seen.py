"""What is known of a request while it is answered; the audit log and the metrics read it."""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tickloom.serving.routed import Caller

IN_SCOPE = "tickloom.seen"
_SAYABLE = re.compile(r"[A-Za-z0-9._:/+=-]{1,64}")


@dataclass(slots=True, eq=False)
class Seen:
    """A request.

    Attributes
    ----------
    request : str
        Its id.
    status : int
        Of the answer; 0 while there is none.
    tickers, markets, arms, versions, degraded : tuple of str
        What was forecast by whom, each once; of a refused request, what it asked for where that is known.
    forecasts : int
    """

    request: str
    status: int = 0
    caller: Caller | None = None
    tickers: tuple[str, ...] = ()
    markets: tuple[str, ...] = ()
    arms: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
    forecasts: int = 0

    def wanted(self, tickers: Sequence[str], market: str | None) -> None:
        """Note what is asked for."""
        self.tickers = tuple(tickers)
        self.markets = () if market is None else (market,)

    def told(self, answers: Sequence[Mapping[str, Any] | None]) -> None:
        """Note what is answered."""
        made = [it for it in answers if it is not None]
        self.forecasts = len(made)
        if len(made) == 1:
            it = made[0]
            self.markets, self.arms, self.versions = (it["market"],), (it["arm"],), (it["version"],)
            self.degraded = () if it["degraded"] is None else (it["degraded"],)
        elif made:
            self.markets = tuple(sorted({it["market"] for it in made}))
            self.arms = tuple(sorted({it["arm"] for it in made}))
            self.versions = tuple(sorted({f"{it['ticker']}/{it['version']}" for it in made}))
            self.degraded = tuple(it["degraded"] for it in made if it["degraded"] is not None)


def request_id(given: str | None) -> str:
    """Return the id that a request brings where it is short and plain, else a new one."""
    return given if given and _SAYABLE.fullmatch(given) else uuid.uuid4().hex


def seen(scope: Mapping[str, Any]) -> Seen:
    """Return what is known of the request of an ASGI scope; where nothing stands in front, no more than its id."""
    found = scope.get(IN_SCOPE)
    if isinstance(found, Seen):
        return found
    given = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), None)
    found = Seen(request_id(given))
    if isinstance(scope, dict):
        scope[IN_SCOPE] = found
    return found
