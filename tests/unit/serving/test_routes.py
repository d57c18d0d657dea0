"""Who answers, and what is written down of it."""

import math
from collections import Counter

from tickloom.experiment.manifest import parse
from tickloom.experiment.modes import Weights
from tickloom.experiment.ratio import Tally
from tickloom.serving.catalogue import Catalogue
from tickloom.serving.health import Health
from tickloom.serving.recording import Recording
from tickloom.serving.routed import Caller, Routed
from tickloom.serving.routes import Routes

CATALOGUE = Catalogue.of(
    {
        ("XNYS", "AAPL"): {"champion": 1, "challenger-lstm": 3, "challenger-gbm": 2},
        ("XNYS", "MSFT"): {"champion": 5},
        ("XCAS", "ATW"): {"champion": 1},
    }
)
ARMS = [{"name": "champion", "weight": 0.5}, {"name": "lstm", "weight": 0.5}, {"name": "gbm", "shadow": True}]


def experiment(**spec):
    return parse(
        {
            "apiVersion": "tickloom.dev/v1alpha1",
            "kind": "Experiment",
            "metadata": {"name": "trial"},
            "spec": {"market": "XNYS", "mode": "fixed", "arms": ARMS, **spec},
        }
    )


def caller(name="desk", **headers):
    return Caller(name, headers)


def test_without_experiments_the_champion_answers():
    assert Routes()(CATALOGUE, "XNYS", "MSFT", caller()) == Routed("default", "champion", "5")
    assert Routes()(CATALOGUE, "XNYS", "NONE", caller()) is None


def test_arms_answer_with_their_versions_and_the_others_are_shadows():
    tally = Tally()
    routes = Routes([experiment()], tallies={"trial": tally})
    found = Counter(routes(CATALOGUE, "XNYS", "AAPL", caller(f"c{at}")).version for at in range(400))
    assert set(found) == {"1", "3"}
    assert 140 < found["1"] < 260
    one = routes(CATALOGUE, "XNYS", "AAPL", caller("c1"))
    assert one == routes(CATALOGUE, "XNYS", "AAPL", caller("c1"))
    assert {one.version, *(version for _, version in one.shadows)} == {"1", "2", "3"}
    assert sum(tally.take().values()) == 400


def test_a_ticker_that_lacks_an_arm_takes_no_part_and_is_told():
    routes = Routes([experiment()])
    assert routes(CATALOGUE, "XNYS", "MSFT", caller()) == Routed("default", "champion", "5")
    said = routes.without_models(CATALOGUE)
    assert len(said) == 1
    assert "MSFT takes no part" in said[0]
    assert "challenger-lstm, challenger-gbm" in said[0]


def test_new_aliases_and_weights_count_at_once():
    routes = Routes([experiment()], {"trial": Weights(4, {"champion": 0.0, "lstm": 1.0, "gbm": 0.0})})
    found = routes(CATALOGUE, "XNYS", "AAPL", caller())
    assert (found.arm, found.version, found.epoch) == ("lstm", "3", 4)
    moved = Catalogue.of({("XNYS", "AAPL"): {"champion": 1, "challenger-lstm": 9, "challenger-gbm": 2}})
    assert routes(moved, "XNYS", "AAPL", caller()).version == "9"


def test_a_process_of_one_arm_answers_with_it():
    routes = Routes([experiment()], fixed="gbm")
    for at in range(20):
        found = routes(CATALOGUE, "XNYS", "AAPL", caller(f"c{at}"))
        assert (found.arm, found.version) == ("gbm", "2")
        assert {name for name, _ in found.shadows} == {"champion", "lstm"}


MADE = {
    "model": "lstm", "version": "3", "learned_to": "2024-10-04", "cutoff": 20000,
    "close": 10.0, "days": [20001, 20002], "price": [10.5, 11.0],
    "levels": [0.5, 0.8, 0.95], "lower": [[10.2, 10.4], [9.0, 8.0], [8.0, 7.0]],
    "upper": [[10.8, 11.4], [12.0, 13.0], [13.0, 14.0]], "features": "ab",
}  # fmt: skip


def test_a_forecast_of_a_model_that_learned_from_later_sessions_is_not_recorded():
    offered = []
    record = Recording(offered.append)
    record(Routed("trial", "lstm", "3"), "lstm", "XNYS", "AAPL", {**MADE, "learned_to": "2024-10-05"}, "a")
    assert offered == []
    record(Routed("trial", "lstm", "3"), "lstm", "XNYS", "AAPL", MADE, "a")
    assert len(offered) == 2


def test_each_arms_forecast_is_recorded_once_with_all_horizons():
    taken = []
    record = Recording(taken.append)
    routed = Routed("trial", "lstm", "3", (("gbm", "2"),))
    for request in ("r1", "r2"):
        record(routed, "lstm", "XNYS", "AAPL", MADE, request)
        record(routed, "gbm", "XNYS", "AAPL", {**MADE, "version": "2", "lower": [], "upper": []}, request)
    assert [(it.arm, it.horizon, it.ds, it.shadow, it.request) for it in taken] == [
        ("lstm", 1, 20001, False, "r1"),
        ("lstm", 2, 20002, False, "r1"),
        ("gbm", 1, 20001, True, "r1"),
        ("gbm", 2, 20002, True, "r1"),
    ]
    served = taken[1]
    assert (served.lo_80, served.hi_80, served.lo_95, served.hi_95) == (8.0, 13.0, 7.0, 14.0)
    assert (served.y_cutoff, served.y_hat, served.features, served.version) == (10.0, 11.0, "ab", "3")
    assert math.isnan(taken[2].lo_80)
    record(routed, "lstm", "XNYS", "AAPL", {**MADE, "cutoff": 20001}, "r3")
    assert len(taken) == 6


def test_guardrails_see_what_arms_did():
    health = Health()
    health.record("trial", "lstm", 0.01, failed=False)
    assert health.counts() == {}
    health.watch([experiment()])
    for at in range(10):
        health.record("trial", "lstm", 0.01, failed=at == 0)
    (counts,) = health.counts().values()
    assert (counts.requests, counts.failures) == (10, 1)
    health.watch([experiment(guardrails={"errorRate": 0.2})])
    assert health.counts() == {}
