"""What stands before the inference process: routes, and what follows the registry and the experiments."""

import asyncio
import gc
import time
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from services.forecast import wiring
from services.forecast.draining import Closing, Drain
from services.forecast.settings import serve_settings
from services.forecast.shielding import shielded
from tickloom.errors import TickloomError
from tickloom.experiment.ledger import LedgerWriter
from tickloom.experiment.records import Forecast
from tickloom.forecast.registry import Registry
from tickloom.serving.answering import Answering
from tickloom.serving.app import admitted, build
from tickloom.serving.catalogue import Catalogue
from tickloom.serving.dispatch import Dispatcher
from tickloom.serving.metrics import CountedCache, Metrics
from tickloom.serving.problems import wrong_experiment
from tickloom.serving.recording import Recording
from tickloom.serving.routes import Routes
from tickloom.serving.sessions import Standings
from tickloom.serving.shadows import Shadows
from tickloom.serving.trials import Trials
from tickloom.serving.wire import Asked, Made

log = structlog.get_logger(__name__)
_DRAIN_S = 20.0
_AGAIN_S = 60.0
"""Seconds after which a version that could not be made ready is tried again."""


class Front:
    """Answers requests with the help of an inference process."""

    def __init__(self) -> None:
        chosen = serve_settings()
        self._inference: Any = None
        self._registry: Registry | None = None
        self._ledger: LedgerWriter | None = None
        self._trouble: str | None = "the registry has not been read yet"
        self._store = wiring.store()
        self._tags: Mapping[str, Mapping[str, str]] = {}
        self._trials = Trials(chosen.experiments, lambda: self._tags, self._store, wiring.replica())
        self._said: list[str] = []
        self._found = Catalogue()
        self._failing: set[tuple[object, ...]] = set()
        self._again_s = self._stores_s = 0.0
        self._tried = False
        self.metrics = Metrics()
        record = Recording(self._offer)
        dispatcher = Dispatcher(self._send, flights=chosen.workers, waiting=chosen.waiting)
        self._shadows = Shadows(dispatcher, record, waiting=chosen.shadows)
        self._answering = Answering(
            dispatcher,
            CountedCache(wiring.cache(), self.metrics),
            Standings(),
            Routes(fixed=chosen.arm),
            record,
            self._trials.health,
            self._shadows,
            chosen.timeout_s,
        )
        self._drain = Drain()
        routes = build(self._answering, admitted, self._wrong, self.metrics.registry, self._shown)
        whole = shielded(routes, chosen, self.metrics, self._answering, dispatcher, self._shadows)
        self.app = Closing(whole, self._drain)

    async def start(self, inference: Any) -> Sequence["asyncio.Task[None]"]:
        """Begin; returns what runs beside."""
        self._inference = inference
        self._drain.listen()
        self._find_stores()
        return [
            asyncio.create_task(self._follow(), name="registry"),
            asyncio.create_task(self._shadows.run(), name="shadows"),
        ]

    def _find_stores(self) -> None:
        """Take up the ledger once there is an address to write to: on one machine the stack may start later."""
        if self._ledger is None and time.monotonic() >= self._stores_s:
            self._stores_s = time.monotonic() + _AGAIN_S / 4
            self._store = self._trials.store = self._store or wiring.store()
            self._ledger = wiring.ledger(self._store, self.metrics.registry)

    async def stop(self) -> None:
        """Write what is still to be written."""
        if self._ledger is not None:
            await asyncio.to_thread(self._ledger.close, _DRAIN_S)
        if self._store is not None:
            self._store.close()

    def _wrong(self) -> str | None:
        return "it was told to end" if self._drain.begun else self._trouble

    def _offer(self, forecast: Forecast) -> None:
        if self._ledger is not None:
            self._ledger.offer(forecast)

    async def _send(self, asked: list[Asked]) -> Sequence[Made]:
        found: Sequence[Made] = await self._inference.forecast(asked)
        return found

    async def _follow(self) -> None:
        """Take over what the registry, the histories and the experiments have become, again and again."""
        while True:
            wrong: str | None = None
            try:
                await self._look()
                wrong = self._answering.catalogue.trouble()
            except Exception as error:
                log.warning("the registry was not read; what is known stays", error=str(error) or type(error).__name__)
                if not self._answering.catalogue.aliases:
                    wrong = f"no models: {error}"
            self._find_stores()
            try:
                await self._try()
                self._tried = True
            except TickloomError as error:
                log.warning("experiments were not read or told; what is known stays", error=str(error))
                if not self._tried:
                    wrong = wrong or str(error)
            self._trouble = wrong
            await asyncio.sleep(serve_settings().poll_s)

    async def _look(self) -> None:
        if self._registry is None:
            self._registry = await asyncio.to_thread(wiring.registry)
        listing = await asyncio.to_thread(self._registry.listing)
        found, self._tags = Catalogue.of(listing.aliases), listing.tags
        due = self._failing and time.monotonic() >= self._again_s
        if found.aliases != self._found.aliases or due:
            await self._swap(found)
            self._found = found
        self.metrics.breaker(await self._inference.store())
        for market, ticker, cutoff, close in await self._inference.closes():
            self._answering.closes[market, ticker] = (cutoff, close)

    async def _swap(self, found: Catalogue) -> None:
        """Have new versions made ready, and only then ask them; until then the ones of before answer."""
        before = self._answering.catalogue
        known = {tuple(it.values()) for it in before.wanted()}
        new = [it for it in found.wanted() if tuple(it.values()) not in known]
        said = await self._inference.prepare(new) if new else []
        failed = [(it, wrong) for it, wrong in zip(new, said, strict=True) if wrong]
        for it, wrong in zip(new, said, strict=True):
            if wrong and tuple(it.values()) not in self._failing:
                log.warning("a version is not ready, and is tried again", **it, why=wrong, again_s=_AGAIN_S)
        self._failing, self._again_s = {tuple(it.values()) for it, _ in failed}, time.monotonic() + _AGAIN_S
        self._answering.catalogue = found.with_ready(before, failed)
        gc.freeze()  # what is loaded need not be looked through for garbage each time, which takes 0.4 s
        log.info("models", tickers=len(self._answering.catalogue.aliases), new=len(new), failed=len(failed))
        self._say()

    async def _try(self) -> None:
        """Take over what experiments have become, and tell their judge how they do here."""
        if await asyncio.to_thread(self._trials.look):
            now = self._trials.running
            tallies = self._trials.tallies()
            self._answering.route = Routes(now.experiments, now.weights, serve_settings().arm, tallies)
            log.info("experiments", names=[it.name for it in now.experiments])
            self._say()
        self.metrics.asking(len(self._trials.asking))
        await asyncio.to_thread(self._trials.tell)

    def _shown(self) -> dict[str, Any]:
        """Return the experiments that run, and what is wrong with those that do not."""
        routes = self._answering.route
        lacking = routes.without_models(self._answering.catalogue) if isinstance(routes, Routes) else []
        problems = [*self._trials.problems, *lacking]
        return {"experiments": self._trials.shown(), "problems": [wrong_experiment(it).body() for it in problems]}

    def _say(self) -> None:
        """Say which tickers take no part in their experiment, once."""
        routes = self._answering.route
        said = routes.without_models(self._answering.catalogue) if isinstance(routes, Routes) else []
        if self._answering.catalogue.aliases:
            for sentence in said:
                if sentence not in self._said:
                    log.warning(sentence)
            self._said = said
