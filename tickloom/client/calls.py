"""Calls of the service, with retries under one deadline."""

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from numbers import Real
from types import TracebackType
from typing import Any, Self

import httpx
import stamina

from tickloom.client.errors import ServiceError, UnavailableError
from tickloom.client.results import Batch, Forecast, Model, Ticker
from tickloom.errors import TickloomError

_AGAIN = frozenset({429, 503})
_SHORTEST_S = 0.001
Credential = str | Callable[[], str]
"""A key or a token, or what returns one, for tokens that expire."""


class _Settled:
    """What both clients have in common: where to, who asks, how long, how often."""

    def __init__(
        self,
        url: str,
        key: Credential | None,
        deadline_s: float,
        attempts: int,
    ) -> None:
        if not 0 < deadline_s < math.inf or attempts < 1:
            raise ValueError(f"deadline_s {deadline_s} must be above 0 and finite, and attempts {attempts} at least 1")
        self._url, self._key = url.rstrip("/"), key
        self._deadline_s, self._attempts = deadline_s, attempts

    def _headers(self) -> dict[str, str]:
        key = self._key() if callable(self._key) else self._key
        return {} if key is None else {"Authorization": f"Bearer {key}"}

    def _hook(self, end: float) -> Callable[[Exception], bool | float]:
        """Return what says whether to try again, and after how many seconds where the service has said so."""

        def again(error: Exception) -> bool | float:
            left = end - time.monotonic()
            if isinstance(error, ServiceError):
                wait = error.retry_after_s
                return error.status in _AGAIN and (left > 0 if wait is None else wait < left and wait)
            return isinstance(error, UnavailableError) and left > 0

        return again

    def _tries(self, end: float) -> Any:
        # The service writes nothing down twice, so what broke off on its way may be asked again.
        return stamina.retry_context(
            on=self._hook(end), attempts=self._attempts, timeout=self._deadline_s, wait_initial=0.05,
            wait_max=min(2.0, self._deadline_s / 4), wait_jitter=0.1,
        )  # fmt: skip

    def _left(self, end: float) -> float:
        left = end - time.monotonic()
        if left <= 0:
            raise self._late()
        return max(left, _SHORTEST_S)

    def _late(self) -> UnavailableError:
        return UnavailableError(f"{self._url} did not answer within {self._deadline_s:g} s; allow more, or look at it")

    def _unreached(self, error: Exception) -> UnavailableError:
        if isinstance(error, httpx.TimeoutException):
            return self._late()
        return UnavailableError(f"{self._url} is not reached ({error or type(error).__name__}); is the address right?")


