"""The producers: idempotent, counted, and held back when the broker is slow or away."""

import time
from collections import Counter
from types import TracebackType
from typing import Any, Self

import structlog
from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import Producer as Client

from tickloom.bus import encode
from tickloom.bus.credentials import connection
from tickloom.bus.deadletters import Headers
from tickloom.bus.roles import MAX_LETTER_BYTES
from tickloom.bus.topics import topic_name
from tickloom.errors import TickloomError
from tickloom.settings import settings
from tickloom.sources.blocks import PriceBlock

log = structlog.get_logger(__name__)

DELIVERY_TIMEOUT_S = 120.0
CHUNK = 2_000
"""Records of a block that are encoded and queued at a time."""
SAY_EVERY_S = 10.0


class Producer:
    """An idempotent producer of any topic: ``acks=all``, lz4, keys partitioned as Kafka's Java client does.

    Sending blocks while the queue is full. A record that the broker does not acknowledge within
    ``delivery_timeout_s`` seconds counts as failed, and the next ``flush`` says so.

    Parameters
    ----------
    bootstrap
        Kafka bootstrap servers, ``host:port,…``.
    delivery_timeout_s
        Seconds after which an unacknowledged record is given up.
    linger_ms
        Milliseconds that a record may wait for others to share its request.

    Attributes
    ----------
    sent, failed : int
        Records acknowledged, and records given up.
    """

    def __init__(
        self, bootstrap: str, *, delivery_timeout_s: float = DELIVERY_TIMEOUT_S, linger_ms: float = 5.0
    ) -> None:
        self.bootstrap = bootstrap
        self.sent = 0
        self.failed = 0
        self._delivery_timeout_s = delivery_timeout_s
        self._failures: Counter[str] = Counter()
        self._last_error = ""
        self._away_since: float | None = None
        self._said = 0.0
        self._client = Client(
            {
                **connection(bootstrap),
                "acks": "all",
                "enable.idempotence": True,
                "compression.type": "lz4",
                "partitioner": "murmur2_random",
                "linger.ms": linger_ms,
                "batch.size": 1 << 20,
                "batch.num.messages": 10_000,
                "message.max.bytes": MAX_LETTER_BYTES,
                "queue.buffering.max.messages": 200_000,
                "queue.buffering.max.kbytes": 256 << 10,
                "delivery.timeout.ms": int(delivery_timeout_s * 1000),
                "reconnect.backoff.ms": 100,
                "reconnect.backoff.max.ms": 2000,
                "error_cb": self._on_error,
            }
        )

    def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers | None = None) -> None:
        """Queue one record; waits while the queue is full.

        Raises
        ------
        TickloomError
            The record is larger than any topic takes, or an idempotent send broke off.
        """
        more: dict[str, Any] = {} if headers is None else {"headers": headers}
        while True:
            try:
                self._client.produce(topic, value, key, on_delivery=self._on_delivery, **more)
                self._client.poll(0)
                return
            except BufferError:
                self._wait()
            except KafkaException as error:
                raise self._refused(topic, value, error) from None

    def offer(self, topic: str, key: bytes | None, value: bytes | None) -> bool:
        """Queue one record and return True, or return False at once where the queue is full.

        For one who must not wait: what is given up later is counted in ``failed`` and not raised here.

        Raises
        ------
        TickloomError
            As ``send`` does.
        """
        self._client.poll(0)
        self._report_absence()
        try:
            self._client.produce(topic, value, key, on_delivery=self._on_delivery)
        except BufferError:
            return False
        except KafkaException as error:
            raise self._refused(topic, value, error) from None
        return True

    @property
    def waiting(self) -> int:
        """Records that are neither acknowledged nor given up."""
        return len(self._client)

    def poll(self, timeout_s: float = 0.0) -> None:
        """Take note of what was acknowledged, waiting for up to ``timeout_s`` seconds for it."""
        self._client.poll(timeout_s)

    def flush(self) -> None:
        """Wait until every record is acknowledged or given up.

        Raises
        ------
        TickloomError
            Records were given up since the last flush; says how many, of which topics and why.
        """
        while self._client.flush(0.5):
            self._report_absence()
        self._raise_failures()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.flush()
        elif self._client.flush(self._delivery_timeout_s if kind is KeyboardInterrupt else 5.0):
            # The first failure is the one to report; what is still queued cannot be told from what arrived.
            log.warning("stopped with records that the broker had not acknowledged", records=len(self._client))

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self.sent += 1
            if self._away_since is not None:
                log.info("Kafka takes records again", bootstrap=self.bootstrap)
                self._away_since = None
            return
        self.failed += 1
        self._failures[f"topic {message.topic()!r}: {error.str()}"] += 1

    def _on_error(self, error: KafkaError) -> None:
        self._last_error = error.str()
        if error.code() in (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT) and self._away_since is None:
            self._away_since = time.monotonic()

    def _wait(self) -> None:
        self._client.poll(0.1)
        self._report_absence()
        if self._failures:
            self._raise_failures()

    def _report_absence(self) -> None:
        now = time.monotonic()
        if self._away_since is None or now - self._said < SAY_EVERY_S:
            return
        self._said = now
        log.warning(
            "Kafka is away; its records wait",
            bootstrap=self.bootstrap,
            waiting=len(self._client),
            away_s=round(now - self._away_since, 1),
            given_up_after_s=self._delivery_timeout_s,
            error=self._last_error,
        )

    def _refused(self, topic: str, value: bytes | None, error: KafkaException) -> TickloomError:
        return TickloomError(
            f"topic {topic!r} at {self.bootstrap}: a record of {len(value or b'')} bytes cannot be sent: "
            f"{error.args[0].str()}"
        )

    def _raise_failures(self) -> None:
        if not self._failures:
            return
        count = sum(self._failures.values())
        reasons = "; ".join(f"{number} × {reason}" for reason, number in self._failures.most_common(3))
        self._failures.clear()
        last = f"; last error: {self._last_error}" if self._last_error else ""
        raise TickloomError(
            f"Kafka at {self.bootstrap}: {count} messages were not delivered within {self._delivery_timeout_s:g} s "
            f"({reasons}){last}; is it up and the topic there? (`tickloom status`)"
        )


class PriceProducer(Producer):
    """A producer of price blocks.

    Parameters
    ----------
    bootstrap
        Kafka bootstrap servers; default the setting ``TICKLOOM_KAFKA``.
    topic
        Name of the topic; default that of the role ``prices``.
    """

    def __init__(
        self,
        bootstrap: str | None = None,
        topic: str | None = None,
        *,
        delivery_timeout_s: float = DELIVERY_TIMEOUT_S,
        linger_ms: float = 5.0,
    ) -> None:
        where = bootstrap or settings().kafka
        if where is None:
            raise TickloomError("no Kafka address: give one, or set TICKLOOM_KAFKA")
        super().__init__(where, delivery_timeout_s=delivery_timeout_s, linger_ms=linger_ms)
        self.topic = topic or topic_name("prices")

    def send_block(self, block: PriceBlock) -> None:
        """Encode and queue the records of a block, in order; waits while the queue is full."""
        keys = [ticker.encode() for ticker in block.tickers]
        produce, poll, topic, done = self._client.produce, self._client.poll, self.topic, self._on_delivery
        for start in range(0, len(block), CHUNK):
            part = block.take(slice(start, start + CHUNK))
            poll(0)
            for code, value in zip(part.codes.tolist(), encode.prices(part), strict=True):
                try:
                    produce(topic, value, keys[code], on_delivery=done)
                except BufferError:
                    self.send(topic, keys[code], value)
