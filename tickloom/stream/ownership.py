"""Which records of a shared topic belong to a job."""

from collections.abc import Iterable

from tickloom.bus.topics import partition_for


def partitions_of(tickers: Iterable[str], partitions: int) -> list[int]:
    """Return the partitions of a keyed topic that hold these tickers, in order."""
    return sorted({partition_for(ticker.encode(), partitions) for ticker in tickers})


def partitions_to_read(tickers: Iterable[str], partitions: int, *, keyed: bool, dead_letters: str) -> list[int]:
    """Return the partitions that a job must read.

    A keyed topic needs only the partitions that the job's tickers hash to. The job that takes the unusable keys
    (``dead_letters='all'``) reads all of them, and so does every job on a topic that is not keyed.
    """
    if dead_letters == "all" or not keyed:
        return list(range(partitions))
    return partitions_of(tickers, partitions)