class Client(_Settled):
    """Calls the service and waits.

    Connection errors, 429 (after the time that the service asks for) and 503 are tried again until the deadline.

    Parameters
    ----------
    url
        Of the service, such as ``https://forecasts.example.com``.
    key
        An API key or a token, or what returns one.
    deadline_s
        Seconds for all tries of one call together. Where an answer comes in drops, or the last pause is long, this
        client may take longer by a quarter; ``AsyncClient`` keeps to it.
    attempts
        Tries of one call.
    transport
        Of httpx; for tests and own networks.

    Examples
    --------
    >>> with Client("http://localhost:3000", key="desk.…") as client:  # doctest: +SKIP
    ...     client.forecast("AAPL", market="XNYS", horizon=5)
    ...     client.forecast_batch(["AAPL", "MSFT"], horizon=1).forecasts
    """

    def __init__(
        self,
        url: str,
        *,
        key: Credential | None = None,
        deadline_s: float = 10.0,
        attempts: int = 4,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        super().__init__(url, key, deadline_s, attempts)
        self._http = httpx.Client(base_url=self._url, transport=transport)

    def __enter__(self) -> Self:
        """Return the client, which is closed in the end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def forecast(
        self,
        ticker: str,
        *,
        market: str | None = None,
        horizon: int | None = None,
        levels: Sequence[float] = (80, 95),
        as_of: date | str | None = None,
        why: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Forecast:
        """Return the forecast of a ticker's next sessions.

        Parameters
        ----------
        ticker
        market
            Needed where two markets have the ticker.
        horizon
            Sessions ahead; by default all that the model forecasts.
        levels
            Per cent of outcomes that each interval is to hold.
        as_of
            Forecast as if closes after this date were not known; a date, or text such as ``2024-03-08``.
        why
            Whether to ask what moves the forecast.
        headers
            Further ones, such as the one that an experiment routes by.

        Raises
        ------
        ServiceError
            The service refuses.
        UnavailableError
            It is not reached, or does not answer in time.
        TickloomError
            A level, the horizon or ``as_of`` is nothing that can be sent.
        """
        return Forecast.of(self._post("/v1/forecast", _one(ticker, market, horizon, levels, as_of, why), headers))

    def forecast_batch(
        self,
        tickers: Sequence[str],
        *,
        market: str | None = None,
        horizon: int | None = None,
        levels: Sequence[float] = (80, 95),
        as_of: date | str | None = None,
        why: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Batch:
        """Return the forecasts of up to 256 tickers, in their order; raises as ``forecast`` does."""
        body = _many(tickers, market, horizon, levels, as_of, why)
        return Batch.of(self._post("/v1/forecast/batch", body, headers))

    def models(self) -> list[Model]:
        """Return the versions that aliases name; raises as ``forecast`` does."""
        return [Model(**it) for it in self._call("GET", "/v1/models", None, None)]

    def tickers(self) -> list[Ticker]:
        """Return the tickers that can be forecast; raises as ``forecast`` does."""
        return [_ticker(it) for it in self._call("GET", "/v1/tickers", None, None)]

    def _post(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None) -> Any:
        return self._call("POST", path, body, headers)

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str] | None) -> Any:
        end = time.monotonic() + self._deadline_s
        for attempt in self._tries(end):
            with attempt:
                try:
                    answer = self._http.request(
                        method, path, json=body, headers={**(headers or {}), **self._headers()},
                        timeout=self._left(end),
                    )  # fmt: skip
                except httpx.TransportError as error:
                    raise self._unreached(error) from error
                return _read(answer)
        raise AssertionError("stamina tries at least once")


class AsyncClient(_Settled):
    """Calls the service without holding up others; otherwise as ``Client``, whose parameters it takes.

    Examples
    --------
    >>> async def ask():
    ...     async with AsyncClient("http://localhost:3000", key="desk.…") as client:
    ...         return await client.forecast("AAPL", horizon=5)
    """

    def __init__(
        self,
        url: str,
        *,
        key: Credential | None = None,
        deadline_s: float = 10.0,
        attempts: int = 4,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(url, key, deadline_s, attempts)
        self._http = httpx.AsyncClient(base_url=self._url, transport=transport)

    async def __aenter__(self) -> Self:
        """Return the client, which is closed in the end."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        await self.close()

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def forecast(
        self,
        ticker: str,
        *,
        market: str | None = None,
        horizon: int | None = None,
        levels: Sequence[float] = (80, 95),
        as_of: date | str | None = None,
        why: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Forecast:
        """Return the forecast of a ticker's next sessions; as ``Client.forecast``."""
        return Forecast.of(await self._post("/v1/forecast", _one(ticker, market, horizon, levels, as_of, why), headers))

    async def forecast_batch(
        self,
        tickers: Sequence[str],
        *,
        market: str | None = None,
        horizon: int | None = None,
        levels: Sequence[float] = (80, 95),
        as_of: date | str | None = None,
        why: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Batch:
        """Return the forecasts of up to 256 tickers; as ``Client.forecast_batch``."""
        body = _many(tickers, market, horizon, levels, as_of, why)
        return Batch.of(await self._post("/v1/forecast/batch", body, headers))

    async def models(self) -> list[Model]:
        """Return the versions that aliases name."""
        return [Model(**it) for it in await self._call("GET", "/v1/models", None, None)]

    async def tickers(self) -> list[Ticker]:
        """Return the tickers that can be forecast."""
        return [_ticker(it) for it in await self._call("GET", "/v1/tickers", None, None)]

    async def _post(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None) -> Any:
        return await self._call("POST", path, body, headers)

    async def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str] | None
    ) -> Any:
        end = time.monotonic() + self._deadline_s
        try:
            async with asyncio.timeout(self._deadline_s):
                async for attempt in self._tries(end):
                    with attempt:
                        try:
                            answer = await self._http.request(
                                method, path, json=body, headers={**(headers or {}), **self._headers()},
                                timeout=self._left(end),
                            )  # fmt: skip
                        except httpx.TransportError as error:
                            raise self._unreached(error) from error
                        return _read(answer)
        except TimeoutError:
            raise self._late() from None
        raise AssertionError("stamina tries at least once")


def _one(
    ticker: str,
    market: str | None,
    horizon: int | None,
    levels: Sequence[float],
    as_of: date | str | None,
    why: bool,
) -> dict[str, Any]:
    return {"ticker": ticker, **_rest(market, horizon, levels, as_of, why)}


def _many(
    tickers: Sequence[str],
    market: str | None,
    horizon: int | None,
    levels: Sequence[float],
    as_of: date | str | None,
    why: bool,
) -> dict[str, Any]:
    return {"tickers": list(tickers), **_rest(market, horizon, levels, as_of, why)}


def _rest(
    market: str | None, horizon: int | None, levels: Sequence[float], as_of: date | str | None, why: bool
) -> dict[str, Any]:
    """Return the fields of both questions; refuse what JSON or the calendar does not have, and nothing else."""
    told = {
        "market": market,
        "horizon": None if horizon is None else _number("horizon", horizon, "a whole number such as 5"),
        "as_of": None if as_of is None else _day(as_of),
    }
    shares = [_number("levels", it, "per cents above 0 and below 100, such as 80") for it in levels]
    return {"levels": shares, "why": why, **{name: value for name, value in told.items() if value is not None}}


def _number(field: str, value: Any, fix: str) -> float:
    if not isinstance(value, Real) or not math.isfinite(value):
        raise TickloomError(f"{field}: {value!r} is not a finite number; give {fix}")
    return value if isinstance(value, int | float) else float(value)


def _day(value: date | str) -> str:
    if isinstance(value, date):
        return value.isoformat()
    try:
        return date.fromisoformat(value).isoformat()
    except (TypeError, ValueError):
        raise TickloomError(f"as_of: {value!r} is no date; write it as 2024-03-08") from None


def _read(answer: httpx.Response) -> Any:
    """Return what an answer holds; raise what it says."""
    try:
        told = answer.json()
    except ValueError:
        told = None
    if answer.is_success and told is not None:
        return told
    after = answer.headers.get("retry-after", "")
    retry_after_s = float(after) if after.isdecimal() else None
    if isinstance(told, dict) and {"type", "status", "detail", "request"} <= told.keys():
        raise ServiceError.of(told, retry_after_s)
    # a proxy in between has answers of its own
    said = f"{answer.url} answered {answer.status_code} {answer.reason_phrase} without a word of the service"
    raise ServiceError(answer.status_code, "unknown", said, retry_after_s=retry_after_s)


def _ticker(told: Mapping[str, Any]) -> Ticker:
    return Ticker(told["ticker"], told["market"], told["name"], tuple(told["aliases"]))
