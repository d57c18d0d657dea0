"""What the ingest service is told: one YAML file of sources."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from tickloom.errors import ConfigurationError
from tickloom.manifest.document import read_yaml
from tickloom.manifest.mistakes import sentences
from tickloom.manifest.model import Duration, Model
from tickloom.market.intervals import Interval

Market = Literal["XCAS", "XNYS"]
Ticker = Annotated[str, Field(min_length=1, max_length=16)]
Tickers = Annotated[tuple[Ticker, ...], Field(min_length=1, max_length=2000)]


class Backoff(Model):
    """How long a source pauses after failures in a row: twice as long each time, and somewhat at random."""

    first: Duration = Field("1s", description="Pause after the first failure.")
    longest: Duration = Field("5m", description="Longest pause.")


class Source(Model):
    """What every source has."""

    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", description="Name in logs and metrics.")
    jitter: Duration | None = Field(
        None, description="Longest random wait before each turn, so that many do not ask at once."
    )
    backoff: Backoff = Field(default_factory=Backoff, description="Pauses after failures.")


class YahooSource(Source):
    """Bars of Yahoo Finance while the exchange is open, each as soon as it is complete."""

    kind: Literal["yahoo"]
    market: Market = Field("XNYS", description="Exchange whose hours hold.")
    tickers: Tickers = Field(description="Tickers without Yahoo's suffix.")
    interval: Interval = Field("1m", description="Length of the bars.")
    every: Duration = Field("60s", description="How often it is asked while the exchange is open.")
    after_close: Duration = Field("2m", description="When it is asked for the last time, after the close.")


class GbmSource(Source):
    """Synthetic prices by geometric Brownian motion, marked as such."""

    kind: Literal["gbm"]
    market: Market = Field("XNYS", description="Exchange whose sessions the records' times lie in.")
    tickers: Tickers = Field(description="Tickers, each with a reference price or one in `start`.")
    start: dict[Ticker, Annotated[float, Field(gt=0)]] = Field({}, description="Prices to start from.")
    seed: int = Field(0, ge=0, description="The same seed gives the same prices.")
    sessions: int = Field(1, ge=1, le=2000, description="Sessions of the past to begin with.")
    rate: float = Field(
        2.0, gt=0, le=100_000, description="Records per second of all tickers, of the past; then each at its own time."
    )
    step: float = Field(5.0, gt=0, description="Seconds of market time between two prices of a ticker.")
    count: int | None = Field(None, ge=1, description="Number of records; absent means until it is stopped.")


class ReplaySource(Source):
    """Recorded prices of CSV files, played again once."""

    kind: Literal["replay"]
    market: Market | None = Field(None, description="Exchange; by default the known instrument's.")
    files: Annotated[tuple[Path, ...], Field(min_length=1)] = Field(
        description="CSV files; a folder stands for all in it."
    )
    speed: float | None = Field(None, gt=0, description="Seconds of market time per second; absent: all at once.")
    max_gap: float = Field(1.0, ge=0, description="Longest wait in seconds, for example over a night.")


AnySource = YahooSource | GbmSource | ReplaySource
KINDS: dict[str, type[AnySource]] = {"gbm": GbmSource, "replay": ReplaySource, "yahoo": YahooSource}


@dataclass(frozen=True)
class Config:
    """The whole file.

    Parameters
    ----------
    topic
        Topic; None is that of prices.
    """

    sources: tuple[AnySource, ...]
    topic: str | None = None


def load(path: Path) -> Config:
    """Read the file.

    Raises
    ------
    ConfigurationError
        It cannot be read, or one line per mistake in it.
    """
    documents = read_yaml(path, "sources", "docs/ingest.md says what it holds")
    document = documents[0] if len(documents) == 1 else None
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path}: holds no mapping with sources; docs/ingest.md shows one")
    try:
        return parse(document)
    except ConfigurationError as error:
        raise ConfigurationError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from None


def parse(document: Mapping[str, Any]) -> Config:
    """Return the sources of a document.

    Raises
    ------
    ConfigurationError
        One line per mistake, with the field's path, the value and what it may be.
    """
    wrong = [f"{key} is unknown; known here: topic, sources" for key in document if key not in ("topic", "sources")]
    topic = document.get("topic")
    if topic is not None and not (isinstance(topic, str) and re.fullmatch(r"[a-zA-Z0-9._-]{1,249}", topic)):
        wrong.append(f"topic: {topic!r} is not a topic's name: 1 to 249 letters, digits, '.', '_' and '-'")
    listed = document.get("sources")
    if not isinstance(listed, list) or not listed:
        wrong.append("sources: needs a list of at least one source")
        listed = []
    sources: list[AnySource] = []
    for number, item in enumerate(listed):
        try:
            sources.append(_source(item))
        except ConfigurationError as error:
            wrong += [f"sources[{number}].{line}" for line in str(error).splitlines()]
    names = [source.name for source in sources]
    wrong += [f"sources: {names.count(name)} have the name {name!r}" for name in set(names) if names.count(name) > 1]
    if wrong:
        raise ConfigurationError("\n".join(wrong))
    return Config(tuple(sources), topic)


def _source(item: Any) -> AnySource:
    kind = item.get("kind") if isinstance(item, Mapping) else None
    if kind not in KINDS:
        raise ConfigurationError(f"kind: {kind!r} is unknown; known: {', '.join(KINDS)}")
    model = KINDS[kind]
    try:
        return model.model_validate(item)
    except ValidationError as error:
        raise ConfigurationError("\n".join(sentences(error.errors(), model))) from None
