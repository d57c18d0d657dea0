"""The Spark application of one StreamJob: Kafka to state machine to sinks."""

import json
import os
import sys
import warnings
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.streaming.state import GroupStateTimeout

from tickloom.bus import topics
from tickloom.bus.credentials import spark_options
from tickloom.errors import TickloomError
from tickloom.manifest.model import milliseconds
from tickloom.stream import checkpoint, control, faults, operator, parse, wire
from tickloom.stream.job import StreamJob
from tickloom.stream.ownership import partitions_to_read
from tickloom.stream.sink import STATS_SCHEMA, SinkSettings, TaskStats, task

OBSERVED = "records"
"""Name under which the numbers of read and of filtered records are observed."""


_LOG4J = f"-Dlog4j2.configurationFile=file:{Path(__file__).with_name('log4j2.properties')}"
_PANDAS_NOTICE = "ignore:PySpark does not yet fully support pandas:FutureWarning"

_WORKERS = {
    # else glibc keeps memory in an arena for each of Java's many threads
    "MALLOC_ARENA_MAX": "2",
    # and raises by itself the size from which freed memory goes back to the system, up to 32 MB
    "MALLOC_MMAP_THRESHOLD_": "131072",
    "MALLOC_TRIM_THRESHOLD_": "131072",
    "PYTHONWARNINGS": _PANDAS_NOTICE,
}
"""Environment of Java and of Spark's Python workers."""


@dataclass(frozen=True)
class Wiring:
    """Where a job runs: what the manifest leaves to the installation.

    Parameters
    ----------
    kafka, cassandra
        Addresses.
    keyspace
        Cassandra keyspace.
    topics
        Names of the topics by role.
    folder
        The job's folder: checkpoint, lake, control files.
    known
        Every ticker of every instrument list.
    jars
        Jars of Spark's Kafka source.
    """

    kafka: str
    cassandra: str
    keyspace: str
    topics: dict[str, str]
    folder: Path
    known: frozenset[str]
    jars: tuple[Path, ...] = ()


def submitted() -> bool:
    """Return whether `spark-submit` has decided where the application runs, as in a driver pod of Spark on Kubernetes.

    Then master, memory, addresses and the driver's own options are Spark's to know; see images/stream/entrypoint.sh.
    """
    by_name = "--deploy-mode" in os.environ.get("PYSPARK_SUBMIT_ARGS", "")
    return by_name or "PYSPARK_GATEWAY_PORT" in os.environ


