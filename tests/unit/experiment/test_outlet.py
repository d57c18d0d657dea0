"""Forecasts leave the process once, in order, however long the other side is away."""

import threading
import time

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from tests.unit.experiment.ledgered import forecast
from tickloom.experiment import outlet
from tickloom.experiment.outlet import Metrics, Outlet, Taken


class Away:
    """Takes nothing until it is opened, then everything; may take only some at a time."""

    def __init__(self, opened=True, most=10**9):
        self.opened, self.most, self.got, self.calls = opened, most, [], 0

    def __call__(self, forecasts):
        if forecasts:
            self.calls += 1
        if not self.opened and forecasts:
            raise ConnectionError("refused")
        self.got += forecasts[: self.most]
        return Taken(again=list(forecasts[self.most :]), written=len(forecasts[: self.most]))


@pytest.fixture
def made():
    opened = []

    def make(deliver, capacity=100_000):
        registry = CollectorRegistry()
        it = Outlet("there", deliver, Metrics(registry), capacity)
        opened.append(it)
        return it, lambda name: registry.get_sample_value(f"tickloom_ledger_{name}", {"to": "there"})

    yield make
    for it in opened:
        it.close(time.monotonic())


def numbered(n, first=0):
    return [forecast(horizon=1 + i % 40, ticker=f"T{i // 40}") for i in range(first, first + n)]


def within(seconds, condition):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_what_is_offered_many_times_from_many_threads_leaves_once(made):
    there = Away()
    it, metric = made(there)
    mine = numbered(500)
    threads = [threading.Thread(target=lambda: [it.put(one) for _ in range(5) for one in mine]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert it.close(time.monotonic() + 5) == 0
    assert sorted(one.key for one in there.got) == sorted(one.key for one in mine)
    assert (metric("written_total"), metric("waiting"), metric("dropped_total")) == (500, 0, 0)


def test_nothing_is_lost_and_the_order_stays_while_the_other_side_is_away(made, monkeypatch):
    monkeypatch.setattr(outlet, "IDLE_S", 0.05)
    there = Away(opened=False)
    it, metric = made(there)
    mine = numbered(24_000)  # a minute of 400 a second
    with capture_logs() as said:
        for one in mine:
            it.put(one)
        within(5, lambda: any("not taken" in line["event"] for line in said))
        assert metric("waiting") == 24_000
        there.opened = True
        assert it.close(time.monotonic() + 10) == 0
    assert there.got == mine
    assert metric("retried_total") >= 24_000
    events = [line["event"] for line in said]
    assert events == [
        "the ledger's forecasts are not taken; trying again",
        "the ledger's forecasts are taken again",
    ]
    assert said[0]["error"] == "refused"


def test_new_forecasts_do_not_make_it_knock_more_often(made):
    there = Away(opened=False)
    it, _ = made(there)
    until = time.monotonic() + 1
    for one in numbered(10_000):
        it.put(one)
        if time.monotonic() > until:
            break
        time.sleep(0.001)
    assert there.calls < 12


def test_beyond_its_bound_it_drops_counts_and_says_so_and_takes_them_when_they_come_again(made):
    there = Away(opened=False)
    it, metric = made(there, capacity=10)
    mine = numbered(18)
    with capture_logs() as said:
        for one in mine:
            it.put(one)
    assert (metric("dropped_total"), metric("waiting")) == (8, 10)
    assert [(line["log_level"], line["event"]) for line in said if "lost" in line] == [
        ("error", "forecasts are lost to the ledger")
    ]
    there.opened = True
    within(5, lambda: len(there.got) == 10)
    for one in mine:
        it.put(one)
    assert it.close(time.monotonic() + 5) == 0
    assert {one.key for one in there.got} == {one.key for one in mine}
    assert len(there.got) == 18


def test_what_is_left_over_is_handed_over_again(made):
    there = Away(most=3)
    it, metric = made(there)
    mine = numbered(10)
    for one in mine:
        it.put(one)
    assert it.close(time.monotonic() + 10) == 0
    assert there.got == mine
    assert metric("written_total") == 10


def test_closing_has_a_deadline_and_says_what_is_left(made):
    it, metric = made(Away(opened=False))
    for one in numbered(7):
        it.put(one)
    assert it.close(time.monotonic() + 0.3) == 7
    assert metric("dropped_total") == 7


def test_putting_waits_for_nobody(made):
    asked, answered = threading.Event(), threading.Event()

    def deliver(forecasts):
        if forecasts:
            asked.set()
            answered.wait(60)
        return Taken(written=len(forecasts))

    it, metric = made(deliver)
    it.put(forecast())
    assert asked.wait(60)
    for one in numbered(20_000):  # while the other side has not answered
        it.put(one)
    assert not metric("written_total")
    answered.set()
    assert it.close(time.monotonic() + 60) == 0
    assert metric("written_total") >= 20_000


def test_a_shadows_forecast_that_is_served_later_leaves_too(made):
    there = Away()
    it, _ = made(there)
    it.put(forecast(shadow=True))
    it.put(forecast())
    it.put(forecast())
    it.close(time.monotonic() + 5)
    assert [one.shadow for one in there.got] == [True, False]
