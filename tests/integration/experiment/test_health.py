"""What replicas write, and what the judge reads of it."""

import time

import pytest

from tests.unit.experiment.judged import counts
from tickloom.experiment import health
from tickloom.experiment.ratio import Ratio

pytestmark = pytest.mark.integration


def test_replicas_are_added_and_each_counts_once_however_often_it_writes(session, ticker):
    for number in (1, 2, 3):
        health.publish(session, "pod-1", ticker, {"champion": counts(100 * number, number)}, generation=0)
    health.publish(session, "pod-2", ticker, {"champion": counts(50), "lstm": counts(10, 5)}, generation=0)
    found = health.read(session, ticker, 0)
    assert {arm: (it.requests, it.failures) for arm, it in found.counts.items()} == {
        "champion": (350, 3), "lstm": (10, 5),
    }  # fmt: skip
    assert sum(found.counts["champion"].histogram) == 347
    assert found.replicas == 2
    assert health.read(session, f"{ticker}X", 0) == health.Health()


def test_another_generation_is_left_out(session, ticker):
    health.publish(session, "pod-1", ticker, {"champion": counts(100)}, generation=0)
    health.publish(session, "pod-2", ticker, {"champion": counts(7)}, generation=1)
    assert health.read(session, ticker, 1).counts["champion"].requests == 7


def test_a_replica_that_is_gone_is_forgotten(session, ticker):
    health.publish(session, "pod-1", ticker, {"champion": counts(100)}, generation=0, kept_s=2)
    assert health.read(session, ticker, 0).replicas == 1
    time.sleep(1)
    assert health.read(session, ticker, 0, recent_s=0.5).replicas == 0
    time.sleep(2)
    assert health.read(session, ticker, 0).replicas == 0


def test_a_limit_that_not_all_replicas_have_read_yet_breaks_nothing(session, ticker):
    health.publish(session, "pod-1", ticker, {"lstm": counts(100)}, generation=0)
    health.publish(session, "pod-2", ticker, {"lstm": counts(100, edges=(0.05, 1.0))}, generation=0)
    assert health.read(session, ticker, 0).counts["lstm"].requests == 100


def test_shares_that_are_off_in_one_replica_are_off(session, ticker):
    weights = {"champion": 0.5, "lstm": 0.5}
    fair = Ratio().add({"champion": 515, "lstm": 485}, weights)
    for number in range(3):
        both = {"champion": counts(515), "lstm": counts(485)}
        health.publish(session, f"pod-{number}", ticker, both, generation=0, ratio=fair)
    assert health.read(session, ticker, 0).ratio_p == 1.0
    unfair = Ratio().add({"champion": 700, "lstm": 300}, weights)
    health.publish(session, "pod-0", ticker, both, generation=0, ratio=unfair)
    found = health.read(session, ticker, 0)
    assert found.ratio_p == pytest.approx(3 * unfair.p_value)
    assert found.ratio_p < 1e-3
    assert found.keys == {"champion": 1730, "lstm": 1270}
