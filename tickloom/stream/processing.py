"""The part of the ``StreamJob`` manifest that says what is done to the data."""

from typing import Literal

from pydantic import Field, field_validator

from tickloom.errors import TickloomError
from tickloom.indicators.registry import DEFAULT_TWELVE, resolve
from tickloom.manifest.model import Duration, Model, ObjectName
from tickloom.market.intervals import Interval


class CreateTopics(Model):
    """Topics that Strimzi is asked for where they are absent."""

    cluster: ObjectName = Field(description="Name of the Strimzi `Kafka` in the job's namespace.")
    partitions: int = Field(3, ge=1, le=1000, description="Partitions of each topic.")
    replicas: int = Field(1, ge=1, le=9, description="Copies of each partition.")


class Source(Model):
    """Where prices come from."""

    bootstrap_servers: str | None = Field(
        None, description="Kafka bootstrap servers; by default the installation's own."
    )
    topic: str = Field("prices", description="Topic of price records.", pattern=r"^[a-zA-Z0-9._-]{1,249}$")
    keyed: bool = Field(
        False,
        description=(
            "Whether to read only the partitions that the tickers hash to (murmur2); then a new ticker may need a "
            "partition whose first records are gone, which failOnDataLoss refuses."
        ),
    )
    credentials: ObjectName | None = Field(
        None,
        description=(
            "Secret with Kafka's credentials: keys `username` and `password`, and where they differ from SASL_SSL and "
            "SCRAM-SHA-512, `protocol` and `mechanism`; `ca.crt` where the brokers' authority is private. That of a "
            "Strimzi KafkaUser will do. By default the installation's own, unless bootstrapServers names another Kafka."
        ),
    )
    certificates: ObjectName | None = Field(
        None,
        description=(
            "Secret with `ca.crt`, the brokers' authority, where it is not in the one of the credentials, such as "
            "Strimzi's `CLUSTER-cluster-ca-cert`; the default is as for credentials."
        ),
    )
    create_topics: CreateTopics | None = Field(
        None, description="Make Strimzi `KafkaTopic`s where they are absent; they stay when the job goes."
    )
    min_partitions: int | None = Field(
        None, ge=1, le=1000, description="Split the topic's partitions into at least so many tasks."
    )
    starting_offsets: Literal["earliest", "latest"] = Field(
        "earliest", description="Where a job without checkpoint starts."
    )
    max_offsets_per_trigger: int = Field(
        100_000, ge=100, le=10_000_000, description="Most records that one micro-batch reads."
    )
    fail_on_data_loss: bool = Field(
        True, description="Stop when offsets of the checkpoint are gone from the topic, instead of going on with a gap."
    )


class PriceProcessor(Model):
    """How ticks are cleaned and scored."""

    window: int = Field(
        30, ge=2, le=1000, description="Ticks before the current one that its z-score is measured against."
    )
    threshold: float = Field(2.0, gt=0, le=100, description="A tick with |z| above this is an anomaly.")
    watermark: Duration = Field(
        "10m", description="How far behind its ticker's newest tick a record may be; older ones are dead letters."
    )
    future_tolerance: Duration = Field(
        "5m", description="How far ahead of its arrival in Kafka a record's time may be; later ones are dead letters."
    )
    max_record_bytes: int = Field(
        1_048_576, ge=1_024, le=4_194_304, description="Largest record in bytes; larger ones are dead letters."
    )


class BarProcessor(Model):
    """Which bars are built, and which indicators run on final ones."""

    intervals: tuple[Interval, ...] = Field(
        ("5m", "1d"), min_length=1, max_length=5, description="Lengths of the bars; `1d` is the session."
    )
    indicators: tuple[str, ...] = Field(
        DEFAULT_TWELVE, max_length=200, description="Names of the registry of indicators."
    )
    hours: Literal["regular", "all"] = Field(
        "regular", description="`regular` builds bars inside the exchange's sessions only, `all` outside of them too."
    )

    @field_validator("intervals")
    @classmethod
    def _distinct_intervals(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("an interval is listed twice")
        return value

    @field_validator("indicators")
    @classmethod
    def _known_indicators(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            resolve(value)
        except TickloomError as error:
            raise ValueError(str(error)) from None
        if len(set(value)) != len(value):
            raise ValueError("an indicator is listed twice")
        return value


class Processors(Model):
    """What is done to the records."""

    prices: PriceProcessor = Field(default_factory=PriceProcessor, description="Ticks: cleaning and z-scores.")
    bars: BarProcessor = Field(default_factory=BarProcessor, description="Bars and their indicators.")


class CassandraSink(Model):
    """Where rows go."""

    contact_points: str | None = Field(None, description="`host[:port],…`; by default the installation's own.")
    keyspace: str | None = Field(
        None, pattern=r"^[a-z][a-z0-9_]{0,47}$", description="Keyspace; by default the installation's."
    )
    credentials: ObjectName | None = Field(
        None,
        description=(
            "Secret with Cassandra's credentials: keys `username` and `password`, and for TLS `ca.crt`, the nodes' "
            "authority. By default the installation's own, unless contactPoints names another Cassandra."
        ),
    )
    certificates: ObjectName | None = Field(
        None,
        description=(
            "Secret with `ca.crt` where it is not in the one of the credentials, and a client's certificate, `tls.crt` "
            "and `tls.key`, where the nodes ask for one; the default is as for credentials."
        ),
    )
    patience: Duration = Field("5m", description="How long a write is tried again while Cassandra is away.")


class LakeSink(Model):
    """The Parquet lake."""

    path: str | None = Field(None, description="Folder of the lake; by default `lake` in the job's folder.")
    enabled: bool = Field(True, description="Whether ticks are written to the lake at all.")


class TopicSink(Model):
    """Output topics."""

    bars: bool = Field(True, description="Whether final bars go to the topic `bars`.")
    anomalies: bool = Field(True, description="Whether anomalies go to the topic `anomalies`.")


class Sinks(Model):
    """Where results go."""

    cassandra: CassandraSink = Field(default_factory=CassandraSink, description="Tables of ticks, bars and anomalies.")
    lake: LakeSink = Field(default_factory=LakeSink, description="Parquet files of ticks, by market and day.")
    topics: TopicSink = Field(default_factory=TopicSink, description="Kafka topics for readers downstream.")


class Trigger(Model):
    """When a micro-batch starts."""

    interval: Duration | None = Field(
        None,
        description="Least time between starts of micro-batches; by default one starts when the last has ended.",
    )
