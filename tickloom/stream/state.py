"""What the stream remembers of one ticker, as one versioned binary blob."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tickloom.errors import TickloomError
from tickloom.stream.fields import Fields, pack, unpack, version_of
from tickloom.stream.rows import BAR, Array, empty

VERSION = 2
NEVER = -(2**63)


def _without_arrival(fields: Fields) -> Fields:
    """Version 1 did not know when the newest record had arrived: sessions close for it as they did."""
    about = {**json.loads(fields["about"]), "arrived": NEVER}
    return {**fields, "about": json.dumps(about, separators=(",", ":")).encode()}


MIGRATIONS: dict[int, Callable[[Fields], Fields]] = {1: _without_arrival}
"""From a version to the step that makes the next version's fields of its fields."""


@dataclass
class IntervalState:
    """Unfinished bars of one interval, and what its indicators remember.

    Parameters
    ----------
    bars
        Rows of ``BAR``, oldest first, none of them final.
    frontier_us
        Start of the newest final bar: nothing at or before it changes any more.
    indicators
        The indicator engine's own blob; empty before the first final bar.
    """

    bars: Array = field(default_factory=lambda: empty(BAR))
    frontier_us: int = NEVER
    indicators: bytes = b""


@dataclass
class TickerState:
    """Everything that one ticker's future depends on.

    Parameters
    ----------
    sources
        Names of the sources seen, in order of appearance; codes elsewhere are positions in it.
    newest_us
        Newest event time seen: the ticker's watermark is this less the allowed delay.
    arrived_us
        When the last of the accepted records arrived in Kafka: a session's close is an event for those alone that
        came while it lasted.
    last_us, last_source, last_sequence
        Key of the last record that was applied.
    prices
        float64, oldest first: the applied prices that the next z-score is measured against.
    seen_us, seen_source, seen_sequence
        Keys inside the watermark, sorted, for de-duplication.
    day_rows
        Accepted records by day (days since 1970), which decide the storage bucket.
    intervals
        By interval in seconds.
    """

    sources: list[str] = field(default_factory=list)
    newest_us: int = NEVER
    arrived_us: int = NEVER
    last_us: int = NEVER
    last_source: int = -1
    last_sequence: int = -1
    prices: Array = field(default_factory=lambda: np.empty(0))
    seen_us: Array = field(default_factory=lambda: np.empty(0, np.int64))
    seen_source: Array = field(default_factory=lambda: np.empty(0, np.int16))
    seen_sequence: Array = field(default_factory=lambda: np.empty(0, np.int64))
    day_rows: dict[int, int] = field(default_factory=dict)
    intervals: dict[int, IntervalState] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Return the blob that the state store keeps."""
        about = {
            "sources": self.sources,
            "newest": self.newest_us,
            "arrived": self.arrived_us,
            "last": [self.last_us, self.last_source, self.last_sequence],
            "days": list(self.day_rows.items()),
            "intervals": [[seconds, item.frontier_us] for seconds, item in self.intervals.items()],
        }
        fields: Fields = {
            "about": json.dumps(about, separators=(",", ":")).encode(),
            "prices": self.prices.tobytes(),
            "seen_us": self.seen_us.tobytes(),
            "seen_source": self.seen_source.tobytes(),
            "seen_sequence": self.seen_sequence.tobytes(),
        }
        for seconds, item in self.intervals.items():
            fields[f"bars.{seconds}"] = item.bars.tobytes()
            fields[f"indicators.{seconds}"] = item.indicators
        return pack(fields, VERSION)

    @classmethod
    def from_bytes(cls, blob: bytes) -> "TickerState":
        """Read a blob of this or an older version.

        Raises
        ------
        TickloomError
            The blob is damaged, or was written by a newer Tickloom.
        """
        fields = migrated(blob)
        about: dict[str, Any] = json.loads(fields["about"])
        last = about["last"]
        return cls(
            sources=about["sources"],
            newest_us=about["newest"],
            arrived_us=about["arrived"],
            last_us=last[0],
            last_source=last[1],
            last_sequence=last[2],
            prices=np.frombuffer(fields["prices"]),
            seen_us=np.frombuffer(fields["seen_us"], np.int64),
            seen_source=np.frombuffer(fields["seen_source"], np.int16),
            seen_sequence=np.frombuffer(fields["seen_sequence"], np.int64),
            day_rows=dict(about["days"]),
            intervals={
                seconds: IntervalState(
                    bars=np.frombuffer(fields[f"bars.{seconds}"], BAR),
                    frontier_us=frontier,
                    indicators=fields[f"indicators.{seconds}"],
                )
                for seconds, frontier in about["intervals"]
            },
        )


def migrated(blob: bytes) -> Fields:
    """Return a blob's fields, brought to this version by ``MIGRATIONS``.

    Raises
    ------
    TickloomError
        The blob is damaged, or was written by a newer Tickloom.
    """
    version = version_of(blob)
    if version > VERSION:
        raise TickloomError(
            f"state has version {version}, this Tickloom reads up to {VERSION}: "
            "run the newer release, or start a new checkpoint"
        )
    fields = unpack(blob)
    while version < VERSION:
        fields = MIGRATIONS[version](fields)
        version += 1
    return fields
