"""Experiments from files, tags and the store, and what their judge is told."""

import json

import pytest

from tests.unit.serving.test_routes import ARMS, CATALOGUE, caller, experiment
from tickloom.errors import ConfigurationError, TickloomError
from tickloom.experiment import health, states
from tickloom.experiment.modes import Weights
from tickloom.experiment.states import Epoch, State, Watch
from tickloom.serving.catalogue import Catalogue
from tickloom.serving.problems import wrong_experiment
from tickloom.serving.routes import Routes
from tickloom.serving.trials import Trials

HEAD = {"apiVersion": "tickloom.dev/v1alpha1", "kind": "Experiment", "metadata": {"name": "trial"}}
SPEC = {"market": "XNYS", "mode": "fixed", "arms": ARMS}
ALL_LSTM = Weights(3, {"champion": 0.0, "lstm": 1.0, "gbm": 0.0})


def state(weights=ALL_LSTM, **more):
    run = experiment(tickers=["AAPL"])
    return State(
        experiment=run,
        fingerprint=states.fingerprint(run),
        started_us=0,
        versions={},
        weights=weights,
        epochs=(Epoch(weights=weights, since_us=0, why="test"),),
        **more,
    )


class Store:
    """A store that holds states and hears of health."""

    def __init__(self, monkeypatch):
        self.states = {}
        self.away = False
        self.told = []
        monkeypatch.setattr(states, "read", lambda session: self.states)
        monkeypatch.setattr(
            health,
            "publish",
            lambda session, replica, name, counts, **more: self.told.append((replica, name, counts, more)),
        )

    def use(self, what):
        if self.away:
            raise TickloomError("Cassandra does not answer")
        return what(None)


@pytest.fixture
def store(monkeypatch):
    return Store(monkeypatch)


def written(tmp_path, **spec):
    path = tmp_path / "trial.json"
    path.write_text(json.dumps({**HEAD, "spec": {**SPEC, **spec}}))
    return path


def test_an_experiment_of_a_file_has_the_files_weights(tmp_path):
    trials = Trials(written(tmp_path), dict, None, "r1")
    assert trials.look()
    assert [it.name for it in trials.running.experiments] == ["trial"]
    assert trials.running.weights == {}
    assert not trials.look()
    written(tmp_path, stickiness="ticker")
    assert trials.look()


def test_a_tag_of_a_registered_model_may_hold_one():
    held = {"tickloom.experiment": json.dumps({**HEAD, "spec": SPEC})}
    trials = Trials(None, lambda: {"tickloom.XNYS.AAPL": held, "tickloom.XNYS.MSFT": {"other": "x"}}, None, "r1")
    assert trials.look()
    assert trials.running.experiments[0].arms == ("champion", "lstm", "gbm")


def test_a_started_one_is_as_the_store_has_it_until_it_is_decided(tmp_path, store):
    trials = Trials(written(tmp_path), dict, store, "r1")
    trials.look()
    assert trials.running.weights == {}
    store.states = {"trial": state()}
    assert trials.look()
    assert trials.running.weights == {"trial": ALL_LSTM}
    store.states = {"trial": state(status="decided")}
    assert trials.look()
    assert trials.running.experiments == ()


def test_while_the_store_is_away_its_last_answer_counts(tmp_path, store):
    trials = Trials(written(tmp_path), dict, store, "r1")
    store.states = {"trial": state()}
    trials.look()
    store.away = True
    assert not trials.look()
    assert trials.running.weights == {"trial": ALL_LSTM}
    trials.health.record("trial", "lstm", 0.1, failed=False)
    with pytest.raises(TickloomError, match="does not answer"):
        trials.tell()


def test_a_file_that_is_wrong_leaves_what_is_known(tmp_path):
    trials = Trials(written(tmp_path), dict, None, "r1")
    trials.look()
    written(tmp_path, arms=[{"name": "champion", "weight": 0.5}, {"name": "lstm", "weight": 0.4}])
    with pytest.raises(ConfigurationError, match=r"sum to 0\.9"):
        trials.look()
    (told,) = [wrong_experiment(it).body()["errors"][0] for it in trials.problems]
    assert told["field"] == "spec.arms"
    assert "must sum to 1" in told["problem"]
    assert trials.shown()[0]["arms"][0] == {"name": "champion", "model": "champion", "weight": 0.5}
    assert trials.running.experiments[0].arms == ("champion", "lstm", "gbm")


def test_the_judge_hears_of_requests_and_shares(store):
    half = Weights(1, {"champion": 0.5, "lstm": 0.5, "gbm": 0.0})
    store.states = {"trial": state(half, generation=2)}
    trials = Trials(None, dict, store, "r1")
    trials.look()
    routes = Routes(trials.running.experiments, trials.running.weights, tallies=trials.tallies())
    for at in range(100):
        found = routes(CATALOGUE, "XNYS", "AAPL", caller(f"c{at}"))
        trials.health.record(found.experiment, found.arm, 0.01, failed=False)
    trials.tell()
    ((replica, name, counts, more),) = store.told
    assert (replica, name, more["generation"]) == ("r1", "trial", 2)
    assert sum(it.requests for it in counts.values()) == 100
    assert sum(more["ratio"].counts.values()) == 100
    assert not more["ratio"].is_off()


def test_other_models_are_counted_from_the_beginning(store):
    store.states = {"trial": state()}
    trials = Trials(None, dict, store, "r1")
    trials.look()
    trials.health.record("trial", "lstm", 0.01, failed=True)
    store.states = {"trial": state(generation=1)}
    trials.look()
    trials.tell()
    assert store.told == []


def test_while_a_promotion_is_watched_the_former_champion_forecasts_beside_the_new_one(store):
    watch = Watch(since_us=0, champion={"AAPL": 5}, former={"AAPL": 4}, sessions=10)
    weights = Weights(4, {"champion": 1.0, "previous-champion": 0.0})
    store.states = {"trial": state(weights, status="decided", watch=watch)}
    trials = Trials(None, dict, store, "r1")
    assert trials.look()
    aliases = Catalogue.of({("XNYS", "AAPL"): {"champion": 5, "previous-champion": 4}})
    found = Routes(trials.running.experiments, trials.running.weights)(aliases, "XNYS", "AAPL", caller())
    assert (found.experiment, found.arm, found.version) == ("trial", "champion", "5")
    assert found.shadows == (("previous-champion", "4"),)
    assert trials.asking == ()
    store.states = {"trial": state(weights, status="asking", watch=watch)}
    trials.look()
    assert trials.asking == ("trial",)
