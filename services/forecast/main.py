"""The service: routes in front, models in processes behind."""

import asyncio
import contextlib
import gc
from collections.abc import Sequence
from typing import Any, cast

import bentoml
import structlog

from services.forecast import wiring
from services.forecast.front import Front
from services.forecast.settings import serve_settings
from tickloom.logs import configure
from tickloom.serving.protection.shield import Outermost
from tickloom.serving.wire import Asked, Wanted

log = structlog.get_logger(__name__)
configure()
_LONGEST_S = 60
_MANY = 32


@bentoml.service(
    name="inference",
    workers=serve_settings().workers,
    traffic={"timeout": _LONGEST_S},
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
)
class Inference:
    """Models and histories; what several processes in front send goes through a model as one batch."""

    def __init__(self) -> None:
        self._engine = wiring.engine()

    @bentoml.api(batchable=True, max_batch_size=256, max_latency_ms=_LONGEST_S * 1000)
    async def forecast(self, asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Forecast; what takes long is left to a thread, so that the next message is read meanwhile."""
        wanted = cast(list[Asked], asked)
        if len(wanted) < _MANY and self._engine.ready(wanted):
            return cast(list[dict[str, Any]], self._engine.forecast(wanted))
        return cast(list[dict[str, Any]], await asyncio.to_thread(self._engine.forecast, wanted))

    @bentoml.api
    def prepare(self, wanted: list[dict[str, Any]]) -> list[str]:
        """Load versions."""
        said = self._engine.prepare(cast(list[Wanted], wanted))
        gc.freeze()  # what is loaded need not be looked through for garbage each time, which takes 0.4 s
        return said

    @bentoml.api
    def store(self) -> str:
        """Return how the circuit breaker before the store stands: closed, half-opened or opened."""
        return next((it.state for it in wiring.breakers), "closed")

    @bentoml.api
    def closes(self) -> list[list[Any]]:
        """Return market, ticker, last session and its close of all tickers that were asked for."""
        return self._engine.closes()


# else the schema of the answers is made anew for each, only to find their media type
_inference: Any = Inference  # what BentoML has made of it
_inference.apis["forecast"].output_spec.media_type = "application/json"
front = Front()


@bentoml.service(
    name="forecast",
    traffic={"timeout": _LONGEST_S},
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
)
@bentoml.asgi_app(front.app, path="/")
class Forecast:
    """Routes, routing and records."""

    inference = bentoml.depends(Inference)

    def __init__(self) -> None:
        self._tasks: Sequence[asyncio.Task[None]] = ()

    @bentoml.on_startup
    async def start(self) -> None:
        """Begin to look after the registry, and to forecast for shadows."""
        self._tasks = await front.start(self.inference.to_async)

    @bentoml.on_shutdown
    async def stop(self) -> None:
        """Write what is still to be written."""
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks)
        await front.stop()


_forecast: Any = Forecast
_Service: Any = type(_forecast)


class _OursFirst(_Service):  # type: ignore[misc]
    """BentoML's service with our application before what BentoML has around it, which costs more than a forecast.

    It keeps a timer for a minute after each request, and has own answers to /readyz, /healthz and /metrics. Ids, time
    limits and metrics are in ours.
    """

    __slots__ = ()

    def to_asgi(self, *arguments: Any, **options: Any) -> Outermost:
        """Return the application that uvicorn runs."""
        return Outermost(super().to_asgi(*arguments, **options), front.app)


object.__setattr__(_forecast, "__class__", _OursFirst)  # there is no other way in: services are made by a decorator
