"""The routes: an ASGI application that owns its OpenAPI document and answers problems as problem+json."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CollectorRegistry, generate_latest
from starlette.exceptions import HTTPException

from tickloom import __version__
from tickloom.market.instruments import instruments
from tickloom.serving.answering import Answering
from tickloom.serving.asked import BatchRequest, ForecastRequest
from tickloom.serving.places import known_models
from tickloom.serving.problems import MEDIA_TYPE, NOT_JSON, ProblemError, of_validation
from tickloom.serving.routed import Caller
from tickloom.serving.seen import seen
from tickloom.serving.told import Answer, Batch, Experiments, KnownModel, KnownTicker, Problem

log = structlog.get_logger(__name__)
Admit = Callable[[Request], Awaitable[Caller]]
"""From a request to who asks; raises a ProblemError where nobody may."""
Check = Callable[[], str | None]
"""Returns what is wrong, or None."""
_FAILED = "something broke that should not have; the log of the service says what, under the request's id"
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text, "content": {MEDIA_TYPE: {}}}
    for status, text in {
        400: "The body is no JSON.",
        401: "No key or token, or one that does not count.",
        403: "The key or the token is not for this market.",
        404: "The ticker has no model; near names are told.",
        408: "The body did not come in time.",
        413: "The body is too large.",
        415: "The body is not application/json.",
        422: "A field says what cannot be.",
        429: "Too many requests; Retry-After says when to try again.",
        503: "Nothing answers.",
        504: "Nothing was answered in time.",
    }.items()
}


_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, or a token of the issuer."},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_ASKS: dict[str, Any] = {
    "security": [{"bearer": []}, {"key": []}, {}]
}  # the last one where neither keys nor an issuer are set


async def admitted(request: Request) -> Caller:
    """Return whom the shield before the routes has let in."""
    caller = seen(request.scope).caller
    if caller is None:
        raise ProblemError(401, "not-authenticated", "nobody says who asks")
    return caller


def build(
    answering: Answering,
    admit: Admit,
    ready: Check,
    metrics: CollectorRegistry,
    experiments: Callable[[], dict[str, Any]] = lambda: {"experiments": [], "problems": []},
) -> FastAPI:
    """Return the application.

    Parameters
    ----------
    answering
        Answers questions.
    admit
        Says who asks, or refuses.
    ready
        What is wrong while requests should go elsewhere.
    metrics
        For ``/metrics``.
    experiments
        What runs, and what is wrong with what does not.
    """
    app = FastAPI(
        title="Tickloom forecasts",
        version=__version__,
        description="Forecasts of daily closes with intervals, each beside its verdict against the random walk.",
        docs_url="/docs",
        redoc_url=None,
        responses={500: {"model": Problem, "content": {MEDIA_TYPE: {}}}},
    )
    _handle_errors(app)

    @app.post("/v1/forecast", response_model=Answer, responses=_PROBLEMS, tags=["forecasts"], openapi_extra=_ASKS)
    async def forecast(wanted: ForecastRequest, request: Request) -> Response:
        """Forecast the next sessions of one ticker."""
        known = seen(request.scope)
        known.wanted((wanted.ticker,), wanted.market)
        answer = await answering.one(wanted, await admit(request), known.request)
        known.told((answer,))
        return _json(answer)

    @app.post("/v1/forecast/batch", response_model=Batch, responses=_PROBLEMS, tags=["forecasts"], openapi_extra=_ASKS)
    async def batch(wanted: BatchRequest, request: Request) -> Response:
        """Forecast the next sessions of up to 256 tickers; each is answered, or refused, for itself."""
        known = seen(request.scope)
        known.wanted(wanted.tickers, wanted.market)
        answer = await answering.many(wanted, await admit(request), known.request)
        known.told(answer["forecasts"])
        return _json(answer)

    told: dict[int | str, dict[str, Any]] = {status: _PROBLEMS[status] for status in (401, 429)}

    @app.get("/v1/models", response_model=list[KnownModel], responses=told, tags=["catalogue"], openapi_extra=_ASKS)
    async def models(request: Request) -> Response:
        """List the versions that aliases name."""
        caller = await admit(request)
        return _json(known_models(answering.catalogue, caller.markets))

    @app.get("/v1/experiments", response_model=Experiments, responses=told, tags=["catalogue"], openapi_extra=_ASKS)
    async def running(request: Request) -> Response:
        """List the experiments that run, and what is wrong with those that do not."""
        caller = await admit(request)
        shown = experiments()
        mine = [it for it in shown["experiments"] if caller.markets is None or it["market"] in caller.markets]
        return _json({**shown, "experiments": mine})

    @app.get("/v1/tickers", response_model=list[KnownTicker], responses=told, tags=["catalogue"], openapi_extra=_ASKS)
    async def tickers(request: Request) -> Response:
        """List the tickers that can be forecast."""
        caller = await admit(request)
        known = instruments()
        found = [
            {
                "ticker": ticker,
                "market": market,
                "name": known[ticker].name if ticker in known and known[ticker].exchange == market else None,
                "aliases": sorted(aliases),
            }
            for (market, ticker), aliases in sorted(answering.catalogue.aliases.items())
            if caller.markets is None or market in caller.markets
        ]
        return _json(found)

    @app.get("/healthz", response_class=PlainTextResponse, tags=["operation"])
    async def healthz() -> Response:
        """Say whether the process lives."""
        return PlainTextResponse("ok\n")

    @app.get("/readyz", response_class=PlainTextResponse, responses={503: {}}, tags=["operation"])
    async def readyz() -> Response:
        """Say whether requests may come."""
        wrong = ready()
        return PlainTextResponse(f"{wrong or 'ok'}\n", 503 if wrong else 200)

    @app.get("/metrics", response_class=PlainTextResponse, tags=["operation"])
    async def shown() -> Response:
        """Tell Prometheus."""
        return PlainTextResponse(generate_latest(metrics), media_type="text/plain; version=0.0.4")

    app.openapi()["components"]["securitySchemes"] = _SCHEMES  # FastAPI keeps the document that it has made
    return app


def _id(request: Request) -> str:
    return seen(request.scope).request


def _json(found: Any) -> Response:
    return Response(json.dumps(found, allow_nan=False).encode(), media_type="application/json")


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(ProblemError)
    async def told(request: Request, error: Exception) -> Response:
        assert isinstance(error, ProblemError)
        return error.response(_id(request))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return of_validation(error.errors()).response(_id(request))

    @app.exception_handler(HTTPException)
    async def of_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        kinds = {
            400: ("not-json", NOT_JSON),
            404: ("unknown-path", f"{request.url.path} is unknown; GET /docs lists what there is"),
        }
        allowed = (error.headers or {}).get("Allow", "")
        kinds[405] = ("wrong-method", f"{request.method} is not for {request.url.path}; allowed: {allowed}")
        kind, detail = kinds.get(error.status_code, ("refused", str(error.detail)))
        return ProblemError(error.status_code, kind, detail, headers=error.headers).response(_id(request))

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        log.error("a request failed", path=request.url.path, request=_id(request), exc_info=error)
        return ProblemError(500, "failed", _FAILED).response(_id(request))
