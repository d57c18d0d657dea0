"""Where a task runs, and what its pod is given: resources, GPUs, nodes, Secrets, the volume, new tries, the cache."""

from typing import Any

from kfp import kubernetes

from pipelines.settings import MOUNT, Settings

CREDENTIALS = "/etc/tickloom/cassandra"


class Placement:
    """Puts tasks of one pipeline in their place.

    Parameters
    ----------
    settings
        What is decided when the pipeline is compiled.
    cpu, memory, accelerator, gpus, node_selector, tolerations
        Parameters of the pipeline, for the steps that tune, train and evaluate. All but the last two are text, also
        ``gpus``: Kubeflow's driver reads a number there as nothing.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        cpu: Any,
        memory: Any,
        accelerator: Any,
        gpus: Any,
        node_selector: Any,
        tolerations: Any,
    ) -> None:
        self._settings = settings
        self._size = cpu, memory
        self._gpu = accelerator, gpus
        self._nodes = node_selector, tolerations

    def small(self, task: Any, *, cached: bool, name: str, retries: int | None = None) -> Any:
        """Place a step that neither tunes, trains nor evaluates: a small size that is compiled in, any node."""
        settings = self._settings
        task.set_cpu_limit(settings.cpu).set_memory_limit(settings.memory)
        return self._common(task, settings.retries if retries is None else retries, cached, name)

    def large(self, task: Any, *, name: str, retries: int | None = None) -> Any:
        """Place a step that works for long on a processor: its size is a parameter of the run."""
        cpu, memory = self._size
        task.set_cpu_limit(cpu).set_memory_limit(memory)
        return self._common(task, self._settings.retries if retries is None else retries, True, name)

    def gpu(self, task: Any, *, name: str) -> Any:
        """Place a step that may have GPUs, on the nodes of its pool, and is tried again when a spot node is lost."""
        accelerator, gpus = self._gpu
        node_selector, tolerations = self._nodes
        self.large(task, name=name, retries=self._settings.train_retries)
        task.set_accelerator_type(accelerator).set_accelerator_limit(gpus)
        kubernetes.add_node_selector_json(task, node_selector)
        kubernetes.add_toleration_json(task, tolerations)
        return task

    def _common(self, task: Any, retries: int, cached: bool, name: str) -> Any:
        settings = self._settings
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
            task.set_env_variable("TICKLOOM_RETRAIN_WORK", f"{MOUNT}/retrain")
            kubernetes.use_field_path_as_env(task, "TICKLOOM_RETRAIN_RUN", "metadata.labels['pipeline/runid']")
        return task

    def registry(self, task: Any) -> Any:
        """Give a task the address of MLflow and who one is there."""
        self._addresses(task, {"mlflow": "TICKLOOM_MLFLOW"})
        kubernetes.use_secret_as_env(
            task,
            self._settings.mlflow_secret,
            {"username": "MLFLOW_TRACKING_USERNAME", "password": "MLFLOW_TRACKING_PASSWORD"},
            optional=True,
        )
        return task

    def store(self, task: Any) -> Any:
        """Give a task the address of Cassandra and who one is there."""
        self._addresses(task, {"cassandra": "TICKLOOM_CASSANDRA", "keyspace": "TICKLOOM_KEYSPACE"})
        kubernetes.use_secret_as_volume(task, self._settings.cassandra_secret, CREDENTIALS, optional=True)
        task.set_env_variable("TICKLOOM_CASSANDRA_CREDENTIALS", CREDENTIALS)
        return task

    def _addresses(self, task: Any, keys: dict[str, str]) -> None:
        kubernetes.use_config_map_as_env(task, self._settings.config_map, keys, optional=True)
