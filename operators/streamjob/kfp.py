"""Kubeflow Pipelines over its REST API v2beta1: what the operator asks of it, and nothing else.

Paths, fields and states are those of ``backend/api/v2beta1`` of Kubeflow Pipelines 2.17. Two runs may have one display
name there, so whoever sends a run looks for its name first.
"""

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import aiohttp

from operators.streamjob.kfp_answers import (
    Found,
    KfpError,
    Trouble,
    expiry,
    fitted,
    kind_of,
    parameter_types,
    run_of,
    words,
)
from operators.streamjob.moments import stamp

PREFIX = "/apis/v2beta1"
TIMEOUT_S = 20.0
CONNECT_S = 5.0


@dataclass
class Kfp:
    """Requests to one Kubeflow Pipelines.

    Parameters
    ----------
    endpoint
        Address, with the path before ``/apis`` where a proxy has one.
    token
        File with the bearer token, read anew for each request; None sends none.
    authority
        File with the authority of its certificate; None takes the system's.
    namespace
        Namespace of the runs, where Kubeflow is shared by several users; empty where it is not.
    experiment
        Display name of the runs' experiment; empty means the default one.
    timeout_s
        Seconds for which an answer is waited for.
    """

    endpoint: str
    token: Path | None = None
    authority: Path | None = None
    namespace: str = ""
    experiment: str = ""
    timeout_s: float = TIMEOUT_S
    _session: aiohttp.ClientSession | None = field(default=None, repr=False)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def find(self, name: str) -> Found | None:
        """Return the first run that was made with a display name; None where there is none.

        Raises
        ------
        KfpError
            It cannot be known.
        """
        found = await self._named("runs", "runs", name, **self._shared())
        return run_of(found[0]) if found else None

    async def get(self, run_id: str) -> Found | None:
        """Return a run; None where it is gone. Raises as `find` does."""
        try:
            return run_of(await self._ask("GET", f"/runs/{run_id}"))
        except KfpError as error:
            if error.kind == "absent":
                return None
            raise

    async def create(self, name: str, pipeline: str, parameters: Mapping[str, Any], description: str = "") -> Found:
        """Make a run of a pipeline's last version.

        Raises
        ------
        KfpError
            It was not made, or, with the kind ``unknown``, it may have been.
        """
        pipeline_id, version_id, known = await self._last_version(pipeline)
        strange = sorted(parameters.keys() - known) if known is not None else []
        if strange:
            text = f"pipeline {pipeline!r} has no parameter {strange[0]!r}; upload the pipeline of this release"
            raise KfpError("refused", text)
        body = {
            "display_name": name,
            "description": description,
            "pipeline_version_reference": {"pipeline_id": pipeline_id, "pipeline_version_id": version_id},
            "runtime_config": {"parameters": fitted(parameters, known)},
        }
        if self.experiment:
            body["experiment_id"] = await self._experiment()
        return run_of(await self._ask("POST", "/runs", body=body))

    async def _last_version(self, pipeline: str) -> tuple[str, str, dict[str, str] | None]:
        """Return the numbers of a pipeline and of its last version, and the parameters that it has, if it tells."""
        found = await self._named("pipelines", "pipelines", pipeline)
        if not found and self.namespace:
            found = await self._named("pipelines", "pipelines", pipeline, namespace=self.namespace)
        if not found:
            raise KfpError("missing", f"there is no pipeline {pipeline!r} at {self.endpoint}; upload it")
        pipeline_id = str(found[0]["pipeline_id"])
        query = {"sort_by": "created_at desc", "page_size": "1"}
        versions = (await self._ask("GET", f"/pipelines/{pipeline_id}/versions", query)).get("pipeline_versions") or []
        if not versions:
            raise KfpError("missing", f"pipeline {pipeline!r} at {self.endpoint} has no version; upload one")
        return pipeline_id, str(versions[0]["pipeline_version_id"]), parameter_types(versions[0].get("pipeline_spec"))

    async def _experiment(self) -> str:
        found = await self._named("experiments", "experiments", self.experiment, **self._shared())
        if not found:
            where = f" in namespace {self.namespace}" if self.namespace else ""
            raise KfpError("missing", f"there is no experiment {self.experiment!r}{where} at {self.endpoint}; make it")
        return str(found[0]["experiment_id"])

    def _shared(self) -> dict[str, str]:
        return {"namespace": self.namespace} if self.namespace else {}

    async def _named(self, what: str, key: str, name: str, **more: str) -> list[dict[str, Any]]:
        """Return the objects of a display name, the oldest first."""
        one = {"operation": "EQUALS", "key": "display_name", "string_value": name}
        query = {"filter": json.dumps({"predicates": [one]}), "page_size": "10", "sort_by": "created_at asc", **more}
        found = (await self._ask("GET", f"/{what}", query)).get(key) or []
        # a database may compare without regard to capitals
        return [item for item in found if item.get("display_name") == name]

    async def _ask(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the answer to one request."""
        token = self._bearer()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        address = f"{self.endpoint.rstrip('/')}{PREFIX}{path}"
        try:
            async with self._connected().request(
                method, address, params=query, json=body, headers=headers, allow_redirects=False
            ) as answer:
                status, text = answer.status, await answer.text()
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL) as error:
            raise KfpError("unreachable", f"{self.endpoint}: {error}") from None
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as error:
            kind: Trouble = "unreachable" if method == "GET" else "unknown"
            raise KfpError(kind, f"{method} {address}: {str(error) or type(error).__name__}") from None
        if status >= 300:
            raise KfpError(kind_of(status, method), f"{status}: {words(text)}" + self._hint(status, token))
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            kind = "unreachable" if method == "GET" else "unknown"
            raise KfpError(kind, f"{method} {address}: the answer is no JSON object: {text[:100]!r}")
        return cast(dict[str, Any], found)

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            secure = ssl.create_default_context(cafile=str(self.authority)) if self.authority else True
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self.timeout_s, sock_connect=CONNECT_S),
                connector=aiohttp.TCPConnector(limit=8, ssl=secure),
            )
        return self._session

    def _bearer(self) -> str:
        if self.token is None:
            return ""
        try:
            return self.token.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise KfpError("denied", f"the token {self.token} cannot be read: {error.strerror}") from None

    def _hint(self, status: int, token: str) -> str:
        if status not in (401, 403):
            return ""
        if not token:
            return "; no token was sent"
        until = expiry(token)
        return f"; the token in {self.token} lasts until {stamp(until)}" if until is not None else ""
