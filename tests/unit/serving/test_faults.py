"""What is answered, counted and written while parts are away."""

import io
import json
import threading
import time

import pytest
from structlog.testing import capture_logs

from services.forecast import wiring
from tests.unit.serving.serving import Service
from tickloom.errors import ConfigurationError, TickloomError
from tickloom.serving.metrics import Metrics
from tickloom.serving.protection.admission import Admission
from tickloom.serving.protection.audit import Audit
from tickloom.serving.protection.breaker import Breaker
from tickloom.serving.protection.keys import Keys, new_key
from tickloom.serving.protection.rates import Rates
from tickloom.store.lazy import LazySession, StoreAwayError


def test_while_the_engine_is_away_the_last_forecast_is_told_and_marked():
    service = Service()
    fresh = service.post({"ticker": "AAPL"}).json()
    service.inference.away = ConnectionError("gone")
    answer = service.post({"ticker": "AAPL"})
    told = answer.json()
    assert (answer.status_code, told["degraded"]) == (200, "last forecast")
    assert told["forecast"] == fresh["forecast"]
    assert service.value("tickloom_serve_degraded_total", how="last forecast") == 1
    service.inference.away = None
    assert service.post({"ticker": "AAPL"}).json()["degraded"] is None


def test_where_no_forecast_is_known_the_last_close_is_told_and_marked():
    service = Service()
    service.answering.closes["XNYS", "MSFT"] = (19_790, 400.0)
    service.inference.away = ConnectionError("gone")
    told = service.post({"ticker": "MSFT", "horizon": 1}).json()
    assert (told["degraded"], told["model"], told["forecast"][0]["close"]) == ("naive", "random_walk", 400.0)
    assert told["forecast"][0]["intervals"] == []
    assert service.value("tickloom_serve_degraded_total", how="naive") == 1


