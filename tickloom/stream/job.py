"""The ``StreamJob`` resource: what a person writes, with every default and every rule."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.alias_generators import to_camel

from tickloom.errors import TickloomError
from tickloom.indicators.registry import DEFAULT_TWELVE, resolve
from tickloom.market.instruments import instruments
from tickloom.market.intervals import Interval

API_VERSION = "tickloom.dev/v1alpha1"
Ticker = Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9.\-]{0,15}$")]
Duration = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,4}(ms|s|m|h|d)$")]
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def milliseconds(duration: str) -> int:
    """Return a duration such as ``10m`` or ``500ms`` in milliseconds."""
    digits = duration.rstrip("mshd")
    return int(digits) * _UNIT_MS[duration[len(digits) :]]


class Model(BaseModel):
    """A frozen part of the manifest: camelCase in YAML, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Source(Model):
    """Where prices come from."""

    bootstrap_servers: str | None = Field(
        None, description="Kafka bootstrap servers; by default the installation's own."
    )
    topic: str = Field("prices", description="Topic of price records.", pattern=r"^[a-zA-Z0-9._-]{1,249}$")
    keyed: bool = Field(
        True,
        description="Whether a record's partition is its ticker's murmur2; if so, only those partitions are read.",
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
        ("5m", "1d"), min_length=1, description="Lengths of the bars; `1d` is the session."
    )
    indicators: tuple[str, ...] = Field(DEFAULT_TWELVE, description="Names of the registry of indicators.")
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


class Runtime(Model):
    """What the application may use on one machine."""

    cores: int = Field(2, ge=1, le=64, description="Tasks that run at once.")
    driver_memory: str = Field("1g", pattern=r"^[1-9][0-9]{0,4}[mg]$", description="Heap of the Spark driver.")
    state_partitions: int = Field(
        2, ge=1, le=512, description="Partitions of the state; fixed for the life of a checkpoint."
    )


class Checkpoint(Model):
    """Where the job remembers how far it is."""

    path: str | None = Field(
        None, description="Folder or URI of the checkpoint; by default in the installation's folder."
    )


class Spec(Model):
    """What the job is to do."""

    tickers: tuple[Ticker, ...] = Field(
        min_length=1, max_length=2000, description="Tickers whose records the job owns."
    )
    market: str = Field(description="Exchange of the tickers, by its market identifier code (ISO 10383).")
    source: Source = Field(default_factory=Source, description="Where prices come from.")
    processors: Processors = Field(default_factory=Processors, description="What is done to them.")
    sinks: Sinks = Field(default_factory=Sinks, description="Where results go.")
    dead_letters: Literal["own", "all"] = Field(
        "own",
        description="`all` also takes the records that nobody owns for want of a usable key; one job in all does.",
    )
    trigger: Trigger = Field(default_factory=Trigger, description="When a micro-batch starts.")
    runtime: Runtime = Field(default_factory=Runtime, description="What the application may use.")
    checkpoint: Checkpoint = Field(default_factory=Checkpoint, description="Where the job remembers how far it is.")

    @field_validator("tickers")
    @classmethod
    def _distinct_tickers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        seen: set[str] = set()
        for ticker in value:
            if ticker in seen:
                raise ValueError(f"ticker {ticker!r} is listed twice")
            seen.add(ticker)
        return value

    @field_validator("market")
    @classmethod
    def _known_market(cls, value: str) -> str:
        known = sorted({item.exchange for item in instruments().values()})
        if value not in known:
            raise ValueError(f"market {value!r} is unknown; known: {', '.join(known)}")
        return value

    @model_validator(mode="after")
    def _tickers_trade_on_market(self) -> "Spec":
        known = instruments(self.market)
        strangers = [ticker for ticker in self.tickers if ticker not in known]
        if strangers:
            some = ", ".join(sorted(known)[:12])
            raise ValueError(
                f"ticker {strangers[0]!r} is in no instrument list of {self.market}; known: {some}, …; "
                "name further ones in the file that TICKLOOM_INSTRUMENTS points at"
            )
        return self


class Metadata(BaseModel):
    """The part of Kubernetes' object metadata that matters on one machine."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
    namespace: str = "default"


class StreamJob(Model):
    """A ``StreamJob`` manifest."""

    api_version: Literal["tickloom.dev/v1alpha1"]
    kind: Literal["StreamJob"]
    metadata: Metadata
    spec: Spec


def parse(document: Mapping[str, Any], origin: str = "manifest") -> StreamJob:
    """Validate one manifest.

    Parameters
    ----------
    document
        The decoded YAML or JSON object.
    origin
        What to call the manifest in an error: its file's name.

    Raises
    ------
    TickloomError
        One line per mistake, with the field's path, the value and the known values.
    """
    name = document.get("metadata", {}).get("name") if isinstance(document.get("metadata"), Mapping) else None
    title = f"StreamJob {name}" if name else origin
    try:
        return StreamJob.model_validate(document)
    except ValidationError as error:
        raise TickloomError("\n".join(f"{title}: {_sentence(item)}" for item in error.errors())) from None


def load(path: Path) -> StreamJob:
    """Read the one ``StreamJob`` of a YAML file.

    Raises
    ------
    TickloomError
        The file is missing, is no YAML, holds no or several documents, or the manifest is refused.
    """
    try:
        documents = [item for item in yaml.safe_load_all(path.read_text(encoding="utf-8")) if item is not None]
    except FileNotFoundError:
        raise TickloomError(f"{path}: there is no such file; the samples are in manifests/samples/") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TickloomError(f"{path}: not readable as YAML: {error}") from None
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise TickloomError(f"{path}: holds {len(documents)} documents; `tickloom run` takes a file with one StreamJob")
    return parse(documents[0], origin=str(path))


def _sentence(item: Any) -> str:
    path = _path(item["loc"])
    if item["type"] == "extra_forbidden":
        return f"{path} is unknown; known here: {', '.join(_known_fields(item['loc'][:-1]))}"
    if item["type"] == "missing":
        return f"{path} is missing"
    text = item["msg"].removeprefix("Value error, ")
    value = item.get("input")
    shown = f" (given: {value!r})" if isinstance(value, str | int | float | bool) and repr(value) not in text else ""
    return f"{path}: {text}{shown}"


def _path(location: tuple[str | int, ...]) -> str:
    out = ""
    for part in location:
        out += f"[{part}]" if isinstance(part, int) else f".{part}"
    return out.lstrip(".") or "the manifest"


def _known_fields(location: tuple[str | int, ...]) -> list[str]:
    model: Any = StreamJob
    for part in location:
        match = [info for key, info in model.model_fields.items() if part in (key, info.alias)]
        model = match[0].annotation if match else model
    return [info.alias or key for key, info in model.model_fields.items()]
