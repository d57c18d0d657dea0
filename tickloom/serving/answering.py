"""From a question to its answer: which arm, whether it is known already, and what is told when nothing answers."""

import asyncio
import math
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from tickloom.serving.asked import LONGEST, BatchRequest, ForecastRequest
from tickloom.serving.cache import Cache
from tickloom.serving.catalogue import Catalogue
from tickloom.serving.dispatch import BusyError, Dispatcher
from tickloom.serving.health import Health
from tickloom.serving.places import market_of
from tickloom.serving.problems import ProblemError
from tickloom.serving.routed import LEVELS, Caller, Recorder, Route, Routed
from tickloom.serving.sessions import Standings
from tickloom.serving.telling import EPOCH, LAST, NAIVE, day, day_text, told
from tickloom.serving.wire import Asked, Made

log = structlog.get_logger(__name__)
_REMEMBERED = 10_000


@dataclass(eq=False)
class Answering:
    """Answers questions.

    Attributes
    ----------
    dispatcher : Dispatcher
        To the inference process.
    cache : Cache
    standings : Standings
    route : Route
    record : Recorder
    health : Health
    shadow : callable
        Given what shadows are to forecast; never waits.
    timeout_s : float
        For which an answer of the inference process is waited for.
    """

    dispatcher: Dispatcher
    cache: Cache
    standings: Standings
    route: Route
    record: Recorder
    health: Health
    shadow: Callable[[Routed, str, str, Asked, str], None]
    timeout_s: float = 5.0

    def __post_init__(self) -> None:
        self.catalogue = Catalogue()
        self.closes: dict[tuple[str, str], tuple[int, float]] = {}
        self._last: OrderedDict[tuple[str, str, str], Made] = OrderedDict()

    async def one(self, wanted: ForecastRequest, caller: Caller, request: str = "") -> dict[str, Any]:
        """Answer for one ticker.

        Raises
        ------
        ProblemError
            The ticker is unknown, the model cannot do it, or nothing answers.
        """
        (found,) = await self._all(wanted, (wanted.ticker,), caller, request or uuid.uuid4().hex)
        if isinstance(found, ProblemError):
            raise found
        return found

    async def many(self, wanted: BatchRequest, caller: Caller, request: str = "") -> dict[str, Any]:
        """Answer for many tickers; what is wrong with one stands in its place.

        Raises
        ------
        ProblemError
            Nothing answers, for whatever ticker.
        """
        request = request or uuid.uuid4().hex
        found = await self._all(wanted, wanted.tickers, caller, request)
        problems = [it for it in found if isinstance(it, ProblemError)]
        if len(problems) == len(found) and problems[0].status in (429, 503):
            raise problems[0]
        return {
            "forecasts": [None if isinstance(it, ProblemError) else it for it in found],
            "problems": [it.body(request) if isinstance(it, ProblemError) else None for it in found],
        }

    async def _all(
        self, wanted: ForecastRequest | BatchRequest, tickers: Sequence[str], caller: Caller, request: str
    ) -> list[dict[str, Any] | ProblemError]:
        """Return an answer or a problem for each ticker, in their order."""
        found: list[dict[str, Any] | ProblemError | None] = [None] * len(tickers)
        open_: list[tuple[int, Routed, Asked]] = []
        for at, ticker in enumerate(tickers):
            try:
                market = market_of(self.catalogue, ticker, wanted.market, caller)
                open_.append((at, *self._asked(wanted, market, ticker, caller)))
            except ProblemError as error:
                found[at] = error
        begun = time.monotonic()
        made = await self._made([asked for _, _, asked in open_])
        latency_s = time.monotonic() - begun
        for (at, routed, asked), it in zip(open_, made, strict=True):
            try:
                what, degraded = (it, None) if isinstance(it, dict) else self._instead(asked, it)
                self._after(routed, asked, what, degraded, request)
                found[at] = told(wanted, asked, routed, what, degraded, request, self.standings.of(asked["market"]))
            except ProblemError as error:
                found[at] = error
            # what was shed, or asked for too far ahead, says nothing of the arm
            if not isinstance(it, ProblemError):
                self.health.record(routed.experiment, routed.arm, latency_s, failed=not isinstance(it, dict))
        return [it for it in found if it is not None]

    def _asked(
        self, wanted: ForecastRequest | BatchRequest, market: str, ticker: str, caller: Caller
    ) -> tuple[Routed, Asked]:
        today = self.standings.of(market).last
        as_of = None if wanted.as_of is None else (wanted.as_of - EPOCH).days
        if as_of is not None and as_of > today:
            last = day(today)
            raise ProblemError(
                422, "as-of-in-the-future",
                f"as_of: {wanted.as_of} is after {last}, the last session of {market} that has ended; give {last} "
                "or an earlier date, or leave it out",
                [{"field": "as_of", "problem": f"must not be after {last}", "value": str(wanted.as_of)}],
            )  # fmt: skip
        routed = self.route(self.catalogue, market, ticker, caller)
        if routed is None:
            raise ProblemError(
                503, "no-model", f"{ticker} on {market} has no version that answers; `tickloom train` makes one"
            )
        asked: Asked = {
            "market": market,
            "ticker": ticker,
            "version": routed.version,
            "levels": sorted({*wanted.shares(), *LEVELS}),
            "as_of": as_of,
            "why": wanted.why,
        }
        return routed, asked

    async def _made(self, wanted: Sequence[Asked]) -> list[Made | ProblemError | str]:
        """Return what was made for each: from the cache, else by the inference process; a sentence where it failed."""
        found: list[Made | ProblemError | str | None] = []
        for asked in wanted:
            key = self._key(asked)
            found.append(None if key is None else await self.cache.get(key))
        missing = [at for at, it in enumerate(found) if it is None]
        if missing:
            for at, made in zip(missing, await self._inferred([wanted[at] for at in missing]), strict=True):
                found[at] = made
                if isinstance(made, dict):
                    await self._keep(wanted[at], made)
        return [it for it in found if it is not None]

    async def _inferred(self, wanted: Sequence[Asked]) -> Sequence[Made | ProblemError | str]:
        try:
            found = await asyncio.wait_for(self.dispatcher.ask_all(wanted), self.timeout_s)
        except BusyError as error:
            return [busy(str(error))] * len(wanted)
        except Exception as error:
            log.warning("the inference process did not answer", error=str(error) or type(error).__name__)
            return ["the inference process does not answer"] * len(wanted)
        return [_refused(wanted[at], it) for at, it in enumerate(found)]

    def _key(self, asked: Asked) -> tuple[Hashable, ...] | None:
        """Return under what a forecast is kept: by version and last close, and what was asked of it."""
        place = (asked["market"], asked["ticker"])
        seen = self.closes.get(place)
        if seen is None:
            return None
        return (*place, asked["version"], seen, tuple(asked["levels"]), asked["as_of"], asked["why"])

    async def _keep(self, asked: Asked, made: Made) -> None:
        place = (asked["market"], asked["ticker"])
        if asked["as_of"] is None:
            self.closes[place] = (made["cutoff"], made["close"])
            self._remember((*place, asked["version"]), made)
        key = self._key(asked)
        if key is not None:
            ttl_s = self.standings.of(asked["market"]).ttl_s(made["cutoff"], self.standings.clock())
            await self.cache.put(key, made, ttl_s)

    def _remember(self, key: tuple[str, str, str], made: Made) -> None:
        self._last[key] = made
        self._last.move_to_end(key)
        if len(self._last) > _REMEMBERED:
            self._last.popitem(last=False)

    def _instead(self, asked: Asked, why: ProblemError | str) -> tuple[Made, str]:
        """Return the last forecast, else the last close, where there is one and the present is asked for."""
        if isinstance(why, ProblemError):
            raise why
        place = (asked["market"], asked["ticker"])
        if asked["as_of"] is None:
            if (last := self._last.get((*place, asked["version"]))) is not None:
                return last, LAST
            if (seen := self.closes.get(place)) is not None:
                days = self.standings.next_days(asked["market"], seen[0], LONGEST)
                naive: Made = {
                    "model": "random_walk", "version": asked["version"], "verdict": "not evaluated", "remark": "",
                    "learned_to": day_text(seen[0]), "cutoff": seen[0], "close": seen[1], "days": days,
                    "price": [seen[1]] * len(days), "levels": [], "lower": [], "upper": [], "features": "", "why": None,
                }  # fmt: skip
                return naive, NAIVE
        raise ProblemError(
            503, "no-forecast", f"{asked['ticker']} on {asked['market']}: {why}", headers={"Retry-After": "5"}
        )

    def _after(self, routed: Routed, asked: Asked, made: Made, degraded: str | None, request: str) -> None:
        """Tell the ledger and the shadows; what was asked of the past is no forecast."""
        if asked["as_of"] is not None or degraded is not None:
            return
        self.record(routed, routed.arm, asked["market"], asked["ticker"], made, request)
        for arm, version in routed.shadows:
            self.shadow(routed, arm, version, asked, request)


def _refused(asked: Asked, made: Made) -> Made | ProblemError | str:
    """Return what was made, or a problem where the request asks for what cannot be, or why it was not made."""
    if (why := made.get("refused")) is None:
        return made
    if made.get("field") == "as_of" and asked["as_of"] is not None:
        told = [{"field": "as_of", "problem": "is before the first session", "value": day_text(asked["as_of"])}]
        return ProblemError(422, "as-of-too-early", f"as_of: {why}; give a later date", told)
    return why


def busy(why: str, retry_s: float = 1.0) -> ProblemError:
    """Return the cheapest answer."""
    return ProblemError(429, "busy", f"{why}; try again", headers={"Retry-After": str(math.ceil(retry_s))})
