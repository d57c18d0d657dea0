"""What is decided when a pipeline is compiled: image, names of Secrets and of a volume, retries, small sizes."""

from pathlib import Path

from pydantic import Field, ValidationError

from tickloom import __version__
from tickloom.errors import ConfigurationError
from tickloom.manifest.document import read_yaml
from tickloom.manifest.mistakes import sentences
from tickloom.manifest.model import Model, ObjectName, Quantity

MOUNT = "/var/lib/tickloom"
"""Where the volume and the folder of data are mounted in a pod; the image's user may write there."""


class Settings(Model):
    """What cannot be a parameter of a run, since Kubeflow needs it when it compiles.

    What a run may choose for itself (CPU, memory, GPUs, node selector, tolerations) are parameters of the pipelines.
    """

    image: str = Field(f"tickloom/retrain:{__version__}", min_length=1, description="Image of every step.")
    image_pull_policy: str = Field("IfNotPresent", pattern="^(Always|IfNotPresent|Never)$")
    image_pull_secrets: tuple[ObjectName, ...] = Field((), description="Names of Secrets to pull the image with.")
    config_map: ObjectName = Field(
        "tickloom-retrain",
        description="ConfigMap whose keys `mlflow`, `cassandra`, `keyspace` are addresses; may be missing.",
    )
    mlflow_secret: ObjectName = Field(
        "tickloom-mlflow", description="Secret with `username` and `password` for MLflow; may be missing."
    )
    cassandra_secret: ObjectName | None = Field(
        "tickloom-cassandra",
        description="Secret as TICKLOOM_CASSANDRA_CREDENTIALS wants it; may be missing. null: none is mounted.",
    )
    volume: ObjectName | None = Field(
        None,
        description="PersistentVolumeClaim of checkpoints, journal and prices; without it a lost training begins anew.",
    )
    retries: int = Field(2, ge=0, le=10, description="Times that a failed step is tried again.")
    train_retries: int = Field(
        5, ge=0, le=50, description="The same of tuning and training, which lose their node in a spot pool."
    )
    backoff_s: int = Field(30, ge=0, le=3600, description="Seconds before the first new try; then twice as long.")
    parallelism: int = Field(0, ge=0, le=100, description="Pairs of ticker and model at the same time; 0: all.")
    cpu: Quantity = Field("1", description="CPU of the steps that neither tune, train nor evaluate.")
    memory: Quantity = Field("2Gi", description="Memory of the same.")
    timeout_s: int = Field(0, ge=0, description="Seconds after which a step's pod is ended; 0: never.")


def read(path: Path | None) -> Settings:
    """Read settings from a YAML file; without one, return the defaults.

    Raises
    ------
    ConfigurationError
        It is missing, no YAML, or holds what may not be.
    """
    if path is None:
        return Settings()
    found = read_yaml(path, "settings of pipelines", "pipelines/settings.py says what it may hold")
    if len(found) > 1 or not all(isinstance(it, dict) for it in found):
        raise ConfigurationError(f"{path}: must be one mapping of settings, such as `volume: tickloom-retrain`")
    try:
        return Settings.model_validate(found[0] if found else {})
    except ValidationError as error:
        lines = [f"{path}: {it}" for it in sentences(error.errors(), Settings)]
        raise ConfigurationError("\n".join(lines)) from None
