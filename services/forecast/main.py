"""The service: routes in front, models in processes behind."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import bentoml
import structlog

from services.forecast import wiring
from services.forecast.settings import serve_settings
from tickloom.logs import configure

log = structlog.get_logger(__name__)
configure()
_LONGEST_S = 60


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
    def forecast(self, asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Forecast."""
        return self._engine.forecast(asked)  # type: ignore[arg-type,return-value]

    @bentoml.api
    def prepare(self, wanted: list[dict[str, Any]]) -> list[str]:
        """Load versions."""
        return self._engine.prepare(wanted)  # type: ignore[arg-type]

    @bentoml.api
    def closes(self) -> list[list[Any]]:
        """Return market, ticker, last session and its close of all tickers that were asked for."""
        return self._engine.closes()


front = wiring.Front()


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
