"""Kubeflow Pipelines' API v2beta1 in memory, over HTTP: its paths, its JSON, its refusals, and what can go wrong.

Answers have the fields' names of the protocol, leave out what is empty, and have 1970 as the end of an unfinished run;
errors are those of its gateway.
"""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

TOKEN = "secret"
CREATED = "2024-03-01T21:30:00Z"
NEVER = "1970-01-01T00:00:00Z"
CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 500: 13, 503: 14}
"""HTTP status to the code of gRPC, as the gateway maps them."""
TYPES: dict[str, tuple[type, ...]] = {
    "STRING": (str,), "NUMBER_INTEGER": (int, float), "LIST": (list,), "STRUCT": (dict,)
}  # fmt: skip
PARAMETERS: dict[str, str] = {
    **dict.fromkeys(("market", "mlflow", "trigger", "policy", "cpu", "memory", "gpus", "accelerator"), "STRING"),
    **dict.fromkeys(("horizon", "folds", "test", "gate", "trials", "seed"), "NUMBER_INTEGER"),
    **dict.fromkeys(("tickers", "models", "tolerations"), "LIST"),
    "node_selector": "STRUCT",
}


@dataclass
class Kubeflow:
    """One server.

    ``faults`` are taken one for each request that makes a run: ``timeout`` and ``reset`` after it was made,
    ``unmade`` and ``unmade-reset`` before, a status as number before, and as ``made-500`` after.
    """

    faults: list[Any] = field(default_factory=list)
    token: str = TOKEN
    runs: list[dict[str, Any]] = field(default_factory=list)
    pipelines: list[str] = field(default_factory=lambda: ["tickloom-retrain"])
    parameters: dict[str, str] = field(default_factory=lambda: dict(PARAMETERS))
    experiments: list[str] = field(default_factory=lambda: ["Default"])
    requests: list[tuple[str, str]] = field(default_factory=list)
    sleep_s: float = 60.0
    away: int = 0
    """Requests that are answered with this status, whatever they are; 0 for none."""

    async def start(self, port: int = 0) -> str:
        """Serve, and return the address."""
        app = web.Application(middlewares=[self._guard])
        base = "/apis/v2beta1"
        app.router.add_get(f"{base}/pipelines", self._pipelines)
        app.router.add_get(f"{base}/pipelines/{{id}}/versions", self._versions)
        app.router.add_get(f"{base}/experiments", self._experiments)
        app.router.add_get(f"{base}/runs", self._list)
        app.router.add_post(f"{base}/runs", self._create)
        app.router.add_get(f"{base}/runs/{{id}}", self._get)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        assert site._server is not None
        number = site._server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{number}"

    async def stop(self) -> None:
        """Serve no more."""
        await self._runner.cleanup()

    def change(self, name: str, **values: Any) -> None:
        """Change fields of the runs of a name."""
        for run in self.runs:
            if run["display_name"] == name:
                run.update(values)

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.requests.append((request.method, request.path))
        if self.away:
            return _refusal(self.away, "upstream connect error")
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return _refusal(401, "Review.Status.Authenticated is false. Error [token has expired]")
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _pipelines(self, request: web.Request) -> web.Response:
        there = [{"pipeline_id": f"p-{name}", "display_name": name, "created_at": CREATED} for name in self.pipelines]
        return _listed("pipelines", _filtered(request, there))

    async def _versions(self, request: web.Request) -> web.Response:
        inputs = {name: {"parameterType": kind} for name, kind in self.parameters.items()}
        spec = {"pipelineInfo": {"name": "retrain"}, "root": {"inputDefinitions": {"parameters": inputs}}}
        version = {
            "pipeline_id": request.match_info["id"],
            "pipeline_version_id": "v-2",
            "display_name": "0.1.0",
            "pipeline_spec": {"pipeline_spec": spec, "platform_spec": {}},
        }
        assert request.query["sort_by"] == "created_at desc"
        return _listed("pipeline_versions", [version])

    async def _experiments(self, request: web.Request) -> web.Response:
        there = [{"experiment_id": f"e-{name}", "display_name": name} for name in self.experiments]
        return _listed("experiments", _filtered(request, there))

    async def _list(self, request: web.Request) -> web.Response:
        return _listed("runs", _filtered(request, self.runs))

    async def _get(self, request: web.Request) -> web.Response:
        found = next((run for run in self.runs if run["run_id"] == request.match_info["id"]), None)
        return _refusal(404, "Run not found") if found is None else web.json_response(found)

    async def _create(self, request: web.Request) -> web.StreamResponse:
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, int):
            return _refusal(fault, f"Failed to create a new run: fault {fault}")
        if fault == "unmade":
            await asyncio.sleep(self.sleep_s)
        if fault == "unmade-reset":
            return _cut(request)
        body = await request.json()
        unknown = body.keys() - {
            "display_name", "description", "experiment_id", "pipeline_version_reference", "runtime_config",
        }  # fmt: skip
        told = body["runtime_config"]["parameters"]
        strange = told.keys() - self.parameters.keys()
        for name, value in told.items():
            if name not in strange and not isinstance(value, TYPES[self.parameters[name]]):
                return _refusal(400, f"input parameter {name} requires type {self.parameters[name]}")
        if unknown or strange:
            return _refusal(400, f"unknown field {(unknown or strange).pop()!r}")
        run = {
            "experiment_id": "e-Default",
            **body,
            "run_id": f"run-{len(self.runs)}",
            "storage_state": "AVAILABLE",
            "state": "PENDING",
            "created_at": CREATED,
            "scheduled_at": CREATED,
            "finished_at": NEVER,
        }
        self.runs.append(run)
        if fault == "timeout":
            await asyncio.sleep(self.sleep_s)
        if fault == "reset":
            return _cut(request)
        if fault == "made-500":
            return _refusal(500, "Failed to set last run timestamp on experiment")
        if fault == "garbage":
            return web.Response(text="<html>")
        return web.json_response(run)


def _filtered(request: web.Request, there: list[dict[str, Any]]) -> list[dict[str, Any]]:
    (predicate,) = json.loads(request.query["filter"])["predicates"]
    assert (predicate["operation"], predicate["key"]) == ("EQUALS", "display_name")
    wanted = predicate["string_value"].lower()  # a database's collation
    return [item for item in there if item["display_name"].lower() == wanted]


def _listed(key: str, items: list[dict[str, Any]]) -> web.Response:
    return web.json_response({key: items, "total_size": len(items)} if items else {})


def _refusal(status: int, text: str) -> web.Response:
    return web.json_response({"code": CODES.get(status, 2), "message": text, "details": []}, status=status)


def _cut(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()
