"""Dead letters: why a record was refused, as headers beside the record's own bytes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tickloom.bus.consume import messages
from tickloom.errors import TickloomError

REASONS: dict[str, str] = {
    "not-json": "The value is not a JSON object of a price, or there is no value.",
    "not-utf8": "The value is not UTF-8.",
    "missing-field": "A required field is absent or null; the detail names it.",
    "bad-value": "A field has a value that its schema does not allow; the detail names it.",
    "bad-price": "A price is not a finite number above 0, or open and price do not lie between low and high.",
    "bad-time": "The time is not ISO-8601 in UTC, or lies before 1990.",
    "future-time": "The time lies further in the future than the job tolerates.",
    "unknown-ticker": "The ticker is in no instrument list, or not one of the job's.",
    "key-mismatch": "The record's key is not its ticker.",
    "no-key": "The record has no key; a price's key is its ticker.",
    "too-large": "The record is larger than the job allows.",
    "schema-version": "The field v names a version that this job does not read.",
    "late": "The record lies behind its ticker's watermark: too far behind the newest one.",
}
"""Each reason with its meaning."""

HEADERS: dict[str, str] = {
    "reason": "One of the reasons.",
    "detail": "What exactly was wrong, in words.",
    "topic": "Topic that the record came from.",
    "partition": "Partition that it came from, a decimal number.",
    "offset": "Offset that it had there, a decimal number.",
    "id": "topic-partition-offset: the same whenever the letter is written again.",
    "job": "StreamJob that refused it.",
}
"""Each header with its meaning; all values are UTF-8 text."""

Headers = list[tuple[str, bytes]]


@dataclass(frozen=True)
class DeadLetter:
    """A refused record: its bytes, why it was refused, and when Kafka got the letter (milliseconds since 1970)."""

    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    job: str
    key: bytes | None = None
    value: bytes | None = None
    written_ms: int | None = None

    @property
    def id(self) -> str:
        """What identifies the refused record: its place."""
        return f"{self.topic}-{self.partition}-{self.offset}"


def headers(*, reason: str, detail: str, topic: str, partition: int, offset: int, job: str) -> Headers:
    """Return the headers of a dead letter.

    Raises
    ------
    TickloomError
        The reason is not one of ``REASONS``.
    """
    if reason not in REASONS:
        raise TickloomError(f"dead letter: reason {reason!r} is unknown; known: {', '.join(REASONS)}")
    values = {
        "reason": reason,
        "detail": detail,
        "topic": topic,
        "partition": str(partition),
        "offset": str(offset),
        "id": f"{topic}-{partition}-{offset}",
        "job": job,
    }
    return [(name, text.encode("utf-8", "replace")) for name, text in values.items()]


def parse(
    found: Sequence[tuple[str, Any]] | Mapping[str, Any] | None,
    key: bytes | None,
    value: bytes | None,
) -> DeadLetter:
    """Return the dead letter that a record of the topic holds.

    Raises
    ------
    TickloomError
        A header is absent or is not what ``headers`` writes.
    """
    texts = {name: bytes(text or b"").decode("utf-8", "replace") for name, text in dict(found or {}).items()}
    try:
        return DeadLetter(
            reason=texts["reason"],
            detail=texts["detail"],
            topic=texts["topic"],
            partition=int(texts["partition"]),
            offset=int(texts["offset"]),
            job=texts["job"],
            key=key,
            value=value,
        )
    except (KeyError, ValueError) as error:
        raise TickloomError(
            f"a record of the dead letters' topic lacks a usable header ({error}); it must have {', '.join(HEADERS)}"
        ) from None


def read(
    bootstrap: str,
    topic: str,
    *,
    job: str | None = None,
    last: int | None = None,
    timeout_s: float = 10.0,
) -> Iterator[DeadLetter]:
    """Yield the dead letters that the topic holds now, each id once.

    Parameters
    ----------
    job
        Only those that this StreamJob refused; default all.
    last
        Only those among the last so many messages of each partition.

    Raises
    ------
    TickloomError
        The broker does not answer, there is no such topic, or a message is no dead letter.
    """
    seen: set[str] = set()
    for message in messages(bootstrap, topic, last=last, timeout_s=timeout_s):
        letter = parse(message.headers(), message.key(), message.value())
        if letter.id not in seen and job in (None, letter.job):
            seen.add(letter.id)
            yield replace(letter, written_ms=message.timestamp()[1])
