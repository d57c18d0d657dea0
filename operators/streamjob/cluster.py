"""The API server, as paths and JSON: every request of the operator goes through here."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from operators.streamjob import names
from tickloom.errors import TickloomError

Body = dict[str, Any]

KINDS: dict[str, tuple[str, str]] = {
    "StreamJob": (f"/apis/{names.API_VERSION}", names.PLURAL),
    "Pod": ("/api/v1", "pods"),
    "ConfigMap": ("/api/v1", "configmaps"),
    "Service": ("/api/v1", "services"),
    "Secret": ("/api/v1", "secrets"),
    "Node": ("/api/v1", "nodes"),
    "Event": ("/api/v1", "events"),
    "PersistentVolumeClaim": ("/api/v1", "persistentvolumeclaims"),
    "PodDisruptionBudget": ("/apis/policy/v1", "poddisruptionbudgets"),
    "Deployment": ("/apis/apps/v1", "deployments"),
    "Lease": ("/apis/coordination.k8s.io/v1", "leases"),
    "SparkApplication": ("/apis/sparkoperator.k8s.io/v1beta2", "sparkapplications"),
    "KafkaTopic": ("/apis/kafka.strimzi.io/v1", "kafkatopics"),
}
"""Each kind with its API and its plural."""
OPTIONAL = ("SparkApplication", "KafkaTopic")
"""Kinds that a cluster need not know."""
TIMEOUT_S = (5, 20)
OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
"""Where a pod finds the namespace that it is in."""


@dataclass
class Refused(Exception):  # noqa: N818 (it is an answer)
    """An answer that is not a success.

    Parameters
    ----------
    status
        HTTP status; 0 where no answer came.
    message
        The server's own words.
    retry_after_s
        What the server asked for, if it did.
    """

    status: int
    message: str
    retry_after_s: float | None = None

    def __str__(self) -> str:
        return f"{self.status or 'no answer'}: {self.message}"

    @property
    def passing(self) -> bool:
        """Whether trying again may help."""
        return self.status in (0, 408, 409, 429) or self.status >= 500


def namespace_of(context: str | None = None) -> str:
    """Return the namespace that ``kubectl`` takes where none is named.

    Parameters
    ----------
    context
        Context of the kubeconfig, as for `Cluster`, which can be made where this is asked.
    """
    if context is None and _inside():
        return OWN_NAMESPACE.read_text(encoding="utf-8").strip()
    contexts, current = config.list_kube_config_contexts()  # type: ignore[no-untyped-call]
    chosen = current if context is None else next(item for item in contexts if item["name"] == context)
    return str(chosen["context"].get("namespace") or "default")


def _inside() -> bool:
    """Say whether the pod's own service account is asked for, not a kubeconfig."""
    return "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ


