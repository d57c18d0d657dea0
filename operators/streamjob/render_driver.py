"""Manifests of the driver: a pod with Spark in local mode, or a SparkApplication with executors."""

import json
from collections.abc import Mapping
from typing import Any

from operators.streamjob import names
from operators.streamjob.access import Access, accesses
from operators.streamjob.render import CONFIG, HOME, Manifest, Subject, labels, meta, of_epoch
from tickloom.stream.deployment import Resources

GRACE_S = 60
MARKET = "/etc/tickloom-market"
_USER = 10001
_ARGUMENTS = ("run", "-f", f"{CONFIG}/job.yaml", "--host", "0.0.0.0", "--port", str(names.PROGRESS_PORT))  # noqa: S104

_SPARK_CONF = {  # what these are about goes with the driver's pod, so that the driver needs no right to delete it
    "spark.kubernetes.driver.service.deleteOnTermination": "false",
    "spark.kubernetes.driver.ownPersistentVolumeClaim": "false",
}


def mebibytes(memory: str) -> int:
    """Return Java's way to write an amount, ``512m`` or ``2g``, in MiB."""
    return int(memory[:-1]) * (1024 if memory[-1] == "g" else 1)


def _claim_name(of: Subject) -> str:
    return of.spec.checkpoint.claim.name or names.claim(of.name)


