"""The ``StreamJob`` resource: what a person writes, with every default and every rule."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from tickloom.errors import ConfigurationError
from tickloom.manifest.document import read_yaml
from tickloom.manifest.mistakes import mistake, sentences
from tickloom.manifest.model import Model
from tickloom.market.instruments import instruments
from tickloom.stream.deployment import Autoscaling, Checkpoint, Restart, Retention, Runtime, Upgrade
from tickloom.stream.processing import Processors, Sinks, Source, Trigger

API_VERSION = "tickloom.dev/v1alpha1"
Ticker = Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9.\-]{0,15}$")]


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
            close = difflib.get_close_matches(strangers[0], known, n=3, cutoff=0.6)
            hint = f"did you mean {', '.join(close)}?" if close else f"known: {', '.join(sorted(known)[:12])}, …;"
            raise mistake(
                "tickers",
                f"ticker {strangers[0]!r} is in no instrument list of {self.market}; {hint} "
                "list further ones in the CSV that TICKLOOM_INSTRUMENTS names, for a cluster in the ConfigMap of the "
                "charts' global.market.instruments",
            )
        return self


class Metadata(BaseModel):
    """The part of Kubernetes' object metadata that matters on one machine."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str = Field(pattern=r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")
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