class Cluster:
    """Requests to one API server.

    Parameters
    ----------
    context
        Context of the kubeconfig; by default the pod's own service account, or the kubeconfig's current context.
    connections
        Most connections that are kept open.
    """

    def __init__(self, context: str | None = None, *, connections: int = 16) -> None:
        settings = client.Configuration()
        settings.connection_pool_maxsize = connections
        settings.retries = False
        try:
            if context is None and _inside():
                config.load_incluster_config(client_configuration=settings)  # type: ignore[no-untyped-call]
            else:
                config.load_kube_config(context=context, client_configuration=settings)  # type: ignore[no-untyped-call]
        except (config.ConfigException, OSError) as error:
            raise TickloomError(
                f"no cluster: {str(error).splitlines()[0]}; set KUBECONFIG, or name a context with --context"
            ) from None
        self._api = client.ApiClient(settings)

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content: str = "application/json",
    ) -> Body:
        """Return the answer to one request.

        Raises
        ------
        Refused
            The server said no, or said nothing.
        """
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = content
        self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        address = f"{self._api.configuration.host}{path}" + (f"?{urlencode(query)}" if query else "")
        try:
            rest: Any = self._api.rest_client
            answer = rest.request(method, address, headers, body, _request_timeout=TIMEOUT_S)
            text = answer.read().decode("utf-8", "replace")
        except ApiException as error:
            raise Refused(int(error.status or 0), f"{method} {path}: {error.reason}") from None
        except HTTPError as error:
            raise Refused(0, f"{method} {path}: {error}") from None
        if answer.status >= 300:
            raise Refused(answer.status, _message(text, method, path), wait_seconds(answer.headers.get("Retry-After")))
        found: Body = json.loads(text) if text.startswith("{") else {}
        return found

    def get(self, kind: str, namespace: str, name: str) -> Body | None:
        """Return an object, or None where there is none."""
        try:
            return self.request("GET", path_of(kind, namespace, name))
        except Refused as error:
            if error.status == 404:
                return None
            raise

    def list(self, kind: str, namespace: str | None, selector: str | None = None) -> list[Body]:
        """Return the objects of a kind; none where the cluster does not know it."""
        query = {"labelSelector": selector} if selector else {}
        try:
            found = self.request("GET", path_of(kind, namespace), query=query)
        except Refused as error:
            if error.status == 404:
                return []
            raise
        api = KINDS[kind][0].removeprefix("/apis/").removeprefix("/api/")
        return [{"apiVersion": api, "kind": kind, **item} for item in found.get("items", [])]

    def count(self, kind: str, namespace: str | None) -> int:
        """Return how many objects of a kind there are."""
        found = self.request("GET", path_of(kind, namespace), query={"limit": "1"})
        return len(found["items"]) + int(found["metadata"].get("remainingItemCount", 0))

    def apply(self, manifest: Mapping[str, Any], *, subresource: str = "") -> Body:
        """Apply a manifest on the server's side as the operator, and return the object."""
        meta = manifest["metadata"]
        path = path_of(manifest["kind"], meta["namespace"], meta["name"]) + (f"/{subresource}" if subresource else "")
        query = {"fieldManager": names.FIELD_OWNER, "force": "true"}
        return self.request("PATCH", path, manifest, query=query, content="application/apply-patch+yaml")

    def create(self, manifest: Mapping[str, Any]) -> Body:
        """Create an object."""
        query = {"fieldManager": names.FIELD_OWNER}
        return self.request("POST", path_of(manifest["kind"], manifest["metadata"]["namespace"]), manifest, query=query)

    def replace(self, manifest: Mapping[str, Any]) -> Body:
        """Replace an object that is still the one whose version the manifest names."""
        meta = manifest["metadata"]
        return self.request("PUT", path_of(manifest["kind"], meta["namespace"], meta["name"]), manifest)

    def delete(self, kind: str, namespace: str, name: str, uid: str) -> None:
        """Delete an object, if it is still the one with that uid; its own are removed in the background."""
        body = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        try:
            self.request("DELETE", path_of(kind, namespace, name), body)
        except Refused as error:
            if error.status not in (404, 409):
                raise

    def installed(self) -> frozenset[str]:
        """Return which of the optional kinds the cluster knows."""
        known: set[str] = set()
        for kind in OPTIONAL:
            api, plural = KINDS[kind]
            try:
                resources = self.request("GET", api).get("resources", [])
            except Refused as error:
                if error.status != 404:
                    raise
                continue
            known |= {kind for item in resources if item["name"] == plural}
        return frozenset(known)


def path_of(kind: str, namespace: str | None, name: str = "") -> str:
    """Return the path of an object, or of all of a kind."""
    api, plural = KINDS[kind]
    where = f"/namespaces/{namespace}" if namespace else ""
    return f"{api}{where}/{plural}" + (f"/{name}" if name else "")


def wait_seconds(wait: str | None) -> float | None:
    """Return a Retry-After in seconds; one that is a date, as a proxy may send it, says nothing here."""
    return float(wait) if wait and wait.isdigit() else None


def _message(text: str, method: str, path: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return f"{method} {path}: {text[:200]}"
