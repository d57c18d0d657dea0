"""Lengths of bars: ``1m``, ``5m``, ``15m``, ``1h``, and ``1d`` for the session."""

from typing import Literal, get_args

from tickloom.errors import TickloomError

Interval = Literal["1m", "5m", "15m", "1h", "1d"]
INTERVALS: tuple[Interval, ...] = get_args(Interval)
SECONDS: dict[Interval, int] = {"1m": 60, "5m": 300, "15m": 900, "1h": 3600, "1d": 86_400}


def parse_interval(text: str) -> Interval:
    """Return the interval that ``text`` names, or raise a `TickloomError` with the known ones."""
    if text not in INTERVALS:
        raise TickloomError(f"interval {text!r} is unknown; known: {', '.join(INTERVALS)}")
    return text


def interval_us(interval: Interval) -> int:
    """Return the length in microseconds; ``1d`` has none, for a session is as long as its calendar says."""
    if interval == "1d":
        raise TickloomError("interval '1d' is a session of no fixed length; take open and close from the calendar")
    return SECONDS[interval] * 1_000_000