def test_where_nothing_is_known_it_is_said_when_to_come_back():
    service = Service()
    service.inference.away = ConnectionError("gone")
    answer = service.post({"ticker": "AAPL"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["type"].endswith("/no-forecast")
    assert "gone" not in answer.text


def test_an_engine_that_hangs_is_not_waited_for_longer_than_it_may():
    service = Service(timeout_s=0.1)
    service.post({"ticker": "AAPL"})
    service.inference.pause_s = 5
    begin = time.monotonic()
    assert service.post({"ticker": "AAPL"}).json()["degraded"] == "last forecast"
    assert time.monotonic() - begin < service.inference.pause_s


def test_while_the_store_is_away_an_answer_is_degraded():
    service = Service()
    service.post({"ticker": "AAPL"})
    service.inference.refuses = "Cassandra does not answer"
    assert service.post({"ticker": "AAPL"}).json()["degraded"] == "last forecast"
    answer = service.post({"ticker": "AAPL", "as_of": "2024-01-05"})
    assert (answer.status_code, answer.json()["detail"]) == (503, "AAPL on XNYS: Cassandra does not answer")


class Store:
    def __init__(self):
        self.away = True
        self.calls = 0

    def __call__(self):
        self.calls += 1
        if self.away:
            raise StoreAwayError("away")
        return "rows"


def test_a_dead_store_is_not_asked_again_before_its_time_and_heals():
    store, breaker = Store(), Breaker("Cassandra", (StoreAwayError,), threshold=3, ttl_s=0.1)
    with capture_logs() as said:
        for _ in range(10):
            with pytest.raises(TickloomError):
                breaker.call(store)
    assert (store.calls, breaker.state) == (3, "opened")
    assert [it["state"] for it in said] == ["opened"]
    with pytest.raises(TickloomError, match="Cassandra has not answered several times in a row"):
        breaker.call(store)
    time.sleep(0.15)
    with pytest.raises(StoreAwayError):
        breaker.call(store)
    assert (store.calls, breaker.state) == (4, "opened")
    store.away = False
    time.sleep(0.15)
    assert (breaker.call(store), breaker.state) == ("rows", "closed")


def test_what_the_store_says_of_a_ticker_is_no_failure_of_the_store():
    breaker = Breaker("Cassandra", (StoreAwayError,), threshold=2)

    def nothing():
        raise TickloomError("NOPE has no bars")

    for _ in range(9):
        with pytest.raises(TickloomError, match="NOPE"):
            breaker.call(nothing)
    assert breaker.state == "closed"


def test_one_call_alone_tries_whether_the_store_is_back():
    breaker, begun, end = Breaker("Cassandra", (StoreAwayError,), threshold=1, ttl_s=0.01), threading.Event(), None
    with pytest.raises(StoreAwayError):
        breaker.call(Store())
    time.sleep(0.03)
    end = threading.Event()

    def slow():
        begun.set()
        end.wait(5)
        return "rows"

    found = []
    trying = threading.Thread(target=lambda: found.append(breaker.call(slow)))
    trying.start()
    begun.wait(5)
    store = Store()
    with pytest.raises(TickloomError, match="is not asked"):
        breaker.call(store)
    end.set()
    trying.join()
    assert (store.calls, found, breaker.state) == (0, ["rows"], "closed")


def test_a_store_that_nobody_answers_for_costs_nothing_after_a_few_tries(monkeypatch):
    opened = []

    def connect(address, keyspace, patience_s):
        opened.append(address)
        raise TickloomError(f"Cassandra at {address} does not answer")

    monkeypatch.setattr("tickloom.store.lazy.connect", connect)
    monkeypatch.setattr(wiring, "cassandra_address", lambda: "127.0.0.1:1")
    monkeypatch.setattr(wiring, "breakers", [])
    load = wiring._load(None, None)
    for _ in range(20):
        with pytest.raises(TickloomError):
            load("XNYS", "AAPL")
    assert len(opened) == 3
    assert [it.state for it in wiring.breakers] == ["opened"]


def test_a_session_tells_apart_that_it_is_refused_and_that_nobody_answers(monkeypatch):
    def connect(*_, **__):
        raise ConfigurationError("wrong password")

    monkeypatch.setattr("tickloom.store.lazy.connect", connect)
    with pytest.raises(ConfigurationError, match="wrong password"):
        LazySession(lambda: "127.0.0.1:1", "tickloom").get()


@pytest.mark.parametrize(("state", "value"), [("closed", 0), ("half-opened", 1), ("opened", 2)])
def test_how_the_breaker_stands_is_a_metric(state, value):
    metrics = Metrics()
    metrics.breaker(state)
    assert metrics.registry.get_sample_value("tickloom_serve_store_breaker") == value


def test_each_request_is_a_line_of_the_audit_log_without_secrets(tmp_path):
    key, entry = new_key("desk", ["XNYS"])
    path = tmp_path / "keys.yaml"
    path.write_text(json.dumps({"keys": [entry]}))
    file = io.StringIO()
    service = Service(admit=Admission(Keys(path), None, Rates()), audit=Audit(file))
    headers = {"Authorization": f"Bearer {key}", "X-Request-Id": "one"}
    service.post({"ticker": "AAPL"}, **headers)
    service.post({"tickers": ["MSFT", "NOPE"]}, "/v1/forecast/batch", **headers)
    service.post({"ticker": "AAPL"}, **{"X-API-Key": "desk.not-the-key-of-desk"})
    service.ask("GET", "/healthz")
    lines = [json.loads(line) for line in file.getvalue().splitlines()]
    first, second, third = lines
    told = {name: first[name] for name in first if name not in ("ms", "timestamp")}
    assert told == {
        "event": "audit", "request": "one", "who": "desk", "method": "POST", "path": "/v1/forecast", "status": 200,
        "tickers": ["AAPL"], "count": 1, "market": ["XNYS"], "arm": ["champion"], "version": ["3"], "degraded": 0,
    }  # fmt: skip
    assert first["ms"] > 0
    assert (second["tickers"], second["count"], second["version"]) == (["MSFT", "NOPE"], 2, ["1"])
    assert (third["who"], third["status"], third["tickers"]) == (None, 401, [])
    for secret in (key, entry["sha256"], "not-the-key"):
        assert secret not in file.getvalue()


def test_requests_are_counted_by_route_status_and_arm():
    service = Service(cache=True)
    service.post({"ticker": "AAPL"})
    service.post({"ticker": "AAPL"})
    service.post({"ticker": "NOPE"})
    service.post({"tickers": ["AAPL", "MSFT"]}, "/v1/forecast/batch")
    service.ask("GET", "/anything/at/all")

    def count(route, status, arm=""):
        return service.value("tickloom_serve_requests_total", route=route, status=status, arm=arm)

    assert count("/v1/forecast", "200", "champion") == 2
    assert count("/v1/forecast", "404") == 1
    assert count("/v1/forecast/batch", "200", "champion") == 1
    assert count("other", "404") == 1
    assert service.value("tickloom_serve_request_seconds_count", route="/v1/forecast") == 3
    assert service.value("tickloom_serve_forecasts_total") == 4
    assert service.value("tickloom_serve_cache_total", result="hit") == 2
    assert "tickloom_serve_requests_total" in service.ask("GET", "/metrics").text


def test_shadows_are_counted():
    class Counts:
        made, dropped, failed = 5, 2, 1

    metrics = Metrics()
    metrics.watch_shadows(Counts())
    for outcome, value in (("made", 5), ("dropped", 2), ("failed", 1)):
        assert metrics.registry.get_sample_value("tickloom_serve_shadows_total", {"outcome": outcome}) == value
