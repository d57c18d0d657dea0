"""The ``StreamJob`` resource: what a person writes, with every default and every rule."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from tickloom.errors import ConfigurationError
from tickloom.market.instruments import instruments
from tickloom.stream.deployment import Autoscaling, Checkpoint, Restart, Retention, Runtime, Upgrade
from tickloom.stream.model import Model
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
    replicas: int = Field(1, ge=1, le=500, description="Executors; a driver pod, which has none, runs with 1.")
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
            some = ", ".join(sorted(known)[:12])
            raise ValueError(
                f"ticker {strangers[0]!r} is in no instrument list of {self.market}; known: {some}, …; "
                "name further ones in the file that TICKLOOM_INSTRUMENTS points at"
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
    title = f"StreamJob {name}" if name else origin
    try:
        return StreamJob.model_validate(document)
    except ValidationError as error:
        raise ConfigurationError("\n".join(f"{title}: {_sentence(item)}" for item in error.errors())) from None


def load(path: Path) -> StreamJob:
    """Read the one ``StreamJob`` of a YAML file.

    Raises
    ------
    ConfigurationError
        The file is missing, is no YAML, holds no or several documents, or the manifest is refused.
    """
    try:
        documents = [item for item in yaml.safe_load_all(path.read_text(encoding="utf-8")) if item is not None]
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: there is no such file; the samples are in manifests/samples/") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path}: not readable as YAML: {error}") from None
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise ConfigurationError(
            f"{path}: holds {len(documents)} documents; `tickloom run` takes a file with one StreamJob"
        )
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
