"""Settings of the forecast service, read from ``TICKLOOM_SERVE_*`` variables."""

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


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
    timeout_s: float = Field(5.0, gt=0, le=120, description="Seconds after which a forecast is given up.")
    cache: Literal["session", "off"] = Field(
        "session", description="`session` keeps answers until the next close; `off` forecasts for each request."
    )
    redis: str | None = Field(
        None, description="Address of a Redis in which replicas share answers, such as `redis://redis:6379/0`."
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


@lru_cache(maxsize=1)
def serve_settings() -> ServeSettings:
    """Return the settings of this process, read once."""
    return ServeSettings()
