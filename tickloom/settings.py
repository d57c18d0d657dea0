"""Settings read from ``TICKLOOM_*`` variables, each documented in ``docs/settings.md``."""

from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from tickloom.errors import ConfigurationError

S = TypeVar("S", bound=BaseSettings)


class Settings(BaseSettings):
    """What the environment says; every field has a default that works on one machine."""

    model_config = SettingsConfigDict(env_prefix="TICKLOOM_", frozen=True)

    home: Path = Field(Path(".tickloom"), description="Folder of the embedded stack: jars, data, logs, ports.")
    data: Path | None = Field(None, description="Folder of real market data that `make demo` and the tests read.")
    java_home: Path | None = Field(
        None, description="Java 17 to use; without it JAVA_HOME, then the usual folders, then PATH are searched."
    )
    ivy_settings: Path | None = Field(
        None, description="Ivy settings file that names a mirror to fetch jars from, instead of Ivy's default."
    )
    kafka: str | None = Field(
        None, description="Kafka bootstrap servers; without it the embedded broker's address in `home`."
    )
    kafka_credentials: Path | None = Field(
        None,
        description=(
            "Folder with Kafka's credentials, as Kubernetes mounts a Secret: files `username` and `password`, and "
            "where they differ from SASL_SSL and SCRAM-SHA-512, `protocol` and `mechanism`; `ca.crt` where the "
            "brokers' authority is private. Without `username`, the one in Strimzi's `sasl.jaas.config` counts."
        ),
    )
    cassandra: str | None = Field(
        None, description="Cassandra contact points, `host[:port],…`; without it the embedded node's address in `home`."
    )
    cassandra_credentials: Path | None = Field(
        None,
        description=(
            "Folder with Cassandra's credentials, as Kubernetes mounts a Secret: files `username` and `password`; "
            "`ca.crt`, the nodes' authority, turns TLS on, and so does `tls` with `on`, for which the system's "
            "authorities count; `tls.crt` and `tls.key` where the nodes ask for a client's certificate; `server-name`, "
            "the name that every node's certificate must bear (`*`: any), where it is not the contact point's host."
        ),
    )
    keyspace: str = Field("tickloom", description="Cassandra keyspace.", pattern=r"^[a-z][a-z0-9_]{0,47}$")
    mlflow: str | None = Field(
        None,
        description=(
            "Tracking URI of the MLflow that remembers trained models; without it a database in `home`. Who one is, "
            "MLflow reads from `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`."
        ),
    )
    commit: str | None = Field(
        None,
        description=(
            "Commit that the installed code was built from; registered models name it in their lineage. Without it "
            "that of the checkout that the code lies in."
        ),
    )
    pipelines: Path | None = Field(
        None,
        description=(
            "Python environment that holds kfp, for `tickloom pipelines`; without it `.venv-pipelines` beside the one "
            "that runs."
        ),
    )
    kfp: str | None = Field(None, description="Address of Kubeflow Pipelines' API, such as `http://127.0.0.1:8888`.")
    kfp_token: SecretStr = Field(SecretStr(""), description="Bearer token for that API, where it asks for one.")
    replication: int = Field(
        1, ge=1, le=5, description="Replication of topics and keyspace: 1 on one machine, 3 in production."
    )
    topic_prefix: str = Field("", description="Put before every topic's name, for example `morocco-`.")
    instruments: Path | None = Field(
        None, description="CSV of further instruments: ticker,name,exchange,currency,sector,isin."
    )
    holidays: Path | None = Field(
        None, description="CSV of announced holidays that correct the Casablanca calendar: date,name,open|closed|half."
    )
    cache: Path = Field(
        Path.home() / ".cache" / "tickloom", description="Folder of downloaded prices and compiled kernels."
    )
    epoch: int | None = Field(
        None,
        ge=0,
        description=(
            "Number of this start of a StreamJob, higher than every earlier one's; a start with a lower number is "
            "refused, and a driver with a lower number stops. Without it, nobody looks."
        ),
    )
    incarnation: int = Field(
        0,
        ge=0,
        description=(
            "Goes before the epoch, for the epochs of a StreamJob that was deleted and made anew begin at 1 again; "
            "the operator gives the second in which it was made."
        ),
    )
    log_format: Literal["console", "json"] = Field("console", description="`console` for people, `json` for pods.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least severe log line printed."
    )


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings of this process, read once.

    Raises
    ------
    ConfigurationError
        A variable has a value that it cannot have.
    """
    return read(Settings)


def read(kind: type[S]) -> S:
    """Read settings from the environment.

    Raises
    ------
    ConfigurationError
        A variable has a value that it cannot have.
    """
    try:
        return kind()
    except ValidationError as error:
        prefix = kind.model_config.get("env_prefix", "")
        raise ConfigurationError("\n".join(_sentence(item, prefix) for item in error.errors())) from None


def _sentence(item: ErrorDetails, prefix: str) -> str:
    if not item["loc"]:
        return item["msg"].removeprefix("Value error, ")
    name = "_".join(str(part) for part in item["loc"]).upper()
    variable = f"{prefix}{name} {item['input']!r}"
    if item["type"] == "literal_error":
        return f"{variable} is unknown; known: {item['ctx']['expected']}"
    if item["type"] == "string_pattern_mismatch" and name == "KEYSPACE":
        return f"{variable} is no name of a keyspace: 1 to 48 small letters, digits and '_', the first a letter"
    said = item["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return f"{variable} {said}; docs/settings.md says what it may be"
