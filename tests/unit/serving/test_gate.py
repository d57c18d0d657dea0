"""The gate: what it lets in, how long it thinks that one waits, and how cheap it is to be turned away."""

import asyncio
import json
import time

import pytest

from tests.unit.serving.serving import Service
from tickloom.serving.protection.gate import Gate


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def busy(gate, clock, inside, every_s, answers=200):
    """Have a gate see answers at a steady pace with always so many inside."""
    for _ in range(inside):
        gate.enter()
    for _ in range(answers):
        clock.now += every_s
        gate.leave()
        gate.enter()


def test_no_more_are_let_in_than_it_holds():
    gate = Gate(3, patience_s=9.0)
    for _ in range(3):
        assert not gate.full
        gate.enter()
    assert gate.full
    gate.leave()
    assert not gate.full


@pytest.mark.parametrize(("inside", "every_s"), [(4, 0.01), (40, 0.002), (20, 0.1)])
def test_the_wait_is_what_littles_law_says(inside, every_s):
    clock = Clock()
    gate = Gate(999, patience_s=9.0, clock=clock)
    busy(gate, clock, inside, every_s)
    assert gate.wait_s == pytest.approx(inside * every_s, rel=0.02)


def test_who_would_wait_too_long_is_turned_away_but_a_few_are_always_let_in():
    clock = Clock()
    gate = Gate(999, patience_s=0.04, least=16, clock=clock)
    busy(gate, clock, 15, 0.5, answers=20)
    assert gate.wait_s > 5
    assert not gate.full
    gate.enter()
    assert gate.full


def test_idle_time_counts_for_no_wait_and_old_slowness_is_forgotten():
    clock = Clock()
    gate = Gate(999, patience_s=0.04, least=1, clock=clock)
    for _ in range(20):
        clock.now += 60
        gate.enter()
        clock.now += 0.001
        gate.leave()
    gate.enter()
    assert gate.wait_s == pytest.approx(0.001)
    gate.leave()
    gate = Gate(999, patience_s=0.04, least=4, clock=clock)
    busy(gate, clock, 8, 0.1)
    assert gate.full
    for _ in range(1000):
        clock.now += 0.002
        gate.leave()
        gate.enter()
    assert not gate.full


def flood(service, count):
    async def run():
        async with service.client() as client:
            begin = time.perf_counter()
            asked = [client.post("/v1/forecast", json={"ticker": "AAPL"}) for _ in range(count)]
            found = await asyncio.gather(*asked)
            return found, time.perf_counter() - begin

    return asyncio.run(run())


def test_a_flood_gets_429_at_once_and_those_inside_their_forecast():
    service = Service(gate=Gate(8, patience_s=9.0))
    service.inference.pause_s = 0.2
    found, _ = flood(service, 40)
    statuses = [it.status_code for it in found]
    assert (statuses.count(200), statuses.count(429)) == (8, 32)
    away = next(it for it in found if it.status_code == 429)
    assert away.headers["retry-after"] == "1"
    assert away.headers["content-type"] == "application/problem+json"
    assert int(away.headers["content-length"]) == len(away.content)
    assert json.loads(away.content)["type"].endswith("/busy")
    assert service.value("tickloom_serve_shed_total") == 32
    assert service.gate.in_flight == 0
    assert flood(service, 1)[0][0].status_code == 200


def test_the_queue_of_forecasts_is_bounded_too():
    service = Service(waiting=4)
    service.dispatcher._flights = 1
    service.inference.pause_s = 0.1
    found, _ = flood(service, 20)
    assert {it.status_code for it in found} == {200, 429}
    assert all(it.headers["retry-after"] == "1" for it in found if it.status_code == 429)


@pytest.mark.parametrize(("patience_s", "most"), [(0.1, 16), (60.0, 40)])
def test_a_busy_processor_makes_requests_late(patience_s, most):
    """What comes together is begun one after the other, and none of it is ever inside beside another."""
    service = Service(gate=Gate(999, patience_s))

    async def works(scope, receive, send):
        end = time.perf_counter() + 0.02
        while time.perf_counter() < end:
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    service.app.app = works
    found, _ = flood(service, 40)
    statuses = [it.status_code for it in found]
    assert 8 <= statuses.count(200) <= most
    assert statuses.count(200) + statuses.count(429) == 40
    assert (most == 40) is (statuses.count(429) == 0)
    assert flood(service, 1)[0][0].status_code == 200


def test_health_is_told_while_the_gate_is_full():
    service = Service(gate=Gate(1, patience_s=9.0))
    service.gate.enter()
    assert service.ask("GET", "/v1/tickers").status_code == 429
    for path in ("/healthz", "/readyz", "/metrics"):
        assert service.ask("GET", path).status_code == 200


def spent(app, path, headers, count):
    """Return seconds for each of many requests straight to an application."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": path,
        "raw_path": path.encode(), "query_string": b"", "headers": headers, "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2), "scheme": "http", "root_path": "",
    }  # fmt: skip

    async def receive():
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message):
        return

    async def run():
        best = float("inf")
        for _ in range(5):
            begin = time.perf_counter()
            for _ in range(count):
                await app(dict(scope), receive, send)
            best = min(best, (time.perf_counter() - begin) / count)
        return best

    return asyncio.run(run())


HEADERS = [
    (b"host", b"service"), (b"content-type", b"application/json"), (b"content-length", b"2"), (b"accept", b"*/*"),
    (b"user-agent", b"test"), (b"accept-encoding", b"gzip"),
]  # fmt: skip


def test_being_turned_away_costs_less_than_a_tenth_of_the_shortest_answer():
    service = Service(gate=Gate(1, patience_s=9.0))
    answered = spent(service.app, "/v1/forecast", HEADERS, 100)
    service.gate.enter()
    away = spent(service.app, "/v1/forecast", HEADERS, 2000)
    assert away < answered / 10
    assert away < 100e-6


def test_the_shield_costs_little():
    async def nothing(scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    service = Service()
    service.app.app = nothing
    bare, shielded = spent(nothing, "/v1/forecast", HEADERS, 2000), spent(service.app, "/v1/forecast", HEADERS, 2000)
    print(f"{1e6 * (shielded - bare):.0f} µs")
    assert shielded - bare < 250e-6  # 30 to 50 µs on a quiet machine
