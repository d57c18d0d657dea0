"""How the parts of the service are put together, as its settings say."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from services.forecast.settings import serve_settings
from tickloom.errors import TickloomError
from tickloom.forecast import histories
from tickloom.forecast.history import History
from tickloom.forecast.registry import Registry, local_uri
from tickloom.serving.answering import Answering, Routed, champion
from tickloom.serving.app import build, everybody
from tickloom.serving.cache import Cache, LocalCache, NoCache, RedisCache
from tickloom.serving.catalogue import Catalogue
from tickloom.serving.cutoffs import Cutoffs, Load
from tickloom.serving.dispatch import Dispatcher
from tickloom.serving.engine import Engine
from tickloom.serving.packages import Packages
from tickloom.serving.sessions import Standings
from tickloom.serving.shadows import Shadows
from tickloom.serving.wire import Asked, Made
from tickloom.settings import settings

log = structlog.get_logger(__name__)


def registry() -> Registry:
    """Return the registry of the settings, else the one of this machine's folder."""
    return Registry(settings().mlflow or local_uri(settings().home))


def engine() -> Engine:
    """Return what forecasts, and begin to look for newer bars."""
    chosen = serve_settings()
    folder = chosen.folder or settings().home.resolve() / "serving"
    cutoffs = Cutoffs(_load(chosen.data), chosen.refresh_s)
    cutoffs.start()
    return Engine(Packages(registry(), folder), cutoffs)


def _load(data: Path | None) -> Load:
    if data is not None:
        return lambda market, ticker: _of_folder(data, market, ticker)
    from tickloom.local.addresses import cassandra_address
    from tickloom.store.lazy import LazySession

    session = LazySession(cassandra_address, settings().keyspace)
    return lambda market, ticker: session.use(lambda it: histories.from_store(it, ticker, market))


def _of_folder(folder: Path, market: str, ticker: str) -> History:
    from tickloom.sources.csvfile import ticker_of

    for path in sorted(folder.glob("*.csv")):
        if ticker_of(path) == ticker:
            return histories.from_file(path, market=market, ticker=ticker)
    raise TickloomError(f"{ticker} has no CSV file in {folder}; put {ticker}.csv there")


class Front:
    """What stands before the inference process."""

    def __init__(self) -> None:
        chosen = serve_settings()
        self._inference: Any = None
        self._registry: Registry | None = None
        self._trouble: str | None = "the registry has not been read yet"
        self.metrics = CollectorRegistry()
        self._dispatcher = Dispatcher(self._send, waiting=chosen.waiting)
        self._shadows = Shadows(self._dispatcher, self._record, waiting=chosen.shadows)
        self._answering = Answering(
            self._dispatcher, _cache(), Standings(), champion, self._record, self._shadows, chosen.timeout_s
        )
        self.app = build(self._answering, everybody, lambda: self._trouble, self.metrics)

    async def start(self, inference: Any) -> Sequence["asyncio.Task[None]"]:
        """Begin; returns what runs beside."""
        self._inference = inference
        return [asyncio.create_task(self._follow(), name="registry"), asyncio.create_task(self._shadows.run())]

    async def stop(self) -> None:
        """End."""

    async def _send(self, asked: list[Asked]) -> Sequence[Made]:
        found: Sequence[Made] = await self._inference.forecast(asked)
        return found

    def _record(self, routed: Routed, arm: str, market: str, ticker: str, made: Made, request: str) -> None:
        return

    async def _follow(self) -> None:
        """Take the registry's aliases over, and the last closes, again and again."""
        while True:
            try:
                await self._look()
            except Exception as error:
                log.warning("the registry was not read; what is known stays", error=str(error) or type(error).__name__)
                if not self._answering.catalogue.aliases:
                    self._trouble = f"no models: {error}"
            await asyncio.sleep(serve_settings().poll_s)

    async def _look(self) -> None:
        if self._registry is None:
            self._registry = await asyncio.to_thread(registry)
        found = Catalogue.of(await asyncio.to_thread(self._registry.catalogue))
        before = self._answering.catalogue
        if found.aliases != before.aliases:
            known = {tuple(it.values()) for it in before.wanted()}
            new = [it for it in found.wanted() if tuple(it.values()) not in known]
            said = await self._inference.prepare(new) if new else []
            failed = [it for it, wrong in zip(new, said, strict=True) if wrong]
            for it, wrong in zip(new, said, strict=True):
                if wrong:
                    log.warning("a version is not ready", **it, why=wrong)
            self._answering.catalogue = found.with_ready(before, failed)
            log.info("models", tickers=len(self._answering.catalogue.aliases), new=len(new), failed=len(failed))
        for market, ticker, cutoff, close in await self._inference.closes():
            self._answering.closes[market, ticker] = (cutoff, close)
        self._trouble = None if self._answering.catalogue.aliases else "the registry holds no model"


def _cache() -> Cache:
    chosen = serve_settings()
    if chosen.cache == "off":
        return NoCache()
    near = LocalCache()
    return near if chosen.redis is None else RedisCache(chosen.redis, near)