def session(job: StreamJob, wiring: Wiring) -> SparkSession:
    """Start Spark for a job: in local mode, or where `spark-submit` says."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    for name, value in _WORKERS.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
    scratch = wiring.folder / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    options = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(job.spec.runtime.state_partitions),
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.sql.execution.arrow.maxRecordsPerBatch": "50000",
        "spark.sql.execution.pyspark.udf.simplifiedTraceback.enabled": "true",
        "spark.sql.streaming.stateStore.providerClass": (
            "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
        ),
        "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
        # two buffers of 8 MB a partition; RocksDB's own 64 MB fill up over hours and look like a leak
        "spark.sql.streaming.stateStore.rocksdb.writeBufferSizeMB": "8",
        "spark.sql.streaming.stateStore.rocksdb.maxWriteBufferNumber": "2",
        "spark.sql.streaming.minBatchesToRetain": str(job.spec.retention.batches),
        "spark.sql.streaming.noDataMicroBatches.enabled": "false",
        "spark.sql.streaming.metricsEnabled": "false",
        "spark.sql.streaming.ui.enabled": "false",
        "spark.sql.ui.retainedExecutions": "10",
        "spark.ui.retainedJobs": "10",
        "spark.ui.retainedStages": "10",
        "spark.ui.retainedTasks": "100",
        "spark.sql.ui.explainMode": "simple",
        "spark.sql.maxPlanStringLength": "1000",
        "spark.python.worker.reuse": "true",
        "spark.python.daemon.module": "tickloom.stream.daemon",
        **_files(checkpoint.location(job, wiring.folder)),
        **(_on_cluster(wiring) if submitted() else _on_this_machine(job, wiring, scratch)),
    }
    builder = SparkSession.builder
    for key, value in options.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def _on_this_machine(job: StreamJob, wiring: Wiring, scratch: Path) -> dict[str, str]:
    driver = job.spec.runtime.driver
    # else Spark looks up the machine's own name, which fails where no name server and no hosts file knows it
    os.environ.setdefault("SPARK_LOCAL_HOSTNAME", "localhost")
    return {
        "spark.master": f"local[{driver.cores}]",
        "spark.app.name": f"tickloom-{job.metadata.name}",
        "spark.driver.memory": driver.memory,
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        # the whole heap from the start: what the driver may use is what it uses, and a limit is met at once
        "spark.driver.extraJavaOptions": f"-Xms{driver.memory} -XX:+AlwaysPreTouch {_LOG4J}",
        "spark.jars": ",".join(str(jar) for jar in wiring.jars),
        "spark.local.dir": str(scratch),
    }


def _on_cluster(wiring: Wiring) -> dict[str, str]:
    """Return what executors need besides what `spark-submit` was told: they run the driver's image."""
    return {
        "spark.jars": ",".join(f"local:{jar}" for jar in wiring.jars),
        # put before the extraJavaOptions that a manifest may name
        "spark.driver.defaultJavaOptions": _LOG4J,
        "spark.executor.defaultJavaOptions": _LOG4J,
        **{f"spark.executorEnv.{name}": value for name, value in _WORKERS.items()},
    }


def _files(checkpoint_location: str) -> dict[str, str]:
    """Return the options that keep Hadoop from starting a shell for every local file.

    Its usual local file system starts a `chmod` or a `readlink` for every file that it makes or renames, eight times in
    a micro-batch; the raw one, through the older of Spark's two ways to it, starts none.
    """
    options = {"spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem"}
    if not checkpoint.is_uri(checkpoint_location):
        options["spark.sql.streaming.checkpointFileManagerClass"] = (
            "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"
        )
    return options


def partition_count(kafka: str, topic: str, timeout_s: float = 10.0) -> int:
    """Return the number of partitions of a topic.

    Raises
    ------
    TickloomError
        The broker does not answer, or there is no such topic.
    """
    _, found = topics.look(kafka, timeout_s)
    if topic not in found:
        raise TickloomError(
            f"topic {topic!r} does not exist at {kafka}; `tickloom run` creates the installation's own topics only"
        )
    return len(found[topic].partitions)


def choice(spark: SparkSession, job: StreamJob, wiring: Wiring) -> tuple[dict[str, str], int]:
    """Return Spark's option for which partitions the job reads, and how many they are.

    To Spark, a partition that is in the checkpoint and no longer read is data lost, and so is a new one whose first
    records are gone. So a job reads all partitions, whatever its tickers are, and those that the topic may yet get;
    on a topic that it calls keyed, those of its tickers and those of its checkpoint.
    """
    spec, topic = job.spec, wiring.topics["prices"]
    count = partition_count(wiring.kafka, topic)
    wanted = set(
        partitions_to_read(spec.tickers, count, keyed=spec.source.keyed, dead_letters=spec.dead_letters),
    )
    if len(wanted) == count:
        return {"subscribe": topic}, count
    wanted |= checkpoint.partitions_read(spark, checkpoint.location(job, wiring.folder), topic)
    return {"assign": json.dumps({topic: sorted(wanted)})}, len(wanted)


def records(spark: SparkSession, job: StreamJob, wiring: Wiring, chosen: dict[str, str]) -> DataFrame:
    """Return the stream of the partitions that ``choice`` has chosen."""
    source = job.spec.source
    options = {
        **spark_options(wiring.kafka),
        **chosen,
        "startingOffsets": source.starting_offsets,
        "maxOffsetsPerTrigger": str(source.max_offsets_per_trigger),
        "failOnDataLoss": str(source.fail_on_data_loss).lower(),
        "kafka.max.partition.fetch.bytes": "4194304",
        "kafka.client.id": f"tickloom-{job.metadata.name}",
    }
    if source.min_partitions:
        options["minPartitions"] = str(source.min_partitions)
    return spark.readStream.format("kafka").options(**options).load()


