"""The ``StreamJob`` resource: what a person writes, with every default and every rule."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from tickloom.errors import ConfigurationError
from tickloom.manifest.document import read_yaml
from tickloom.manifest.mistakes import mistake, sentences
from tickloom.manifest.model import Metadata, Model, Ticker
from tickloom.market.instruments import known_market, unlisted
from tickloom.stream.deployment import Autoscaling, Checkpoint, Restart, Retention, Runtime, Upgrade
from tickloom.stream.processing import Processors, Sinks, Source, Trigger
from tickloom.stream.retraining import Retrain

API_VERSION = "tickloom.dev/v1alpha1"


class Spec(Model):
    """What the job is to do."""

    tickers: tuple[Ticker, ...] = Field(
        min_length=1, max_length=2000, description="Tickers whose records the job owns."
    )
    market: str = Field(
        description="Exchange of the tickers, by its market identifier code (ISO 10383); it cannot change."
    )
    state: Literal["running", "suspended"] = Field(
        "running", description="`suspended` stops the application and keeps its checkpoint."
    )
    replicas: int = Field(
        1,
        ge=1,
        le=500,
        description="Executors; more than 1 asks for a SparkApplication, for a driver pod has none and runs with 1.",
    )
    source: Source = Field(default_factory=Source, description="Where prices come from.")
    processors: Processors = Field(default_factory=Processors, description="What is done to them.")
    sinks: Sinks = Field(default_factory=Sinks, description="Where results go.")
    dead_letters: Literal["own", "all"] = Field(
        "own",
        description="`all` also takes the records that nobody owns for want of a usable key; one job in all does.",
    )
    trigger: Trigger = Field(default_factory=Trigger, description="When a micro-batch starts.")
    runtime: Runtime = Field(default_factory=Runtime, description="What the application runs on.")
    checkpoint: Checkpoint = Field(default_factory=Checkpoint, description="Where the job remembers how far it is.")
    upgrade: Upgrade = Field(default_factory=Upgrade, description="How a change of this manifest is carried out.")
    restart: Restart = Field(default_factory=Restart, description="What is done when the application fails.")
    autoscaling: Autoscaling | None = Field(None, description="Let the number of executors follow the lag.")
    retention: Retention = Field(default_factory=Retention, description="What is kept of the past.")
    retrain: Retrain | None = Field(
        None, description="Train the models of the tickers anew; absent means that nothing is."
    )

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
        return known_market(value)

    @model_validator(mode="after")
    def _tickers_trade_on_market(self) -> "Spec":
        strangers = unlisted(self.tickers, self.market)
        if strangers:
            raise mistake("tickers", strangers[0])
        return self


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
    ConfigurationError
        One line per mistake, with the field's path, the value and the known values.
    """
    name = document.get("metadata", {}).get("name") if isinstance(document.get("metadata"), Mapping) else None
    title = f"StreamJob {name}" if name and isinstance(name, str) else origin
    try:
        return StreamJob.model_validate(document)
    except ValidationError as error:
        found = sentences(error.errors(), StreamJob)
        raise ConfigurationError("\n".join(f"{title}: {text}" for text in found)) from None


def load(path: Path) -> StreamJob:
    """Read the one ``StreamJob`` of a YAML file.

    Raises
    ------
    ConfigurationError
        The file is missing or a folder, is no YAML, has a key twice, holds no or several documents, or the manifest
        is refused.
    """
    return parse(read_document(path), origin=str(path))


def read_document(path: Path) -> dict[str, Any]:
    """Read the one mapping that a ``StreamJob``'s file holds.

    Raises
    ------
    ConfigurationError
        As ``read_documents`` does, or the file holds no or several documents.
    """
    documents = read_documents(path)
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise ConfigurationError(
            f"{path}: holds {len(documents)} documents; `tickloom run` takes a file with one StreamJob"
        )
    return documents[0]


def read_documents(path: Path) -> list[Any]:
    """Read the documents of a ``StreamJob``'s file; raises as `tickloom.manifest.document.read_yaml` does."""
    return read_yaml(path, "a StreamJob", "the samples are in manifests/samples/")
