"""What every request passes before the routes: gate, admission, size, type, time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import structlog

from tickloom.serving.metrics import Metrics
from tickloom.serving.problems import ProblemError
from tickloom.serving.protection.admission import Admits
from tickloom.serving.protection.audit import Audit
from tickloom.serving.protection.gate import TURNED_AWAY, Gate
from tickloom.serving.routed import Caller
from tickloom.serving.seen import IN_SCOPE, Seen, request_id

log = structlog.get_logger(__name__)
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
_JSON = "application/json"
_TAKE_JSON = frozenset({"/v1/forecast", "/v1/forecast/batch"})
_HEALTH = frozenset({"/healthz", "/readyz"})
_DOCUMENTS = frozenset({"/docs", "/openapi.json"})
_ALWAYS = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]
_DATA = [*_ALWAYS, (b"cache-control", b"no-store"), (b"content-security-policy", b"default-src 'none'")]


@dataclass(frozen=True)
class Limits:
    """What a request may take.

    Attributes
    ----------
    body_bytes : int
        Of its body.
    body_s : float
        Seconds in which the body must be there.
    time_s : float
        Seconds in which it must be answered.
    metrics_open : bool
        Whether ``/metrics`` asks for no credential.
    """

    body_bytes: int = 256 * 1024
    body_s: float = 10.0
    time_s: float = 15.0
    metrics_open: bool = True


class _GoneError(Exception):
    """Whoever asked has hung up."""


class Shield:
    """An ASGI application that protects another one.

    ``/healthz`` and ``/readyz`` pass as they are. All else first meets the gate, which reads nothing; then whoever
    asks is let in by its headers alone; only then is the body read, and only as far as it may be.

    Parameters
    ----------
    app
        The routes.
    limits
    admit
        Says who asks.
    gate
    metrics
    audit
        None for no audit log.
    """

    def __init__(
        self, app: App, limits: Limits, admit: Admits, gate: Gate, metrics: Metrics, audit: Audit | None
    ) -> None:
        self.app, self._limits, self._admit, self._gate = app, limits, admit, gate
        self._metrics, self._audit = metrics, audit
        self._open = _DOCUMENTS | ({"/metrics"} if limits.metrics_open else frozenset())
        self._start, self._body = TURNED_AWAY

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["path"] in _HEALTH:
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        if (self._gate.late() or self._gate.full) and path != "/metrics":
            await self._turn_away(send)
            return
        begin = time.perf_counter()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        scope[IN_SCOPE] = seen = Seen(request_id(headers.get("x-request-id")))
        more = [*(_ALWAYS if path in _DOCUMENTS else _DATA), (b"x-request-id", seen.request.encode())]

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.status = message["status"]
                message["headers"] = [*message["headers"], *more]
            await send(message)

        try:
            await self._answer(scope, receive, told, seen, headers)
        except _GoneError:
            seen.status = seen.status or 499
        except ProblemError as error:
            await self._tell(error, seen, scope, receive, told)
        except Exception as error:
            # the routes have told and logged what broke in them; what is left broke before them
            if not seen.status:
                log.exception("a request failed", path=path, request=seen.request)
                text = f"{type(error).__name__} before the routes; the log of the service says more"
                await self._tell(ProblemError(500, "failed", text), seen, scope, receive, told)
        finally:
            passed = time.perf_counter() - begin
            self._metrics.answered(path, seen.status, seen.arms, seen.degraded, seen.forecasts, passed)
            if self._audit is not None:
                self._audit.write(seen, scope["method"], path, passed)

    async def _turn_away(self, send: Send) -> None:
        self._metrics.shed.inc()
        await send({**self._start, "headers": list(self._start["headers"])})
        await send({**self._body})

    async def _answer(self, scope: Scope, receive: Receive, send: Send, seen: Seen, headers: Mapping[str, str]) -> None:
        client = scope.get("client")
        address = client[0] if client else "unknown"
        if scope["path"] in self._open:
            seen.caller = Caller(address, headers)
        else:
            seen.caller = await self._admit(headers, address)
        chunked = self._check(scope, headers)
        body = b""
        if chunked or headers.get("content-length", "0") != "0":
            try:
                async with asyncio.timeout(self._limits.body_s):
                    body = await self._read(receive)
            except TimeoutError:
                text = f"the body was not there within {self._limits.body_s:g} s; send it at once"
                raise _close(ProblemError(408, "body-too-slow", text)) from None
        if self._gate.full and scope["path"] != "/metrics":  # others came while the body did
            self._metrics.shed.inc()
            raise ProblemError(429, "busy", "more requests are in flight than can be answered in time; try again in "
                               "1 s", headers={"Retry-After": "1"})  # fmt: skip
        self._gate.enter()
        try:
            async with asyncio.timeout(self._limits.time_s) as limit:
                await self.app(scope, _again(body, receive), send)
        except TimeoutError:
            if not limit.expired() or seen.status:
                raise
            text = f"nothing was answered within {self._limits.time_s:g} s; try again, or ask for fewer tickers"
            raise ProblemError(504, "too-slow", text, headers={"Retry-After": "1"}) from None
        finally:
            self._gate.leave()

    def _check(self, scope: Scope, headers: Mapping[str, str]) -> bool:
        """Refuse what must not be read; return whether the length is told only by the end."""
        most = self._limits.body_bytes
        length = headers.get("content-length")
        if length is not None and (not length.isdecimal() or len(length) > 18 or int(length) > most):
            raise self._too_large(f" of {length[:20]} bytes")
        if scope["method"] == "POST" and scope["path"] in _TAKE_JSON:
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != _JSON:
                given = f"{kind[:80]!r}" if kind else "missing"
                raise _close(ProblemError(
                    415, "wrong-content-type", f"Content-Type: {given}; send {_JSON}",
                    [{"field": "Content-Type", "problem": f"must be {_JSON}", "value": kind[:80]}],
                    {"Accept-Post": _JSON},
                ))  # fmt: skip
            if (coding := headers.get("content-encoding", "identity").lower()) != "identity":
                raise _close(ProblemError(
                    415, "wrong-content-encoding", f"Content-Encoding: {coding[:80]!r}; send the body as it is",
                    [{"field": "Content-Encoding", "problem": "must be left out", "value": coding[:80]}],
                ))  # fmt: skip
        return length is None and "transfer-encoding" in headers

    def _too_large(self, what: str) -> ProblemError:
        most = self._limits.body_bytes
        text = f"the body{what} is too large; at most {most} bytes are read: ask for fewer tickers at a time"
        return _close(ProblemError(413, "body-too-large", text))

    async def _read(self, receive: Receive) -> bytes:
        parts, size = [], 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise _GoneError
            parts.append(part := message.get("body", b""))
            size += len(part)
            if size > self._limits.body_bytes:
                raise self._too_large("")
            if not message.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    @staticmethod
    async def _tell(error: ProblemError, seen: Seen, scope: Scope, receive: Receive, send: Send) -> None:
        if not seen.status:
            await error.response(seen.request)(scope, receive, send)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a way to read once more what was read."""
    given = False

    async def read() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return read


def _close(error: ProblemError) -> ProblemError:
    """Have the connection closed, for the rest of what it sends is not read."""
    error.headers["Connection"] = "close"
    return error


class Outermost:
    """A middleware that gives every request of HTTP to one application: BentoML has own answers to some paths.

    Parameters
    ----------
    app
        BentoML's.
    ours
        The one that answers.
    """

    def __init__(self, app: App, ours: App) -> None:
        self._app, self._ours = app, ours

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        await (self._ours if scope["type"] == "http" else self._app)(scope, receive, send)
