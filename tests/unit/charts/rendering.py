"""Renders charts as a user's ``helm template`` would."""

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
CHARTS = ROOT / "charts"
INSTALLABLE = (
    "crds",
    "kafka",
    "cassandra",
    "spark",
    "operator",
    "ingest",
    "mlflow",
    "forecast",
    "watch",
    "monitoring",
    "pipelines",
    "tickloom",
)
PROFILES = {
    "default": (),
    "dev": ("values-dev.yaml",),
    "prod": ("values-prod.yaml",),
    "gpu": ("values-prod.yaml", "values-gpu.yaml"),
    "retrain": ("values-dev.yaml", "values-retrain.yaml"),
}
SOURCES = [
    {"name": "always", "kind": "gbm", "tickers": ["AAPL"]},
    {
        "name": "nightly",
        "kind": "gbm",
        "tickers": ["AAPL"],
        "count": 100,
        "pod": {"run": "cron", "schedule": "30 22 * * 1-5"},
    },
    {
        "name": "replay",
        "kind": "replay",
        "files": ["/data"],
        "pod": {
            "run": "once",
            "volumes": [{"name": "data", "configMap": {"name": "minutes"}}],
            "volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": True}],
        },
    },
]
EXPERIMENT: dict[str, Any] = {
    "apiVersion": "tickloom.dev/v1alpha1",
    "kind": "Experiment",
    "metadata": {"name": "lstm-on-casablanca"},
    "spec": {
        "market": "XCAS",
        "mode": "fixed",
        "arms": [
            {"name": "champion", "weight": 0.9},
            {"name": "lstm", "weight": 0.1},
            {"name": "gbm", "shadow": True},
        ],
        "guardrails": {"p99": "60ms", "coverage": {"level": 95, "least": 0.85, "sessions": 60}},
    },
}
ARMS: dict[str, Any] = {
    "serviceMode": "perArm",
    "experiments": [EXPERIMENT],
    "route": {"enabled": True},
}
OPERATED: dict[str, Any] = {
    "mode": "cass-operator",
    "global": {
        "cassandra": {
            "contactPoints": "{{ .Release.Name }}-cassandra-dc1-service.{{ .Release.Namespace }}.svc:9042",
            "credentialsSecret": "{{ .Release.Name }}-cassandra-superuser",
        }
    },
}
"""Values of the chart cassandra for a data centre of cass-operator's, and what its clients then say."""
WITH_STRIMZI = {
    "bootstrapServers": "{{ .Release.Name }}-kafka-kafka-bootstrap.{{ .Release.Namespace }}.svc:9093",
    "strimziCluster": "{{ .Release.Name }}-kafka",
}
TOGGLES: dict[str, dict[str, Any]] = {
    "everything": {
        "global": {"imageRegistry": "registry.example.com/markets", "imagePullSecrets": ["pull"]},
        "operator": {"replicas": 2, "shards": 2},
        "spark": {
            "quota": {"enabled": True, "hard": {"requests.memory": "64Gi", "pods": "200"}},
            "priorityClasses": {"create": True},
            "submitters": [{"name": "spark-operator-controller", "namespace": "spark-operator"}],
        },
        "cassandra": {
            "backup": {"enabled": True, "upload": {"image": "example/aws:2", "command": ["true"], "secret": "s3"}},
            "restore": {"tag": "20260102T030405Z"},
        },
        "mlflow": {"enabled": True},
        "ingest": {"sources": SOURCES},
        "forecast": {
            "enabled": True,
            "experiments": [EXPERIMENT],
            "judge": {"enabled": True, "credentialsSecret": "mlflow-editor"},
            "auth": {"keysSecret": "keys", "issuer": "https://login.example.com", "audience": "forecasts"},
            "redis": {"url": "redis://redis.{{ .Release.Namespace }}.svc:6379/0"},
            "ingress": {"enabled": True, "host": "forecasts.example.com", "tlsSecret": "forecasts-tls"},
            "gpu": {"enabled": True},
            "settings": {"timeout_s": 3, "waiting": 100000, "ledger": False, "cache": "off"},
        },
        "watch": {"enabled": True, "namespaces": ["a", "b"]},
        "monitoring": {
            "enabled": True,
            "monitors": {"labels": {"release": "prom"}, "jobNamespaces": ["a", "b"], "interval": "15s"},
            "rules": {"labels": {"release": "prom"}, "runbooks": "https://git.example.com/tickloom/"},
            "dashboards": {"annotations": {"grafana_folder": "Tickloom"}},
        },
    },
    "namespaced": {"operator": {"watch": {"namespaces": ["a", "b"]}}, "spark": {"namespaces": ["a", "b"]}},
    "open": {
        part: {"networkPolicy": {"enabled": False}}
        for part in ("kafka", "cassandra", "spark", "operator", "ingest", "mlflow", "forecast", "watch")
    },
    "external stores": {
        "global": {
            "kafka": {"bootstrapServers": "k1:9094,k2:9095", "credentialsSecret": "kafka"},
            "cassandra": {"contactPoints": "c1:9142"},
        },
        "kafka": {"enabled": False},
        "cassandra": {"enabled": False},
        "ingest": {"sources": SOURCES},
    },
    "cass-operator with TLS": {
        "global": {
            "cassandra": {
                **OPERATED["global"]["cassandra"],
                "credentialsSecret": "stream",
                "certificatesSecret": "{{ .Release.Name }}-client",
            }
        },
        "cassandra": {
            "mode": "cass-operator",
            "backup": {"enabled": True, "volume": {"accessMode": "ReadWriteMany"}},
            "cassOperator": {
                "superuserSecret": "root",
                "users": [{"secretName": "stream", "superuser": False}],
                "clientTls": {"issuer": {"name": "ours", "kind": "ClusterIssuer"}, "clientCertificates": True},
            },
        },
    },
    "a service for each arm": {
        "forecast": {
            **ARMS,
            "enabled": True,
            "autoscaling": {
                "by": "keda",
                "minReplicas": 0,
                "keda": {"markets": ["XCAS", "XNYS"], "prometheus": "http://prometheus.monitoring.svc:9090"},
            },
        }
    },
    "strimzi alone": {
        "global": {"kafka": WITH_STRIMZI},
        "kafka": {"mode": "strimzi", "topics": {"names": {"prices": "morocco-stock-prices"}}},
    },
    "strimzi without zones": {
        "global": {"kafka": WITH_STRIMZI},
        "kafka": {"mode": "strimzi", "strimzi": {"rackTopologyKey": ""}},
    },
    "mlflow with PostgreSQL and S3": {
        "mlflow": {
            "enabled": True,
            "replicas": 2,
            "auth": {"existingSecret": "mlflow-admin"},
            "database": {"existingSecret": "mlflow-database", "certificatesSecret": "postgresql-authority"},
            "artifacts": {"destination": "s3://bucket/mlflow", "endpoint": "http://minio:9000"},
        }
    },
    "operator alone": {
        part: {"enabled": False} for part in ("kafka", "cassandra", "spark", "ingest", "crds", "mlflow")
    },
    "placed": {
        "kafka": {"dev": {"placement": {"nodeSelector": {"disk": "ssd"}, "priorityClassName": "high"}}},
        "operator": {"image": {"digest": "sha256:" + "a" * 64}},
    },
}
CASES = {
    **{f"profile {name}": ({}, files) for name, files in PROFILES.items()},
    **{name: (values, ()) for name, values in TOGGLES.items()},
}
"""Values and their files that the whole is rendered with."""


