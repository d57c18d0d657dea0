"""Where a task runs, and what its pod is given: resources, GPUs, nodes, Secrets, the volume, new tries, the cache."""

from dataclasses import dataclass
from typing import Any

from kfp import kubernetes

from pipelines.runtime import LOGIN, RUN, WORK
from pipelines.settings import MOUNT, Settings

CREDENTIALS = "/etc/tickloom/cassandra"


@dataclass(frozen=True)
class Placement:
    """Puts tasks of one pipeline in their place.

    Attributes
    ----------
    settings : Settings
        What is decided when the pipeline is compiled.
    cpu, memory, accelerator, gpus, node_selector, tolerations
        Parameters of the pipeline, for the steps that tune, train and evaluate, where it has such. All but the last two
        are text, also ``gpus``: Kubeflow's driver reads a number there as nothing.
    """

    settings: Settings
    cpu: Any = None
    memory: Any = None
    accelerator: Any = None
    gpus: Any = None
    node_selector: Any = None
    tolerations: Any = None

    def small(self, task: Any, *, cached: bool, name: str, retries: int | None = None) -> Any:
        """Place a step that neither tunes, trains nor evaluates: a small size that is compiled in, any node."""
        settings = self.settings
        task.set_cpu_limit(settings.cpu).set_memory_limit(settings.memory)
        return self._common(task, settings.retries if retries is None else retries, cached, name)

    def large(self, task: Any, *, name: str, spot: bool = False) -> Any:
        """Place a step that works for long on a processor: its size is a parameter of the run."""
        task.set_cpu_limit(self.cpu).set_memory_limit(self.memory)
        return self._common(task, self.settings.train_retries if spot else self.settings.retries, True, name)

    def gpu(self, task: Any, *, name: str) -> Any:
        """Place a step that may have GPUs, on the nodes of its pool, and is tried again when a spot node is lost."""
        self.large(task, name=name, spot=True)
        task.set_accelerator_type(self.accelerator).set_accelerator_limit(self.gpus)
        kubernetes.add_node_selector_json(task, self.node_selector)
        kubernetes.add_toleration_json(task, self.tolerations)
        return task

    def _common(self, task: Any, retries: int, cached: bool, name: str) -> Any:
        settings = self.settings
        task.set_display_name(name)
        task.set_caching_options(cached)
        task.set_container_image(settings.image)
        if retries:
            task.set_retry(retries, f"{settings.backoff_s}s", 2.0, "600s")
        kubernetes.set_image_pull_policy(task, settings.image_pull_policy)
        if settings.image_pull_secrets:
            kubernetes.set_image_pull_secrets(task, list(settings.image_pull_secrets))
        if settings.timeout_s:
            kubernetes.set_timeout(task, settings.timeout_s)
        if settings.volume:
            kubernetes.mount_pvc(task, settings.volume, MOUNT)
            task.set_env_variable(WORK, f"{MOUNT}/retrain")
            task.set_env_variable("TICKLOOM_CACHE", f"{MOUNT}/cache")  # compiled kernels, which else each pod compiles
            kubernetes.use_field_path_as_env(task, RUN, "metadata.labels['pipeline/runid']")
        return task

    def registry(self, task: Any) -> Any:
        """Give a task the address of MLflow and who one is there."""
        self._addresses(task, {"mlflow": "TICKLOOM_MLFLOW"})
        kubernetes.use_secret_as_env(
            task,
            self.settings.mlflow_secret,
            {"username": "MLFLOW_TRACKING_USERNAME", "password": "MLFLOW_TRACKING_PASSWORD"},
            optional=True,
        )
        return task

    def store(self, task: Any) -> Any:
        """Give a task the address of Cassandra and who one is there."""
        self._addresses(task, {"cassandra": "TICKLOOM_CASSANDRA", "keyspace": "TICKLOOM_KEYSPACE"})
        if self.settings.cassandra_secret:
            kubernetes.use_secret_as_volume(task, self.settings.cassandra_secret, CREDENTIALS, optional=True)
            task.set_env_variable(LOGIN, CREDENTIALS)
        return task

    def _addresses(self, task: Any, keys: dict[str, str]) -> None:
        kubernetes.use_config_map_as_env(task, self.settings.config_map, keys, optional=True)
