"""What the monitor knows of a job's models, from the ConfigMap in which it writes it: pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from tickloom.market.closes import closes
from tickloom.stream.facts import KEY, Rule, Ticker
from tickloom.stream.facts import Facts as Document

LATE_S = 86_400.0
"""How long after a session's close facts of the session before still count."""
_LONGEST_S = 30 * 86_400.0
"""Age from which facts are too old whatever the calendar says: no exchange rests for so long."""


@dataclass(frozen=True)
class Facts:
    """Facts of a job's tickers.

    Parameters
    ----------
    made
        When they were made, in seconds since 1970; 0 where they cannot be read.
    rule
        Rule that the findings are of; None where their maker names none.
    problem
        Why they cannot be read; empty where they can.
    """

    made: float
    tickers: Mapping[str, Ticker] = field(default_factory=dict)
    rule: Rule | None = None
    problem: str = ""

    def fresh(self, now: float, market: str) -> bool:
        """Return whether they may start a run: no session of the market that closed more than a day ago is later."""
        if self.problem or now - self.made > _LONGEST_S:
            return False
        first, last = (datetime.fromtimestamp(it, UTC).date() for it in (self.made - LATE_S, now))
        return not any(self.made < close <= now - LATE_S for _, close in closes(market, first, last))


def read(bodies: Iterable[Mapping[str, Any]]) -> Facts | None:
    """Return the newest facts of some ConfigMaps; None where there is none."""
    found = [_read(body) for body in bodies]
    return max(found, key=lambda item: item.made, default=None)


def _read(body: Mapping[str, Any]) -> Facts:
    name = body["metadata"]["name"]
    text = (body.get("data") or {}).get(KEY)
    if text is None:
        return Facts(0.0, problem=f"ConfigMap {name} has no key {KEY!r}")
    try:
        document = Document.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the document"
        return Facts(0.0, problem=f"ConfigMap {name}, {KEY}: {place}: {first['msg']}")
    return Facts(document.made.timestamp(), document.tickers, document.rule)
