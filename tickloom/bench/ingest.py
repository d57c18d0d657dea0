"""``tickloom bench ingest``: price blocks into Kafka beside Kafka's own ProducerPerformance."""

import re
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from confluent_kafka import KafkaError, Message
from confluent_kafka.admin import AdminClient

from tickloom.bench.report import Result
from tickloom.bus import encode
from tickloom.bus.producer import PriceProducer
from tickloom.bus.roles import ROLES
from tickloom.bus.topics import create
from tickloom.errors import TickloomError
from tickloom.local.jarsets import jars
from tickloom.local.java import find_java
from tickloom.sources.blocks import PriceBlock

RECORDS, WARM, ROUNDS = 600_000, 100_000, 3
TICKERS, BLOCK = 100, 20_000
PACED_PER_S, PACED_S, SLICE_S = 10_000, 15.0, 0.002
SOURCE = "bench." + "x" * 58
FIRST_SEQUENCE = 10**15
"""With a name and numbers so long a message has about 200 bytes."""
PEER = "org.apache.kafka.tools.ProducerPerformance"
PEER_SETTINGS = {
    "acks": "all",
    "enable.idempotence": "true",
    "compression.type": "lz4",
    "linger.ms": "5",
    "batch.size": str(1 << 20),
    "buffer.memory": str(256 << 20),
}
_RATE = re.compile(r"([\d.]+) records/sec")


class _Timed(PriceProducer):
    """Also keeps how long each record took from being queued to being acknowledged."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        super().__init__(bootstrap, topic)
        self.latency_s: list[float] = []

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        super()._on_delivery(error, message)
        if error is None:
            self.latency_s.append(message.latency() or 0.0)


def run(
    progress: Callable[[str], None],
    *,
    kafka: str,
    cassandra: str,
    records: int = RECORDS,
    rounds: int = ROUNDS,
    seconds: float = PACED_S,
) -> Result:
    """Send ticks of about 200 bytes, first 10,000 a second, then as fast as possible in turns with the peer."""
    blocks = [_block(number) for number in range(records // BLOCK)]
    sample = encode.prices(blocks[0])
    size = float(np.mean([len(message) for message in sample]))
    ours, peers = [], []
    progress(f"{PACED_PER_S:,} messages/s for {seconds:g} s")
    _ours(kafka, blocks[: WARM // BLOCK])
    latency_ms = _paced(kafka, seconds)
    progress(f"acknowledged after {np.percentile(latency_ms, 99):.1f} ms at the 99th percentile")
    with tempfile.TemporaryDirectory(prefix="tickloom-bench-") as scratch:
        payload = Path(scratch) / "payload.txt"
        payload.write_bytes(b"\n".join(sample))
        for number in range(rounds):
            ours.append(_ours(kafka, blocks))
            progress(f"round {number + 1} of {rounds}: {ours[-1]:,.0f} messages/s; now Kafka's ProducerPerformance")
            peers.append(_peer(kafka, payload, records))
            progress(f"round {number + 1} of {rounds}: ProducerPerformance {peers[-1]:,.0f} messages/s")
    rate, peer = median(ours), median(peers)
    return Result(
        name="ingest",
        figures={
            "messages_per_second": rate,
            "message_bytes": size,
            "ack_p50_ms": float(np.percentile(latency_ms, 50)),
            "ack_p99_ms": float(np.percentile(latency_ms, 99)),
        },
        peers={"perf_test_per_second": peer},
        ratios={"to_perf_test": rate / peer},
        notes=(
            f"{records:,} ticks of {TICKERS} tickers, {size:.0f} bytes each, from price blocks to the last "
            f"acknowledgement, JSON encoding included: acks=all, idempotent, lz4, 3 partitions; median of {rounds}.",
            f"The peer is {PEER} with the same settings and the same messages, made beforehand; "
            f"its first {WARM:,} records are left out.",
            f"ack_p99_ms is from queueing a message to its acknowledgement at {PACED_PER_S:,} a second for "
            f"{seconds:g} s, with the producer's linger of 5 ms in it.",
        ),
    )


def _block(number: int) -> PriceBlock:
    draw = np.random.default_rng((20, number))
    rows = np.arange(number * BLOCK, (number + 1) * BLOCK)
    return PriceBlock(
        tickers=[f"BENCH{code:04d}" for code in range(TICKERS)],
        codes=(rows % TICKERS).astype(np.int32),
        time_us=1_550_241_000_000_000 + rows * 1_000,
        price=np.round(200 + rows % TICKERS + draw.normal(0, 1, BLOCK), 4),
        volume=draw.integers(1, 10_000, BLOCK),
        source=SOURCE,
        sequence=FIRST_SEQUENCE + rows,
    )


@contextmanager
def _topic(kafka: str) -> Iterator[str]:
    name = f"bench-{uuid.uuid4().hex[:12]}"
    create(kafka, {name: ROLES["prices"]})
    admin = AdminClient({"bootstrap.servers": kafka, "log_level": 0})
    try:
        yield name
    finally:
        admin.delete_topics([name])[name].result(30)


def _ours(kafka: str, blocks: list[PriceBlock]) -> float:
    with _topic(kafka) as topic, PriceProducer(kafka, topic) as producer:
        producer.send_block(blocks[0])
        producer.flush()
        begin = time.perf_counter()
        for block in blocks:
            producer.send_block(block)
        producer.flush()
        return sum(map(len, blocks)) / (time.perf_counter() - begin)


def _peer(kafka: str, payload: Path, records: int) -> float:
    with _topic(kafka) as topic:
        command: list[Any] = [find_java().path, "-Xms512m", "-Xmx512m", "-cp", ":".join(map(str, jars("kafka"))), PEER]
        command += ["--topic", topic, "--num-records", str(records + WARM), "--warmup-records", str(WARM)]
        command += ["--throughput", "-1", "--payload-file", str(payload), "--bootstrap-server", kafka]
        command += ["--command-property", *(f"{name}={value}" for name, value in PEER_SETTINGS.items())]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    rates = _RATE.findall(done.stdout)
    if done.returncode or not rates:
        raise TickloomError(f"{PEER} ended with {done.returncode}: {(done.stderr or done.stdout)[-1000:]}")
    return float(rates[-1])  # the last line sums up the steady state


def _paced(kafka: str, seconds: float) -> list[float]:
    rows = int(PACED_PER_S * SLICE_S)
    block = _block(0)
    warm = seconds / 5
    with _topic(kafka) as topic, _Timed(kafka, topic) as producer:
        begin = time.perf_counter()
        for number in range(int((warm + seconds) / SLICE_S)):
            first = number * rows % (BLOCK - rows)
            producer.send_block(block.take(slice(first, first + rows)))
            while (left := begin + (number + 1) * SLICE_S - time.perf_counter()) > 0:
                producer.poll(left)
        producer.flush()
        return [1000 * latency for latency in producer.latency_s[int(warm * PACED_PER_S) :]]
