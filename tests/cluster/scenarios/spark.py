"""Stands in for kubeflow's spark-operator: makes the driver pod of a SparkApplication and tells how it fares."""

import contextlib
import threading
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from tests.cluster.scenarios.jobs import JOB

WHERE = ("sparkoperator.k8s.io", "v1beta2")
PLURAL = "sparkapplications"
LOOK_S = 0.3


class SparkOperator:
    """Looks after the SparkApplications of a namespace while the context lasts.

    The driver pod belongs to the SparkApplication, so it goes some time after it.
    """

    def __init__(self, kube: Any, namespace: str) -> None:
        self._api = client.CustomObjectsApi(kube)
        self._core = client.CoreV1Api(kube)
        self._namespace = namespace
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "SparkOperator":
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._stop.set()
        self._thread.join(10)

    def applications(self, job: str) -> list[dict[str, Any]]:
        """Return the SparkApplications of a job that have not ended."""
        found = self._api.list_namespaced_custom_object(*WHERE, self._namespace, PLURAL, label_selector=f"{JOB}={job}")[
            "items"
        ]
        return [it for it in found if self._state(it) not in ("COMPLETED", "FAILED")]

    def fail(self, job: str, message: str) -> None:
        """Have the present SparkApplication of a job fail."""
        (found,) = self.applications(job)
        self._core.delete_namespaced_pod(self._pod(found), self._namespace, grace_period_seconds=0)
        self._tell(found, "FAILED", message)

    def _run(self) -> None:
        while not self._stop.wait(LOOK_S):
            for it in self._api.list_namespaced_custom_object(*WHERE, self._namespace, PLURAL)["items"]:
                with contextlib.suppress(ApiException):  # it may be gone by now
                    if not self._state(it):
                        self._submit(it)

    @staticmethod
    def _state(application: dict[str, Any]) -> str:
        return str(((application.get("status") or {}).get("applicationState") or {}).get("state", ""))

    @staticmethod
    def _pod(application: dict[str, Any]) -> str:
        return f"{application['metadata']['name']}-driver"

    def _tell(self, application: dict[str, Any], state: str, message: str = "") -> None:
        status = {
            "applicationState": {"state": state, "errorMessage": message},
            "driverInfo": {"podName": self._pod(application)},
            "submissionAttempts": 1,
            "executionAttempts": 1,
        }
        name = application["metadata"]["name"]
        self._api.patch_namespaced_custom_object_status(*WHERE, self._namespace, PLURAL, name, {"status": status})

    def _submit(self, application: dict[str, Any]) -> None:
        meta, spec = application["metadata"], application["spec"]
        owner = {
            "apiVersion": "/".join(WHERE),
            "kind": "SparkApplication",
            "name": meta["name"],
            "uid": meta["uid"],
            "controller": True,
        }
        template = spec["driver"]["template"]
        (given,) = template["spec"]["containers"]
        container = {
            "name": given["name"],
            "image": spec["image"],
            "imagePullPolicy": spec["imagePullPolicy"],
            "env": given["env"],
        }
        pod = {
            "metadata": {
                "name": self._pod(application),
                "labels": spec["driver"]["labels"],
                "annotations": template["metadata"]["annotations"],
                "ownerReferences": [owner],
            },
            "spec": {"restartPolicy": "Never", "containers": [container]},
        }
        self._core.create_namespaced_pod(self._namespace, pod)
        self._tell(application, "RUNNING")