def _volumes(of: Subject) -> tuple[list[Manifest], list[Manifest]]:
    """Return volumes and their mounts."""
    volumes: list[Manifest] = [
        {"name": "job", "persistentVolumeClaim": {"claimName": _claim_name(of)}},
        {"name": "manifest", "configMap": {"name": names.config(of.name, of.epoch)}},
        {"name": "scratch", "emptyDir": {}},
    ]
    mounts: list[Manifest] = [
        {"name": "job", "mountPath": HOME},
        {"name": "manifest", "mountPath": CONFIG, "readOnly": True},
        {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108
    ]
    for access in _accesses(of):
        if (volume := access.volume()) is not None:
            volumes.append(volume)
            mounts.append({"name": access.part, "mountPath": access.folder, "readOnly": True})
    if lists := _lists(of):
        # optional, for the driver says in words which file is missing, where a pod without its volume only waits
        sources = [
            {"configMap": {"name": config, "items": [{"key": file, "path": file}], "optional": True}}
            for file, config in lists.items()
        ]
        volumes.append({"name": "market", "projected": {"sources": sources}})
        mounts.append({"name": "market", "mountPath": MARKET, "readOnly": True})
    return volumes, mounts


def _lists(of: Subject) -> dict[str, str]:
    """Return the ConfigMap of each file with more than Tickloom ships: instruments, holidays."""
    here = of.installation
    named = {"instruments.csv": here.instruments, "holidays.csv": here.holidays}
    return {file: config for file, config in named.items() if config is not None}


def _accesses(of: Subject) -> tuple[Access, Access]:
    return accesses(of.spec.model_dump(mode="json", by_alias=True, include={"source", "sinks"}), of.installation)


def _environment(of: Subject) -> list[Manifest]:
    here = of.installation
    values = {
        "TICKLOOM_HOME": HOME,
        "TICKLOOM_KAFKA": here.kafka,
        "TICKLOOM_CASSANDRA": here.cassandra,
        "TICKLOOM_KEYSPACE": here.keyspace,
        "TICKLOOM_TOPIC_PREFIX": here.topic_prefix or None,
        "TICKLOOM_REPLICATION": str(here.replication),
        "TICKLOOM_LOG_FORMAT": "json",
        "TICKLOOM_EPOCH": str(of.epoch),
        "TICKLOOM_INCARNATION": str(of.incarnation),
        **{access.variable: access.folder for access in _accesses(of) if access.names},
        **{f"TICKLOOM_{file.removesuffix('.csv').upper()}": f"{MARKET}/{file}" for file in _lists(of)},
        **dict(here.environment),
    }
    return [{"name": name, "value": value} for name, value in values.items() if value is not None]


def _pod_security() -> Manifest:
    return {
        "runAsNonRoot": True,
        "runAsUser": _USER,
        "runAsGroup": _USER,
        "fsGroup": _USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _container_security() -> Manifest:
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def _resources(wanted: Resources) -> Manifest:
    memory = f"{mebibytes(wanted.memory) + mebibytes(wanted.memory_overhead)}Mi"
    return {"requests": {"cpu": _processors(wanted), "memory": memory}, "limits": {"memory": memory}}


def _processors(wanted: Resources) -> str:
    """Return how much of the processors is asked for: what is free may be used beside it."""
    return f"{max(100, wanted.cores * 250)}m"


def _placement(of: Subject) -> Manifest:
    runtime = of.spec.runtime
    out: Manifest = {}
    if runtime.node_selector:
        out["nodeSelector"] = dict(runtime.node_selector)
    if runtime.tolerations:
        out["tolerations"] = [
            item.model_dump(mode="json", by_alias=True, exclude_none=True) for item in runtime.tolerations
        ]
    return out


def _probe(period_s: int, failures: int) -> Manifest:
    return {
        "httpGet": {"path": "/healthz", "port": names.PROGRESS_PORT},
        "periodSeconds": period_s,
        "failureThreshold": failures,
    }


def _container(of: Subject, mounts: list[Manifest], *, driver: bool) -> Manifest:
    """Return what the container of a driver has under either runtime, and that of an executor."""
    out: Manifest = {
        "env": _environment(of),
        "volumeMounts": mounts,
        "securityContext": _container_security(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    if driver:
        out["ports"] = [{"name": "progress", "containerPort": names.PROGRESS_PORT, "protocol": "TCP"}]
        out["readinessProbe"] = _probe(2, 3)
        out["livenessProbe"] = _probe(10, 18)
    return out


def pod(of: Subject) -> Manifest:
    """Return the driver of the runtime ``driverPod``: Spark in local mode."""
    runtime = of.spec.runtime
    volumes, mounts = _volumes(of)
    driver = of.spec.runtime.driver
    mine: Manifest = {
        "metadata": {
            **meta(of, names.driver(of.name, of.epoch), {**of_epoch(of), names.LABEL_ROLE: "driver"}),
            "annotations": {names.HASH: of.hash},
        },
        "spec": {
            "restartPolicy": "Never",  # the operator starts the next one, with a number of its own
            "serviceAccountName": runtime.service_account or of.installation.service_account,
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": GRACE_S,
            "securityContext": _pod_security(),
            "volumes": volumes,
            **_placement(of),
            "containers": [
                {
                    "name": "driver",
                    "image": of.image,
                    "imagePullPolicy": runtime.image_pull_policy,
                    "args": list(_ARGUMENTS),
                    "resources": _resources(driver),
                    **_container(of, mounts, driver=True),
                }
            ],
        },
    }
    if of.installation.image_pull_secrets:
        mine["spec"]["imagePullSecrets"] = [{"name": name} for name in of.installation.image_pull_secrets]
    return {"apiVersion": "v1", "kind": "Pod", **merged(runtime.pod_template.body(), mine)}


def spark_application(of: Subject) -> Manifest:
    """Return the driver of the runtime ``sparkOperator``: kubeflow's SparkApplication with executors."""
    runtime = of.spec.runtime

    def role(name: str, wanted: Resources) -> Manifest:
        return {
            "cores": wanted.cores,
            "coreRequest": _processors(wanted),
            "memory": wanted.memory,
            "memoryOverhead": wanted.memory_overhead,
            "labels": labels(of, {**of_epoch(of), names.LABEL_ROLE: name}),
            "template": _template(of, name),
        }

    account = runtime.service_account or of.installation.spark_service_account
    return {
        "apiVersion": "sparkoperator.k8s.io/v1beta2",
        "kind": "SparkApplication",
        "metadata": {
            **meta(of, names.driver(of.name, of.epoch), of_epoch(of)),
            "annotations": {names.HASH: of.hash},
        },
        "spec": {
            "type": "Python",
            "mode": "cluster",
            "pythonVersion": "3",
            "sparkVersion": runtime.spark_version,
            "image": of.image,
            "imagePullPolicy": runtime.image_pull_policy,
            "imagePullSecrets": list(of.installation.image_pull_secrets),
            "mainApplicationFile": "local:///opt/tickloom/main.py",
            "arguments": list(_ARGUMENTS),
            "sparkConf": dict(_SPARK_CONF),
            # the operator starts the next one, and removes this one when it has read how it ended
            "restartPolicy": {"type": "Never"},
            "driver": {**role("driver", runtime.driver), "serviceAccount": account},
            "executor": {**role("executor", runtime.executor or runtime.driver), "instances": of.spec.replicas},
        },
    }


def _template(of: Subject, role: str) -> Manifest:
    """Return the pod template of a role, which Spark itself reads.

    The fields of a SparkApplication that say the same are heeded only where spark-operator's webhook is on.
    """
    volumes, mounts = _volumes(of)
    container = f"spark-kubernetes-{role}"
    mine: Manifest = {
        "metadata": {"annotations": {names.HASH: of.hash}},
        "spec": {
            "securityContext": _pod_security(),
            "volumes": volumes,
            **_placement(of),
            "containers": [{"name": container, **_container(of, mounts, driver=role == "driver")}],
        },
    }
    template = of.spec.runtime.pod_template.body()
    if role == "driver":
        mine["spec"]["terminationGracePeriodSeconds"] = GRACE_S
    else:
        mine["spec"]["automountServiceAccountToken"] = False
        template = merged(template, of.spec.runtime.executor_pod_template.body())
    return merged(_as_spark_names_it(template, role), mine)


def _as_spark_names_it(template: Mapping[str, Any], role: str) -> Manifest:
    """Return the manifest's pod template with the containers ``driver`` and ``executor`` as Spark calls them."""
    out = merged(template, {})
    spec = out.get("spec")
    if isinstance(spec, dict) and isinstance(spec.get("containers"), list):
        own = {"driver", "executor"}
        spec["containers"] = [
            {**item, "name": f"spark-kubernetes-{role}"} if item.get("name") == role else item
            for item in spec["containers"]
            if item.get("name") == role or item.get("name") not in own
        ]
    return out


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> Manifest:
    """Return ``over`` laid onto ``base``: maps are merged, lists of named things by name, all else replaced."""
    out: Manifest = json.loads(json.dumps(base))
    for key, value in over.items():
        old = out.get(key)
        if isinstance(old, dict) and isinstance(value, Mapping):
            out[key] = merged(old, value)
        elif isinstance(old, list) and isinstance(value, list) and _named(old) and _named(value):
            by_name = {item["name"]: item for item in old}
            for item in value:
                by_name[item["name"]] = merged(by_name.get(item["name"], {}), item)
            out[key] = list(by_name.values())
        else:
            out[key] = value
    return out


def _named(items: list[Any]) -> bool:
    return all(isinstance(item, Mapping) and "name" in item for item in items)
