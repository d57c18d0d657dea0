"""What follows the registry: swaps when versions are ready, goes on while it is away."""

import asyncio

import pytest
import structlog
from prometheus_client import CollectorRegistry

from services.forecast import wiring
from services.forecast.front import Front
from services.forecast.settings import ServeSettings, serve_settings
from tickloom.errors import TickloomError
from tickloom.forecast.versions import Listing


class Registry:
    def __init__(self):
        self.known = {("XNYS", "AAPL"): {"champion": 1}}
        self.away = False

    def listing(self):
        if self.away:
            raise TickloomError("MLflow does not answer")
        return Listing(self.known, {})


class Inference:
    """The inference process, as the front sees it."""

    def __init__(self):
        self.prepared = []
        self.wrong = {}

    async def prepare(self, wanted):
        self.prepared.append([(it["ticker"], it["version"]) for it in wanted])
        return [self.wrong.get((it["ticker"], it["version"]), "") for it in wanted]

    async def closes(self):
        return [["XNYS", "AAPL", 20000, 10.0]]

    async def store(self):
        return "closed"


@pytest.fixture
def place(monkeypatch):
    serve_settings.cache_clear()
    monkeypatch.setattr("services.forecast.front.serve_settings", lambda: ServeSettings(poll_s=0.001, ledger=False))
    monkeypatch.setattr(wiring, "store", lambda: None)
    registry, inference = Registry(), Inference()
    monkeypatch.setattr(wiring, "registry", lambda: registry)
    front = Front()
    front._inference = inference
    return front, registry, inference


def follow(front, *steps):
    """Run the front, and do a step whenever the one before has come about: pairs of (do, until)."""

    async def run():
        task = asyncio.ensure_future(front._follow())
        for do, until in steps:
            do()
            async with asyncio.timeout(10):
                while not until():
                    await asyncio.sleep(0.002)
        task.cancel()

    asyncio.run(run())


def aliases(front, ticker="AAPL"):
    return front._answering.catalogue.aliases.get(("XNYS", ticker))


def test_it_is_ready_once_models_are(place):
    front, registry, _ = place
    registry.away = True
    assert front._wrong()
    follow(
        front,
        (lambda: None, lambda: front._wrong() == "no models: MLflow does not answer"),
        (lambda: setattr(registry, "away", False), lambda: front._wrong() is None),
    )
    assert front._answering.closes == {("XNYS", "AAPL"): (20000, 10.0)}


def test_while_the_registry_is_away_what_is_known_answers(place):
    front, registry, inference = place
    follow(
        front,
        (lambda: None, lambda: aliases(front) == {"champion": "1"}),
        (lambda: setattr(registry, "away", True), lambda: True),
        (lambda: registry.known.update({("XNYS", "AAPL"): {"champion": 2}}), lambda: True),
        (lambda: setattr(registry, "away", False), lambda: aliases(front) == {"champion": "2"}),
    )
    assert front._wrong() is None
    assert inference.prepared == [[("AAPL", "1")], [("AAPL", "2")]]


def test_a_version_is_asked_only_once_it_is_ready_and_tried_again_later(place, monkeypatch):
    front, registry, inference = place
    inference.wrong = {("AAPL", "2"): "it cannot be loaded"}
    monkeypatch.setattr("services.forecast.front._AGAIN_S", 0.05)
    follow(
        front,
        (lambda: None, lambda: aliases(front) == {"champion": "1"}),
        (lambda: registry.known.update({("XNYS", "AAPL"): {"champion": 2}}), lambda: len(inference.prepared) > 2),
        (lambda: None, lambda: aliases(front) == {"champion": "1"}),
        (inference.wrong.clear, lambda: aliases(front) == {"champion": "2"}),
    )


def test_a_registry_without_models_is_told(place):
    front, registry, _ = place
    registry.known = {}
    follow(front, (lambda: None, lambda: front._wrong() == "the registry holds no model"))


def test_a_store_whose_address_is_known_later_is_taken_up(place, monkeypatch):
    front, _, _ = place
    ledgers, found = iter([None, "ledger"]), []
    monkeypatch.setattr(wiring, "ledger", lambda store, _: found.append(store) or next(ledgers))
    front._find_stores()
    assert (front._store, front._ledger) == (None, None)
    monkeypatch.setattr(wiring, "store", lambda: "store")
    front._find_stores()  # not so soon again
    assert found == [None]
    front._stores_s = 0.0
    front._find_stores()
    assert (front._store, front._ledger, front._trials.store) == ("store", "ledger", "store")
    front._stores_s = 0.0
    front._find_stores()
    assert found == [None, "store"]


def test_what_is_looked_for_again_and_again_is_said_once(monkeypatch):
    def nowhere():
        raise TickloomError("nothing runs")

    monkeypatch.setattr(wiring, "serve_settings", lambda: ServeSettings(ledger=True))
    monkeypatch.setattr(wiring, "_said", set())
    monkeypatch.setattr(wiring, "cassandra_address", nowhere)
    monkeypatch.setattr(wiring, "kafka_address", nowhere)
    with structlog.testing.capture_logs() as said:
        for _ in range(3):
            assert wiring.ledger(wiring.store(), CollectorRegistry()) is None
    assert [it["event"] for it in said] == [
        "Cassandra is left out",
        "Kafka is left out",
        "no forecast is written down: neither Cassandra nor Kafka is known",
    ]
