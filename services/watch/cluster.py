"""The API server as far as it is needed: StreamJobs are listed, and ConfigMaps read and applied."""

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tickloom.errors import TickloomError

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its token, the server's authority and its namespace."""
OWNER = "tickloom-watch"
"""Field manager of what is applied."""
TIMEOUT_S = 20.0
_PAGE = "200"


@dataclass(frozen=True)
class Cluster:
    """Requests to one API server.

    Parameters
    ----------
    server
        Its address, such as ``https://10.0.0.1:443``.
    token
        File with the service account's token, read anew for each request, for the kubelet renews it.
    authority
        File with the authority of its certificate.
    """

    server: str
    token: Path = ACCOUNT / "token"
    authority: Path = ACCOUNT / "ca.crt"

    def jobs(self, namespace: str) -> Iterator[dict[str, Any]]:
        """Yield the StreamJobs of a namespace.

        Raises
        ------
        TickloomError
            The server refuses, or does not answer.
        """
        query = {"limit": _PAGE}
        while True:
            found = self._ask("GET", f"/apis/tickloom.dev/v1alpha1/namespaces/{namespace}/streamjobs", query)
            yield from (found or {}).get("items", [])
            more = ((found or {}).get("metadata") or {}).get("continue")
            if not more:
                return
            query = {"limit": _PAGE, "continue": more}

    def config_map(self, namespace: str, name: str) -> dict[str, Any] | None:
        """Return a ConfigMap, None where there is none; raises as `jobs` does."""
        return self._ask("GET", f"/api/v1/namespaces/{namespace}/configmaps/{name}")

    def apply(self, manifest: Mapping[str, Any]) -> None:
        """Apply a ConfigMap on the server's side; raises as `jobs` does."""
        meta = manifest["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/configmaps/{meta['name']}"
        if self._ask("PATCH", path, {"fieldManager": OWNER, "force": "true"}, manifest) is None:
            raise TickloomError(f"ConfigMap {meta['namespace']}/{meta['name']}: there is no such namespace; make it")

    def _ask(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any] | None:
        """Return the answer to one request; None where there is nothing at the path."""
        address = f"{self.server.rstrip('/')}{path}" + (f"?{urlencode(query)}" if query else "")
        try:
            headers = {
                "Authorization": f"Bearer {self.token.read_text(encoding='utf-8').strip()}",
                "Accept": "application/json",
                "Content-Type": "application/apply-patch+yaml",  # JSON is YAML
            }
            data = None if body is None else json.dumps(body).encode()
            secure = ssl.create_default_context(cafile=str(self.authority))
            asked = urllib.request.Request(address, data, headers, method=method)  # noqa: S310 (it is the server's)
            with urllib.request.urlopen(asked, timeout=TIMEOUT_S, context=secure) as answer:  # noqa: S310
                found: dict[str, Any] = json.load(answer)
                return found
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise TickloomError(f"API server, {method} {path}: {error.code}: {_words(error)}") from None
        except (OSError, ValueError) as error:  # also a certificate of another authority, and half of an answer
            raise TickloomError(f"API server {self.server}, {method} {path}: {error}") from None


def _words(error: urllib.error.HTTPError) -> str:
    text = error.read().decode("utf-8", "replace")
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text[:200]
