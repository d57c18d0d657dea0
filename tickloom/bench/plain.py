"""The plain job that the stream is compared with, and the ceiling of both, each in a process of its own.

``zscore`` is what a good engineer writes in an afternoon: Kafka, JSON, a z-score per ticker in
``applyInPandasWithState``, rows to Cassandra in unlogged batches of 100 of one partition. ``noop`` reads Kafka, parses
JSON and throws everything away.
"""

import argparse
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

WINDOW, THRESHOLD, BATCH_ROWS, IN_FLIGHT = 30, 2.0, 100, 64
SCHEMA = "ticker string, time string, price double, volume bigint, source string, sequence bigint"
SCORED = "ticker string, time timestamp, price double, volume bigint, mean double, deviation double, z double"
TABLE = """CREATE TABLE IF NOT EXISTS {keyspace}.plain_prices (
    ticker text, day date, time timestamp, price double, volume bigint, mean double, deviation double, z double,
    anomaly boolean, PRIMARY KEY ((ticker, day), time)) WITH CLUSTERING ORDER BY (time DESC)"""


def score(key: Any, frames: Iterable[pd.DataFrame], state: Any) -> Iterator[pd.DataFrame]:
    """Score one ticker's ticks against the ones before; the state is the last prices as bytes."""
    frame = pd.concat(list(frames), ignore_index=True).sort_values("time", ignore_index=True)
    before = np.frombuffer(state.get[0]) if state.exists else np.empty(0)
    prices = pd.Series(np.concatenate([before, frame["price"].to_numpy()]))
    rolling = prices.shift(1).rolling(WINDOW)
    mean, deviation = rolling.mean().to_numpy()[len(before) :], rolling.std().to_numpy()[len(before) :]
    with np.errstate(divide="ignore", invalid="ignore"):
        z_score = (frame["price"].to_numpy() - mean) / deviation
    state.update((prices.to_numpy()[-WINDOW:].tobytes(),))
    yield pd.DataFrame(
        {
            "ticker": key[0],
            "time": frame["time"],
            "price": frame["price"],
            "volume": frame["volume"],
            "mean": mean,
            "deviation": deviation,
            "z": z_score,
        }
    )


@lru_cache(maxsize=1)
def _session(cassandra: str, keyspace: str) -> Any:
    from cassandra.cluster import Cluster

    host, port = cassandra.rsplit(":", 1)
    session = Cluster([host], port=int(port), protocol_version=5).connect(keyspace)
    insert = session.prepare(
        "INSERT INTO plain_prices (ticker, day, time, price, volume, mean, deviation, z, anomaly) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    )
    return session, insert


def write(cassandra: str, keyspace: str, rows: Iterator[Any]) -> Iterator[Any]:
    """Write rows in unlogged batches of one partition, some in flight at a time."""
    from cassandra.query import BatchStatement, BatchType

    session, insert = _session(cassandra, keyspace)
    groups: dict[Any, list[Any]] = defaultdict(list)
    waiting: list[Any] = []
    for row in rows:
        groups[row.ticker, row.time.date()].append(row)
    for (ticker, day), members in groups.items():
        for first in range(0, len(members), BATCH_ROWS):
            batch = BatchStatement(BatchType.UNLOGGED)
            for r in members[first : first + BATCH_ROWS]:
                flag = None if r.z is None else abs(r.z) > THRESHOLD
                batch.add(insert, (ticker, day, r.time, r.price, r.volume, r.mean, r.deviation, r.z, flag))
            if len(waiting) >= IN_FLIGHT:
                waiting.pop(0).result()
            waiting.append(session.execute_async(batch))
    for future in waiting:
        future.result()
    return iter(())


def main() -> None:
    """Run one of the two jobs over a topic and print rows and seconds as JSON."""
    options = argparse.ArgumentParser()
    for name in ("--mode", "--kafka", "--cassandra", "--keyspace", "--topic", "--folder", "--jars"):
        options.add_argument(name, required=True)
    options.add_argument("--rows", type=int, required=True)
    options.add_argument("--per-trigger", type=int, required=True)
    given = options.parse_args()
    os.environ["PYSPARK_PYTHON"] = sys.executable

    from pyspark.sql import SparkSession
    from pyspark.sql import functions as F
    from pyspark.sql.streaming.state import GroupStateTimeout

    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.jars", given.jars)
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.memory", "1g")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "2")
        .config(
            "spark.sql.streaming.stateStore.providerClass",
            "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider",
        )
        .config("spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled", "true")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    stream = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", given.kafka)
        .option("subscribe", given.topic)
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", given.per_trigger)
        .load()
        .select(F.from_json(F.col("value").cast("string"), SCHEMA).alias("j"))
        .select("j.*")
    )
    if given.mode == "noop":
        writer = stream.writeStream.format("noop")
    else:
        from cassandra.cluster import Cluster

        host, port = given.cassandra.rsplit(":", 1)
        cluster = Cluster([host], port=int(port), protocol_version=5)
        cluster.connect().execute(TABLE.format(keyspace=given.keyspace))
        cluster.shutdown()
        scored = (
            stream.withColumn("time", F.col("time").cast("timestamp"))
            .groupBy("ticker")
            .applyInPandasWithState(score, SCORED, "prices binary", "append", GroupStateTimeout.NoTimeout)
        )
        cassandra, keyspace = given.cassandra, given.keyspace

        def sink(frame: Any, _: int) -> None:
            frame.foreachPartition(lambda rows: write(cassandra, keyspace, rows))

        writer = scored.writeStream.foreachBatch(sink)
    query = writer.option("checkpointLocation", str(Path(given.folder) / f"plain-{given.mode}")).start()
    rows, seconds, seen = 0, 0.0, set()
    while rows < given.rows:
        if not query.isActive:
            raise SystemExit(str(query.exception()))
        for report in query.recentProgress:
            if report["batchId"] not in seen and report["numInputRows"]:
                seen.add(report["batchId"])
                rows += report["numInputRows"]
                seconds += report["batchDuration"] / 1000
        time.sleep(0.2)
    query.stop()
    print(json.dumps({"rows": rows, "seconds": seconds}))
