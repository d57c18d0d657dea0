"""Events that come from outside the topic: a session has closed, a bounded replay has ended.

They are files in the job's folder. Spark's file source reads each of them once and remembers that in the checkpoint,
so that a restart sees them in the same micro-batch again.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tickloom.files import write_whole
from tickloom.stream import wire

_SCHEMA = "control string, time_us bigint"


def stream(spark: SparkSession, folder: Path) -> DataFrame:
    """Return the stream of events in ``folder``, which is made when it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    return spark.readStream.schema(_SCHEMA).option("maxFilesPerTrigger", 100).json(str(folder))


def rows(events: DataFrame, tickers: Sequence[str]) -> DataFrame:
    """Return ``group`` and ``payload`` of each event, once for every ticker."""
    return events.select(
        F.explode(F.array(*(F.lit(ticker) for ticker in tickers))).alias("group"),
        wire.control_payload(F.col("control"), F.col("time_us")).alias("payload"),
    )


def flush(folder: Path, number: int) -> None:
    """Say that a bounded replay has ended: every unfinished bar becomes final."""
    _put(folder / f"flush-{number:06d}.json", {"control": wire.FLUSH.decode(), "time_us": 0})


def close(folder: Path, close_us: int) -> None:
    """Say that the session that ends at ``close_us`` (UTC microseconds) is over; saying it twice is harmless."""
    _put(folder / f"close-{close_us}.json", {"control": wire.CLOSE.decode(), "time_us": close_us})


def _put(path: Path, event: dict[str, str | int]) -> None:
    if not path.exists():
        write_whole(path, json.dumps(event) + "\n")
