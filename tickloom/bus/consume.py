"""Bounded readers: what a topic holds now, each message once."""

import json
import time
from collections.abc import Iterator
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from tickloom.bus.credentials import connection
from tickloom.bus.topics import away, partition_for
from tickloom.errors import TickloomError

STALLED_S = 30.0


def messages(
    bootstrap: str,
    topic: str,
    *,
    key: bytes | None = None,
    last: int | None = None,
    timeout_s: float = 10.0,
) -> Iterator[Message]:
    """Yield the messages of a topic up to its end of this moment, in order within each partition.

    Parameters
    ----------
    key
        Only messages with this key, which must have been partitioned as ``Producer`` does; default all.
    last
        Only the last so many of each partition.
    timeout_s
        Seconds for the broker's first answer.

    Raises
    ------
    TickloomError
        The broker does not answer, there is no such topic, or reading stalls for 30 seconds.
    """
    consumer = Consumer(
        {
            **connection(bootstrap),
            "group.id": "tickloom-reader",  # required by the client; nothing is committed
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.message.max.bytes": 6 << 20,
        }
    )
    try:
        ends = _bounds(consumer, bootstrap, topic, key, last, timeout_s)
        consumer.assign([TopicPartition(topic, number, begin) for number, (begin, end) in ends.items() if begin < end])
        remaining = {number: end for number, (begin, end) in ends.items() if begin < end}
        heard = time.monotonic()
        while remaining:
            # The call waits for all of the thousand, so its time-out is short.
            if batch := consumer.consume(1000, 0.05):
                heard = time.monotonic()
                yield from (it for it in _wanted(batch, remaining) if key is None or it.key() == key)
            elif time.monotonic() - heard > STALLED_S:
                raise TickloomError(f"topic {topic!r} at {bootstrap}: nothing came for {STALLED_S:g} s; try again")
    except KafkaException as error:
        raise away(bootstrap, error) from None
    finally:
        consumer.close()


def _bounds(
    consumer: Consumer,
    bootstrap: str,
    topic: str,
    key: bytes | None,
    last: int | None,
    timeout_s: float,
) -> dict[int, tuple[int, int]]:
    """Return first offset and end of each partition to read."""
    known = consumer.list_topics(topic, timeout=timeout_s).topics[topic]
    if known.error is not None:
        raise TickloomError(f"topic {topic!r} does not exist at {bootstrap}; `tickloom run` creates the topics")
    found = {}
    for number in sorted(known.partitions) if key is None else [partition_for(key, len(known.partitions))]:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=timeout_s)
        found[number] = (low if last is None else max(low, high - last), high)
    return found


def _wanted(batch: list[Message], remaining: dict[int, int]) -> Iterator[Message]:
    """Yield the messages before the ends and take finished partitions out of ``remaining``."""
    for message in batch:
        number, offset = message.partition(), message.offset()
        if number is None or offset is None:
            continue
        if (error := message.error()) is not None:
            if error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            remaining.pop(number, None)
        elif number in remaining and offset < remaining[number]:
            if offset == remaining[number] - 1:
                del remaining[number]
            yield message


def records(bootstrap: str, topic: str, ticker: str | None = None, *, last: int | None = None) -> Iterator[Any]:
    """Yield the JSON objects of ``bars``, ``anomalies`` or ``forecasts``, each ``id`` once: repeats are dropped.

    Parameters
    ----------
    ticker
        Only this ticker's; then only its partition is read.
    last
        Only those among the last so many messages of each partition.

    Raises
    ------
    TickloomError
        As ``messages`` does, or a message has no ``id``.
    """
    key = None if ticker is None else ticker.encode()
    seen: set[str] = set()
    for message in messages(bootstrap, topic, key=key, last=last):
        try:
            body = json.loads(message.value() or b"")
            identity = body["id"]
        except (ValueError, KeyError, TypeError):
            place = f"{topic}-{message.partition()}-{message.offset()}"
            raise TickloomError(f"message {place} is not a JSON object with an id; is {topic!r} the topic?") from None
        if identity not in seen:
            seen.add(identity)
            yield body
