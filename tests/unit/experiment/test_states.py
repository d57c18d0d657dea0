"""States as they are written down, and what routers take of them."""

import pytest

from tests.unit.experiment.judged import NOW_US, findings, look, series, state
from tests.unit.experiment.made import experiment
from tickloom.errors import TickloomError
from tickloom.experiment import states
from tickloom.experiment.routing import Router
from tickloom.experiment.states import State, fingerprint, routed


def test_a_state_reads_back_as_it_was_written():
    given = state(mode="thompson")
    changed = look(given, findings(given, *series(60, {})), now_us=NOW_US).state
    assert changed.rewards
    assert changed.pending
    assert State.model_validate_json(changed.model_dump_json(by_alias=True)) == changed


def test_a_state_of_another_version_is_a_sentence():
    with pytest.raises(TickloomError, match=r"state of experiment one, revision 3: .*another version of Tickloom"):
        states._state("one", 3, '{"status": "gone"}')


@pytest.mark.parametrize(
    "changes",
    [
        {"arms": [{"name": "champion"}, {"name": "lstm", "model": "4"}]},
        {"salt": "another"},
        {"stickiness": "ticker"},
        {"mode": "championChallenger"},
        {"tickers": ["ATW"]},
        {"end": {"alpha": 0.1}},
        {"end": {"mostSessions": 100}},
    ],
)
def test_what_matters_changes_the_fingerprint(changes):
    given = {"mode": "thompson", "arms": [{"name": "champion"}, {"name": "lstm"}]}
    assert fingerprint(experiment(**given)) != fingerprint(experiment(**(given | changes)))


@pytest.mark.parametrize(
    "changes", [{"guardrails": {"p99": "50ms"}}, {"end": {"leastSessions": 40, "decision": "approve"}}]
)
def test_what_does_not_matter_may_change(changes):
    assert fingerprint(experiment()) == fingerprint(experiment(**changes))


def test_routers_take_what_runs_and_what_is_watched():
    running = state()
    promoted = look(running, findings(running, *series(120, {"lstm": 0.6}))).state
    ended = look(state(end={"mostSessions": 20}), findings(running, *series(30, {}))).state
    assert [running.routes, promoted.routes, ended.routes] == [True, True, False]
    experiments, weights = routed([promoted, ended])
    router = Router(experiments, weights)
    assert router.assign("XCAS", "ATW", client="c").arm == "champion"
    assert router.assign("XCAS", "ATW", client="c").shadows == ("previous-champion",)
    assert experiments[0].arm("previous-champion").model == "previous-champion"
    unwatched = promoted.model_copy(update={"watch": None})
    assert unwatched.dealt == unwatched.experiment
    assert router.assign("XCAS", "ATW", client="c").epoch == 1
