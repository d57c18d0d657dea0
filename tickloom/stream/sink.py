"""What one task does with the effects of its tickers: Cassandra, the lake, the output topics."""

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark import TaskContext

from tickloom.bus.deadletters import headers
from tickloom.bus.producer import Producer
from tickloom.errors import TickloomError
from tickloom.store import lake
from tickloom.store.connect import connect
from tickloom.store.writer import Writer
from tickloom.stream import faults, messages
from tickloom.stream.effects import Batch, decode
from tickloom.stream.latency import Histogram

STATS_SCHEMA = "stats string"


@dataclass(frozen=True)
class SinkSettings:
    """Everything that a task must know to write; it travels with the task.

    Parameters
    ----------
    kafka, cassandra
        Addresses.
    topics
        Names of the topics by role: ``prices``, ``bars``, ``anomalies``, ``dead-letters``.
    lake
        Folder of the lake, or None.
    driver
        Process id of the driver, for fault points.
    """

    job: str
    market: str
    indicators: tuple[str, ...]
    threshold: float
    kafka: str
    cassandra: str
    keyspace: str
    patience_s: float
    topics: dict[str, str]
    write_bars: bool
    write_anomalies: bool
    lake: str | None
    fault: str | None
    driver: int

    def to_json(self) -> str:
        """Return the settings as JSON, which is also their identity."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "SinkSettings":
        """Read what ``to_json`` wrote."""
        values = json.loads(text)
        values["indicators"] = tuple(values["indicators"])
        return cls(**values)


@dataclass
class TaskStats:
    """What a task counted; the driver adds tasks up.

    Parameters
    ----------
    ticks, late, anomalies, bars, final_bars, duplicates
        Rows.
    dead
        Refused records by reason.
    latency
        Milliseconds from a record's arrival in Kafka to its acknowledged row.
    """

    ticks: int = 0
    late: int = 0
    anomalies: int = 0
    bars: int = 0
    final_bars: int = 0
    duplicates: int = 0
    dead: dict[str, int] = field(default_factory=dict)
    latency: Histogram = field(default_factory=Histogram)

    def add(self, other: "TaskStats") -> None:
        """Add another task's counts to these."""
        for name in ("ticks", "late", "anomalies", "bars", "final_bars", "duplicates"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for reason, count in other.dead.items():
            self.dead[reason] = self.dead.get(reason, 0) + count
        self.latency.add(other.latency)

    def to_json(self) -> str:
        """Return the counts as JSON."""
        return json.dumps(
            {**{k: v for k, v in vars(self).items() if k != "latency"}, "latency": self.latency.to_dict()}
        )

    @classmethod
    def from_json(cls, text: str) -> "TaskStats":
        """Read what ``to_json`` wrote."""
        values = json.loads(text)
        return cls(**{**values, "latency": Histogram.from_dict(values["latency"])})


@lru_cache(maxsize=2)
def _writer(contact_points: str, keyspace: str, patience_s: float, process: int) -> Writer:
    return Writer(connect(contact_points, keyspace, patience_s=patience_s), patience_s=patience_s)


@lru_cache(maxsize=2)
def _producer(bootstrap: str, process: int) -> Producer:
    return Producer(bootstrap)


def task(
    settings_json: str, checkpoint: str, batch_id: int
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return the function for ``mapInArrow``: it writes its rows and yields one row of counts.

    Its rows are effects and the time at which the micro-batch was planned; ``checkpoint`` is the checkpoint's id.
    """

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        settings = SinkSettings.from_json(settings_json)
        planned_us = 0

        def packed() -> Iterator[bytes]:
            nonlocal planned_us
            for batch in batches:
                if batch.num_rows:
                    planned_us = batch.column("planned")[0].value
                yield from (value.as_py() for value in batch.column("effects"))

        context = TaskContext.get()
        partition = context.partitionId() if context else 0
        effects = decode(packed(), len(settings.indicators), partition)
        stats = write(settings, lake.Origin(checkpoint, batch_id, planned_us // 1000, partition), effects)
        yield pa.record_batch([pa.array([stats.to_json()])], names=["stats"])

    return run


def write(settings: SinkSettings, origin: lake.Origin, batch: Batch) -> TaskStats:
    """Write one task's effects to every sink and return what was written.

    Rows are keyed by what they say and files by where they come from, so that doing it again changes nothing.
    """

    def reach(point: str) -> None:
        faults.reach(point, origin.batch, settings.fault, settings.driver)

    stats = TaskStats(duplicates=batch.duplicates)
    flagged = np.flatnonzero(batch.ticks["anomaly"] == 1)
    if len(batch.ticks) or len(batch.bars):
        reach("cassandra.before")
        _store(settings, batch, flagged)
        acknowledged_us = time.time_ns() // 1000
        stats.latency.observe((acknowledged_us - batch.ticks["arrived_us"]) / 1000.0)
        reach("cassandra.after")
    if settings.lake and len(batch.ticks):
        reach("lake.before")
        lake.write(Path(settings.lake), settings.market, batch.stock_prices(), origin)
        reach("lake.after")
    _publish(settings, batch, flagged, reach)
    stats.ticks = len(batch.ticks)
    stats.late = int(batch.ticks["late"].sum())
    stats.anomalies = len(flagged)
    stats.bars = len(batch.bars)
    stats.final_bars = int(batch.bars["final"].sum())
    for letter in batch.refused:
        stats.dead[letter.reason] = stats.dead.get(letter.reason, 0) + 1
    return stats


def _store(settings: SinkSettings, batch: Batch, flagged: Any) -> None:
    writer = _writer(settings.cassandra, settings.keyspace, settings.patience_s, os.getpid())
    try:
        writer.write("stock_prices", batch.stock_prices())
        if len(flagged):
            writer.write("anomalies", batch.anomalies(flagged, settings.threshold))
        if len(batch.bars):
            writer.write("bars", batch.bar_rows(settings.indicators))
        writer.flush()
    except TickloomError:
        # the driver never asks a node again that refused a password once: the next try begins with a new session
        _writer.cache_clear()
        writer.close()
        raise


def _publish(settings: SinkSettings, batch: Batch, flagged: Any, reach: Callable[[str], None]) -> None:
    outgoing: list[tuple[str, bytes | None, bytes | None, list[tuple[str, bytes]] | None]] = []
    if settings.write_bars:
        outgoing += [
            (settings.topics["bars"], key, value, None) for key, value in messages.bars(batch, settings.indicators)
        ]
    if settings.write_anomalies and len(flagged):
        topic = settings.topics["anomalies"]
        outgoing += [(topic, key, value, None) for key, value in messages.anomalies(batch, flagged, settings.threshold)]
    for letter in batch.refused:
        about = headers(
            reason=letter.reason,
            detail=letter.detail,
            topic=settings.topics["prices"],
            partition=letter.partition,
            offset=letter.offset,
            job=settings.job,
        )
        outgoing.append((settings.topics["dead-letters"], letter.key, letter.value, about))
    if not outgoing:
        return
    reach("topics.before")
    producer = _producer(settings.kafka, os.getpid())
    for topic, key, value, more in outgoing:
        producer.send(topic, key, value, headers=more)
    producer.flush()
    reach("topics.after")
