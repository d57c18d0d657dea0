"""A client against the routes of the service, and against a network that fails."""

import asyncio
import json
import re
import time
from dataclasses import FrozenInstanceError
from datetime import date

import httpx
import pytest

from tests.unit.serving.serving import Service
from tickloom.client import AsyncClient, Client, Interval, Model, ServiceError, Ticker, UnavailableError
from tickloom.errors import TickloomError
from tickloom.serving.problems import ProblemError

URL = "http://service"


class Network:
    """Fails as told, then reaches the service; for both clients."""

    def __init__(self, *failures, service=None):
        self.failures, self.seen = list(failures), []
        self.service = service or Service()

    def __call__(self, request):
        self.seen.append((time.monotonic(), request))
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, Exception):
                raise failure
            return httpx.Response(failure.status_code, headers=failure.headers, content=failure.content)
        return None

    def sync(self, **options):
        def answer(request):
            failure = self(request)
            return failure if failure is not None else asyncio.run(self._ask(request))

        return Client(URL, transport=httpx.MockTransport(answer), **options)

    def alone(self, **options):
        async def answer(request):
            failure = self(request)
            return failure if failure is not None else await self._ask(request)

        return AsyncClient(URL, transport=httpx.MockTransport(answer), **options)

    async def _ask(self, request):
        async with self.service.client() as client:
            found = await client.request(
                request.method, request.url.path, content=request.content, headers=request.headers
            )
        return httpx.Response(found.status_code, headers=found.headers, content=found.content)

    def call(self, kind, name, *given, options=None, **named):
        """Return what a call of one of the two clients gives."""
        if kind == "sync":
            with self.sync(**(options or {})) as client:
                return getattr(client, name)(*given, **named)

        async def run():
            async with self.alone(**(options or {})) as client:
                return await getattr(client, name)(*given, **named)

        return asyncio.run(run())


def problem(status, kind="busy", **headers):
    told = ProblemError(status, kind, "why", headers=headers)
    return httpx.Response(status, headers=headers, json=told.body("r"))


both = pytest.mark.parametrize("kind", ["sync", "async"])


@both
def test_a_forecast_is_typed_and_frozen(kind):
    network = Network()
    found = network.call(kind, "forecast", "AAPL", horizon=2, levels=[90], why=True, as_of=date(2024, 3, 8))
    assert [it.close for it in found.sessions] == [101.0, 102.0]
    assert found.sessions[0].intervals == (Interval(90.0, 99.0, 103.0),)
    assert (found.cutoff, found.version, found.degraded) == (date(2024, 3, 8), "3", None)
    assert found.why == {"rsi_14": 0.001, "sma_20": -0.0004}
    with pytest.raises(FrozenInstanceError):
        found.close = 1.0


@both
def test_a_batch_has_forecasts_and_errors_in_their_places(kind):
    found = Network().call(kind, "forecast_batch", ["MSFT", "NOPE"], market="XNYS")
    assert [it and it.ticker for it in found.forecasts] == ["MSFT", None]
    assert (found.errors[0], found.errors[1].kind) == (None, "unknown-ticker")


@both
@pytest.mark.parametrize("name", ["forecast", "forecast_batch"])
def test_a_date_may_be_text(kind, name):
    network = Network()
    network.call(kind, name, "AAPL" if name == "forecast" else ["AAPL"], as_of="2024-03-07")
    assert json.loads(network.seen[0][1].content)["as_of"] == "2024-03-07"


@both
@pytest.mark.parametrize("name", ["forecast", "forecast_batch"])
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"levels": (80, float("nan"))}, "levels: nan is not a finite number; give per cents above 0 and below 100"),
        ({"levels": (float("inf"),)}, "levels: inf is not"),
        ({"levels": ("80",)}, "levels: '80' is not"),
        ({"horizon": float("-inf")}, "horizon: -inf is not a finite number; give a whole number such as 5"),
        ({"as_of": "yesterday"}, "as_of: 'yesterday' is no date; write it as 2024-03-08"),
        ({"as_of": "2024-02-31"}, "as_of: '2024-02-31' is no date"),
        ({"as_of": 20240308}, "as_of: 20240308 is no date"),
    ],
)
def test_what_cannot_be_sent_is_told_with_its_field(kind, name, given, said):
    network = Network()
    with pytest.raises(TickloomError, match=re.escape(said)):
        network.call(kind, name, "AAPL" if name == "forecast" else ["AAPL"], **given)
    assert network.seen == []