class RefusedError(AssertionError):
    """Helm refused the values or the template."""


@dataclass(frozen=True)
class Charts:
    """Copies of the charts with their dependencies beside them."""

    folder: Path
    environment: dict[str, str]
    _rendered: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def helm(self, *arguments: str, given: str | None = None) -> str:
        """Run helm; what it says when it fails is the error's text."""
        where = {"cwd": self.folder, "env": self.environment}
        done = subprocess.run(["helm", *arguments], **where, input=given, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RefusedError(done.stderr or done.stdout)
        return done.stdout

    def text(
        self,
        chart: str,
        values: dict[str, Any] | None = None,
        files: tuple[str, ...] = (),
        release: str = "tickloom",
        namespace: str = "demo",
    ) -> str:
        """Return what ``helm template`` prints."""
        chosen = [part for name in files for part in ("-f", f"{chart}/{name}")]
        return self.helm(
            "template", release, chart, "-n", namespace, *chosen, "-f", "-", given=json.dumps(values or {})
        )

    def render(
        self, chart: str, values: dict[str, Any] | None = None, files: tuple[str, ...] = (), **where: str
    ) -> list[dict[str, Any]]:
        """Return the manifests of a chart."""
        key = json.dumps([chart, values, files, where], sort_keys=True)
        if key not in self._rendered:
            documents = yaml.safe_load_all(self.text(chart, values, files, **where))
            self._rendered[key] = [it for it in documents if it]
        return json.loads(json.dumps(self._rendered[key]))


def of_bases(name: str = "*") -> list[dict[str, Any]]:
    """Return the manifests of the bases for kustomize."""
    paths = sorted((ROOT / "manifests" / "base").glob(f"{name}/*.yaml"))
    found = [it for path in paths for it in yaml.safe_load_all(path.read_text(encoding="utf-8"))]
    return [it for it in found if it["kind"] != "Kustomization"]


def of_kind(manifests: list[dict[str, Any]], *kinds: str) -> list[dict[str, Any]]:
    """Return the manifests of the kinds."""
    return [it for it in manifests if it["kind"] in kinds]


def named(manifests: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    """Return the one manifest of a kind and a name."""
    (found,) = (it for it in manifests if it["kind"] == kind and it["metadata"]["name"] == name)
    return found


def pod_spec(manifest: dict[str, Any]) -> dict[str, Any] | None:
    """Return the pod that a workload makes; None where it is no workload."""
    spec = manifest.get("spec") or {}
    if manifest["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    if manifest["kind"] not in ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"):
        return None
    return spec["template"]["spec"]


def pod_labels(manifest: dict[str, Any]) -> dict[str, str]:
    """Return the labels of the pods that a workload makes."""
    spec = manifest["spec"]["jobTemplate"]["spec"] if manifest["kind"] == "CronJob" else manifest["spec"]
    return spec["template"]["metadata"]["labels"]


def containers(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a pod's containers, initial ones too."""
    return [*spec.get("initContainers", []), *spec["containers"]]


def environment(container: dict[str, Any]) -> dict[str, Any]:
    """Return a container's variables: a text, or where it comes from."""
    return {it["name"]: it.get("value", it.get("valueFrom")) for it in container.get("env", [])}