def effects(records: DataFrame, events: DataFrame, job: StreamJob, known: Collection[str]) -> DataFrame:
    """Return the stream of effects, one row per ticker and micro-batch, with the time when that was planned.

    The time is the checkpoint's, and so the same when a micro-batch is done again.
    """
    spec = job.spec
    marked = records.withColumn("_mine", parse.mine(spec, known))
    counted = marked.observe(
        OBSERVED, F.count(F.lit(1)).alias("rows_in"), F.count(F.when(~F.col("_mine"), 1)).alias("filtered")
    )
    typed = parse.typed(counted.where("_mine").drop("_mine"), spec)
    joined = wire.encoded(typed).unionByName(control.rows(events, spec.tickers))
    packed = joined.groupBy("group").applyInPandasWithState(
        operator.updater(spec.model_dump_json(by_alias=True)),
        operator.OUTPUT_SCHEMA,
        operator.STATE_SCHEMA,
        "update",
        GroupStateTimeout.NoTimeout,
    )
    return packed.withColumn("planned", F.current_timestamp())


def sink_settings(job: StreamJob, wiring: Wiring) -> SinkSettings:
    """Return what the tasks must know to write."""
    sinks, processors = job.spec.sinks, job.spec.processors
    lake = Path(sinks.lake.path) if sinks.lake.path else wiring.folder / "lake"
    return SinkSettings(
        job=job.metadata.name,
        market=job.spec.market,
        indicators=tuple(processors.bars.indicators),
        threshold=processors.prices.threshold,
        kafka=wiring.kafka,
        cassandra=wiring.cassandra,
        keyspace=wiring.keyspace,
        patience_s=milliseconds(sinks.cassandra.patience) / 1000,
        topics=wiring.topics,
        write_bars=sinks.topics.bars,
        write_anomalies=sinks.topics.anomalies,
        lake=str(lake) if sinks.lake.enabled else None,
        fault=faults.armed(),
        driver=os.getpid(),
    )


def start(
    spark: SparkSession,
    job: StreamJob,
    wiring: Wiring,
    chosen: dict[str, str],
    begun: Callable[[int], None],
    done: Callable[[int, TaskStats], None],
) -> StreamingQuery:
    """Start the query on the partitions that ``choice`` has chosen.

    ``begun(batch)`` is called before a micro-batch is processed, ``done(batch, counts)`` when every sink holds it and
    before it is committed; either may raise, and the query fails.
    """
    settings = sink_settings(job, wiring)
    text = settings.to_json()
    checkpoint_id: Future[str] = Future()  # known once the query has started, which the first micro-batch may outrun

    def write(frame: DataFrame, batch_id: int) -> None:
        begun(batch_id)
        rows = frame.mapInArrow(task(text, checkpoint_id.result(), batch_id), STATS_SCHEMA).collect()
        counts = TaskStats()
        for row in rows:
            counts.add(TaskStats.from_json(row["stats"]))
        done(batch_id, counts)
        faults.reach("commit.before", batch_id, settings.fault, settings.driver)

    events = control.stream(spark, wiring.folder / "control")
    writer = (
        effects(records(spark, job, wiring, chosen), events, job, wiring.known)
        .writeStream.queryName(job.metadata.name)
        .outputMode("update")
        .option("checkpointLocation", checkpoint.location(job, wiring.folder))
        .foreachBatch(write)
    )
    if job.spec.trigger.interval:
        writer = writer.trigger(processingTime=f"{milliseconds(job.spec.trigger.interval)} milliseconds")
    try:
        query = writer.start()
    except BaseException as error:
        checkpoint_id.set_exception(error)
        raise
    checkpoint_id.set_result(str(query.id))
    return query