@both
def test_models_and_tickers(kind):
    assert Model("MSFT", "XNYS", "challenger-lstm", "2") in Network().call(kind, "models")
    assert Ticker("AAPL", "XNYS", "Apple", ("champion",)) in Network().call(kind, "tickers")


@both
def test_a_problem_is_an_error_with_its_fields_and_is_not_tried_again(kind):
    network = Network()
    with pytest.raises(ServiceError, match="ticker: AAPK has no model") as caught:
        network.call(kind, "forecast", "AAPK")
    error = caught.value
    assert (error.status, error.kind, error.errors[0]["near"]) == (404, "unknown-ticker", ["AAPL"])
    assert len(error.request) == 32
    assert len(network.seen) == 1


@both
@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("refused"), httpx.ReadError("reset"), httpx.RemoteProtocolError("hung up"),
        problem(503, "no-forecast"), problem(429), httpx.Response(503, text="<html>proxy</html>"),
    ],
    ids=["connect", "read", "hung up", "503", "429", "proxy"],
)  # fmt: skip
def test_what_passes_is_tried_again(kind, failure):
    network = Network(failure, failure)
    assert network.call(kind, "forecast", "AAPL").ticker == "AAPL"
    assert len(network.seen) == 3


@both
@pytest.mark.parametrize("status", [400, 401, 403, 413, 415, 422, 500, 504])
def test_what_does_not_pass_is_not_tried_again(kind, status):
    network = Network(problem(status))
    with pytest.raises(ServiceError) as caught:
        network.call(kind, "forecast", "AAPL")
    assert (caught.value.status, len(network.seen)) == (status, 1)


@both
def test_the_time_that_the_service_asks_for_is_kept(kind):
    network = Network(problem(429, **{"Retry-After": "1"}))
    network.call(kind, "forecast", "AAPL")
    assert network.seen[1][0] - network.seen[0][0] >= 1.0


@both
def test_a_wait_beyond_the_deadline_is_not_begun(kind):
    network, begin = Network(problem(429, **{"Retry-After": "30"})), time.monotonic()
    with pytest.raises(ServiceError) as caught:
        network.call(kind, "forecast", "AAPL", options={"deadline_s": 1.0})
    assert caught.value.retry_after_s == 30
    assert time.monotonic() - begin < 30  # which was asked for


@both
def test_attempts_are_bounded(kind):
    network = Network(*[httpx.ConnectError("refused")] * 9)
    with pytest.raises(UnavailableError, match="http://service is not reached"):
        network.call(kind, "forecast", "AAPL", options={"attempts": 3})
    assert len(network.seen) == 3


@both
def test_the_deadline_holds_for_all_tries_together(kind):
    network = Network(*[httpx.ConnectError("refused")] * 99)
    with pytest.raises(UnavailableError):
        network.call(kind, "forecast", "AAPL", options={"attempts": 99, "deadline_s": 0.5})
    assert len(network.seen) < 99
    left = [request.extensions["timeout"]["read"] for _, request in network.seen]
    assert left == sorted(left, reverse=True)
    assert left[0] <= 0.5


def test_an_answer_that_does_not_come_ends_at_the_deadline():
    service = Service()
    service.inference.pause_s = 3
    begin = time.monotonic()
    with pytest.raises(UnavailableError, match=r"did not answer within 0[.]2 s"):
        Network(service=service).call("async", "forecast", "AAPL", options={"deadline_s": 0.2})
    assert time.monotonic() - begin < service.inference.pause_s


@both
@pytest.mark.parametrize("credential", ["desk.secret", lambda: "desk.secret"], ids=["text", "callable"])
def test_key_and_headers_are_sent(kind, credential):
    network = Network()
    network.call(kind, "forecast", "AAPL", options={"key": credential}, headers={"X-Desk": "seven"})
    sent = network.seen[0][1].headers
    assert (sent["authorization"], sent["x-desk"]) == ("Bearer desk.secret", "seven")


def test_a_client_that_cannot_be():
    for given in ({"deadline_s": 0}, {"deadline_s": float("nan")}, {"attempts": 0}):
        with pytest.raises(ValueError, match="must be above 0"):
            Client(URL, **given)


def test_the_client_needs_nothing_of_the_service():
    import subprocess
    import sys

    text = "import sys, tickloom.client; print(sorted(it for it in sys.modules if it.startswith('tickloom')))"
    found = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout
    assert set(eval(found)) == {
        "tickloom", "tickloom.errors", "tickloom.client", "tickloom.client.calls", "tickloom.client.errors",
        "tickloom.client.results",
    }  # fmt: skip
