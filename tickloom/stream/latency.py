"""A histogram of latencies that tasks fill and the driver adds up."""

from typing import Any

import numpy as np

from tickloom.stream.rows import Array

_GROWTH = 1.02
_LOG = float(np.log(_GROWTH))


class Histogram:
    """Counts of milliseconds in bins that grow by 2 %, so that a quantile is right to 1 %."""

    def __init__(self, counts: dict[int, int] | None = None) -> None:
        self.counts = counts or {}

    def observe(self, milliseconds: Array) -> None:
        """Count float64[n] latencies; negative ones (clocks that differ) count as 0."""
        bins = np.ceil(np.log(np.maximum(milliseconds, 1e-3)) / _LOG).astype(np.int64)
        for number, count in zip(*np.unique(bins, return_counts=True), strict=True):
            self.counts[int(number)] = self.counts.get(int(number), 0) + int(count)

    def add(self, other: "Histogram") -> None:
        """Add another histogram's counts."""
        for number, count in other.counts.items():
            self.counts[number] = self.counts.get(number, 0) + count

    def quantile(self, share: float) -> float | None:
        """Return the latency in milliseconds below which ``share`` (0–1) of the counts lie, or None without counts."""
        total = sum(self.counts.values())
        if not total:
            return None
        passed = 0
        for number in sorted(self.counts):
            passed += self.counts[number]
            if passed >= share * total:
                return float(_GROWTH**number)
        raise AssertionError("a share is at most 1")

    def to_dict(self) -> dict[str, Any]:
        """Return the counts with text keys, for JSON."""
        return {str(number): count for number, count in self.counts.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Histogram":
        """Read what ``to_dict`` wrote."""
        return cls({int(number): int(count) for number, count in values.items()})
