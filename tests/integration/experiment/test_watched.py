"""A promotion whose ledger turns bad, on a real Cassandra and a real MLflow: back once, and then a person is asked."""

import json

import pytest
from typer.testing import CliRunner

from tests.integration.experiment.registered import Registered, killed_after
from tests.integration.experiment.simulated import MARKET, Simulated
from tests.unit.experiment.judged import NOW_US
from tests.unit.experiment.made import experiment
from tickloom.cli import experiment as verbs
from tickloom.errors import TickloomError
from tickloom.experiment import states, trail
from tickloom.experiment.by_hand import decide_by_hand
from tickloom.experiment.starting import start
from tickloom.settings import settings

pytestmark = pytest.mark.integration

FORMER = "previous-champion"
END = {"watchSessions": 80}


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    return Registered(tmp_path_factory.mktemp("mlflow"))


@pytest.fixture
def run(stack, keyspace, registry, monkeypatch):
    monkeypatch.setenv("TICKLOOM_CASSANDRA", stack.cassandra)
    monkeypatch.setenv("TICKLOOM_KEYSPACE", keyspace)
    monkeypatch.setenv("TICKLOOM_MLFLOW", registry.uri)
    settings.cache_clear()

    def verb(*words):
        result = CliRunner().invoke(verbs.app, words, env={"COLUMNS": "200"}, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    yield verb
    settings.cache_clear()


def promoted(session, registry, name, tickers):
    """Return an experiment whose version 2 was promoted, and is about to turn bad."""
    it = Simulated(session, registry, name, tickers, end=END).play(60, {"lstm": 0.8}).close(60)
    assert it.look() == [("promote", "lstm")]
    it.clock.wait(60)
    return it


def turns_bad(it, champion, former, after=300):
    return it.play_on(60, {FORMER: 0.8}, {"champion": champion, FORMER: former}, after)


def tags(registry, it, number):
    return [registry.tags(MARKET, ticker, number) for ticker in it.tickers]


def test_a_promotion_that_turns_bad_goes_back_and_trail_and_tags_say_why(session, registry):
    it = promoted(session, registry, "turns", ("ATW", "IAM"))
    assert {one["tickloom.approver"] for one in tags(registry, it, 2)} == {"experiment turns at alpha 0.05"}
    assert turns_bad(it, 2, 1).look() == [("roll back", "champion")]
    assert (it.aliases("champion"), it.aliases(FORMER)) == ([1, 1], [2, 2])
    why = it.state.decision.rolled_back_why
    assert "it forecasts worse than the former champion" in why
    assert all(one["tickloom.taken_back"].endswith(why) for one in tags(registry, it, 2))
    assert not any("tickloom.taken_back" in one for one in tags(registry, it, 1))
    told = next(one for one in trail.entries(session, "turns") if one.what == "rolled the promotion back")
    assert told.numbers["e_value"] >= told.numbers["needed"]
    assert it.look() == []  # once, though the ledger says the same again

    again = registry.tags(MARKET, "ATW", 1)
    it.clock.wait(3600)
    assert turns_bad(it, 1, 2, after=500).look() == [("ask", "champion")]
    assert it.aliases("champion") == [1, 1]
    assert it.look() == []
    assert registry.tags(MARKET, "ATW", 1) == again


@pytest.mark.parametrize("after", [1, 3])
def test_a_kill_while_a_promotion_goes_back_is_finished_by_the_next_look(session, registry, after):
    it = promoted(session, registry, f"killed-{after}", {1: ("BCP", "CIH"), 3: ("LHM", "CMA")}[after])
    turns_bad(it, 2, 1)
    with killed_after(after):
        it.look()
    assert it.aliases("champion") != [1, 1]
    assert it.look() == []
    assert (it.aliases("champion"), it.aliases(FORMER)) == ([1, 1], [2, 2])
    assert all(one["tickloom.taken_back"] for one in tags(registry, it, 2))
    whats = [one.what for one in trail.entries(session, it.name)]
    assert whats.count("rolled the promotion back") == 1


def test_the_second_one_in_a_row_waits_for_a_persons_word(session, registry, run):
    first = promoted(session, registry, "first", ("MNG", "TQM"))
    for ticker in first.tickers:
        name = f"tickloom.{MARKET}.{ticker}"
        registry._client.create_model_version(name, "file:///none", tags={"model": "lstm", "verdict": "none"})
        registry.move_alias(MARKET, ticker, "challenger-lstm", 3)
    with pytest.raises(TickloomError, match=r"first watches what it promoted for MNG, TQM .*experiment stop first`"):
        start(session, registry, second("second"), "amina", NOW_US)
    turns_bad(first, 2, 1).look()
    decide_by_hand(session, registry, "first", "stop", "amina", "", first.clock())

    it = Simulated.__new__(Simulated)
    it.__dict__.update(first.__dict__, name="second", experiment=second("second"))
    start(session, registry, it.experiment, "amina", it.clock())
    it.play_on(60, {"lstm": 0.8}, {"champion": 1, "lstm": 3}, after=500)
    assert it.look() == [("promote", "lstm")]
    it.clock.wait(60)
    assert turns_bad(it, 3, 1, after=700).look() == [("ask", "champion")]
    assert (it.aliases("champion"), it.state.status) == ([3, 3], "asking")

    found = json.loads(run("status", "second", "--json"))
    assert "by experiment first, was rolled back as well" in found["question"]
    assert found["watch"]["e_value"] >= found["watch"]["needed"]
    text = run("status", "second")
    assert "asks a person: it forecasts worse" in " ".join(text.split())
    assert "watched for 60 of 80 sessions" in text
    assert "asking" in run("list")
    answered = run("approve", "second", "--who", "amina", "--why", "the desk agrees")
    assert "champion of TQM: version 3 → 1" in answered
    assert (it.aliases("champion"), it.aliases(FORMER)) == ([1, 1], [3, 3])
    assert "amina, experiment second: the desk agrees" in registry.tags(MARKET, "MNG", 3)["tickloom.taken_back"]
    ended = states.read(session)["second"]
    assert (ended.status, ended.routes, ended.decision.rolled_back_by) == ("decided", False, "amina")


def second(name):
    arms = [{"name": "champion"}, {"name": "lstm"}]
    return experiment(name, mode="championChallenger", arms=arms, tickers=["MNG", "TQM"], end=END)
