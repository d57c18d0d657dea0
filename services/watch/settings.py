"""Settings of the watch, read from ``TICKLOOM_WATCH_*`` variables."""

from functools import lru_cache

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from tickloom.settings import read


class WatchSettings(BaseSettings):
    """What the environment says of the watch."""

    model_config = SettingsConfigDict(env_prefix="TICKLOOM_WATCH_", frozen=True)

    namespaces: str = Field(
        "", description="Namespaces whose StreamJobs are looked at, separated by commas; empty: the pod's own."
    )
    features: bool = Field(True, description="Look at features, too.")


@lru_cache(maxsize=1)
def settings() -> WatchSettings:
    """Return the settings of this process, read once; raises as `tickloom.settings.read` does."""
    return read(WatchSettings)
