"""Settings of the forecast service, read from ``TICKLOOM_SERVE_*`` variables."""

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tickloom.settings import read


def _rate(text: str) -> str:
    from tickloom.serving.protection.keys import rate_of

    rate_of(text)
    return text


class ServeSettings(BaseSettings):
    """What the environment says of the forecast service; every field has a default that works on one machine."""

    model_config = SettingsConfigDict(env_prefix="TICKLOOM_SERVE_", frozen=True)

    workers: int = Field(1, ge=1, le=64, description="Inference processes; each holds all models in memory.")
    data: Path | None = Field(
        None, description="Folder of CSV files of daily bars, one a ticker, instead of the store; for one machine."
    )
    folder: Path | None = Field(
        None, description="Folder that keeps the models that were fetched; without it one in `TICKLOOM_HOME`."
    )
    poll_s: float = Field(5.0, gt=0, le=3600, description="Seconds between two looks at the registry's aliases.")
    refresh_s: float = Field(60.0, gt=0, le=86_400, description="Seconds between two looks for newer bars.")
    drain_s: float = Field(
        0, ge=0, le=300, description="Seconds that it answers on after SIGTERM, until nobody sends requests any more."
    )
    provider: Literal["cpu", "cuda"] = Field(
        "cpu", description="What onnxruntime computes on; `cuda` needs the package onnxruntime-gpu and a GPU."
    )
    timeout_s: float = Field(5.0, gt=0, le=120, description="Seconds after which a forecast is given up.")
    cache: Literal["session", "off"] = Field(
        "session", description="`session` keeps answers until the next close; `off` forecasts for each request."
    )
    redis: str | None = Field(
        None, description="Address of a Redis in which replicas share answers and rates: `redis://redis:6379/0`."
    )
    experiments: Path | None = Field(
        None, description="File of an Experiment, or folder of such files; read again when it changes."
    )
    arm: str | None = Field(
        None, description="Arm that this process answers with, where each arm has a Service of its own."
    )
    ledger: bool = Field(
        True,
        description="Write forecasts to the ledger, where an address of Cassandra is known, and to Kafka likewise.",
    )
    waiting: int = Field(256, ge=1, le=100_000, description="Forecasts that may wait; beyond, requests get 429.")
    shadows: int = Field(
        1024, ge=0, le=100_000, description="Shadow forecasts that may wait; beyond, they are dropped."
    )
    keys: Path | None = Field(
        None, description="File of API keys, YAML or JSON, read again when it changes; `tickloom keys new` makes one."
    )
    issuer: str | None = Field(
        None, pattern=r"^https?://", description="OpenID Connect issuer whose tokens count; without it none do."
    )
    audience: str | None = Field(None, description="What a token's `aud` must hold; needed with an issuer.")
    rate: Annotated[str, AfterValidator(_rate)] | None = Field(
        None,
        description=(
            "Most requests of one caller whose key says nothing else, such as `100/second`; of one address where "
            "neither keys nor an issuer are set."
        ),
    )
    body_bytes: int = Field(
        256 * 1024, ge=1024, le=64 * 1024 * 1024, description="Most bytes of a request's body; beyond, it gets 413."
    )
    body_s: float = Field(10.0, gt=0, le=120, description="Seconds in which a body must be there; else 408.")
    request_s: float = Field(15.0, gt=0, le=120, description="Seconds in which a request must be answered; else 504.")
    in_flight: int = Field(256, ge=1, le=100_000, description="Requests in flight at a time; beyond, they get 429.")
    patience_ms: float = Field(
        25.0,
        gt=0,
        le=60_000,
        description="Milliseconds that a request may have to wait by estimate; beyond, it gets 429 before it is read.",
    )
    patient: int = Field(16, ge=1, le=100_000, description="Requests in flight that are let in whatever the estimate.")
    breaker_failures: int = Field(
        3, ge=1, le=1000, description="Failures of the store in a row, after which it is left alone for a while."
    )
    breaker_s: float = Field(15.0, gt=0, le=3600, description="Seconds for which it is left alone.")
    metrics_open: bool = Field(True, description="Whether `/metrics` asks for neither key nor token.")
    audit: bool = Field(True, description="Whether each request writes a line of JSON to standard error.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.issuer is None) != (self.audience is None):
            raise ValueError("TICKLOOM_SERVE_ISSUER and TICKLOOM_SERVE_AUDIENCE go together: set both or neither")
        return self


@lru_cache(maxsize=1)
def serve_settings() -> ServeSettings:
    """Return the settings of this process, read once.

    Raises
    ------
    ConfigurationError
        A variable has a value that it cannot have.
    """
    return read(ServeSettings)
