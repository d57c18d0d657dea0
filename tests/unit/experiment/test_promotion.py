"""What is decided, and what stands against it."""

import dataclasses

import pytest

from tests.unit.experiment.judged import ARMS, MINUTE_US, NOW_US, findings, look, series, state
from tickloom.errors import TickloomError
from tickloom.experiment.actions import Action, after
from tickloom.experiment.guardrails import Breach
from tickloom.experiment.promotion import found_better, missing, trails

BETTER = {"lstm": 0.6}


def breach(arm, guardrail="errorRate"):
    return Breach(arm, guardrail, 0.4, 0.01, "5m")


@pytest.fixture(scope="module")
def better():
    """Two arms that know nothing and one that knows more than half of what comes."""
    return findings(state(), *series(120, BETTER))


@pytest.fixture(scope="module")
def equal():
    return findings(state(), *series(120, {}))


def short(found, n):
    """Return the findings as they were after ``n`` sessions."""
    cut = {
        arm: dataclasses.replace(it, cutoffs=it.cutoffs[:n], differences=it.differences[:n], trail=it.trail[:n])
        for arm, it in found.evidence.items()
    }
    return dataclasses.replace(found, cutoffs=found.cutoffs[:n], evidence=cut)


def test_the_better_arm_is_promoted_with_all_its_tickers_and_the_numbers(better):
    done = look(state(), better)
    assert done.kinds == ["promote"]
    action, after_it = done.actions[0], done.state
    assert action.arm == "lstm"
    assert action.numbers["e_value"] >= action.numbers["needed"] == 20
    assert 20 <= action.numbers["sessions"] <= 120 == action.numbers["sessions_now"]
    assert (after_it.status, after_it.generation) == ("decided", 1)
    assert after_it.weights.values == {"champion": 1.0, "previous-champion": 0.0}
    assert after_it.epochs[-1].weights == after_it.weights
    moves = [(it.ticker, it.old, it.new) for it in after_it.pending.moves]
    assert moves == [("ATW", 1, 2), ("IAM", 1, 2)]
    kinds = [(it.kind, it.ticker, it.version) for it in after_it.pending.entries]
    assert kinds == [("decision", "", ""), ("alias", "ATW", "2"), ("alias", "IAM", "2")]
    assert {it.who for it in after_it.pending.entries} == {"judge"}


def test_an_equal_arm_is_not_promoted(equal):
    assert look(state(), equal).kinds == []
    assert found_better(state(), equal) is None


def test_nobody_is_promoted_before_the_fewest_sessions(better):
    patient = state(end={"leastSessions": 100})
    assert look(patient, short(better, 99)).kinds == []
    assert "1 more sessions: 99 of at least 100" in missing(patient, short(better, 99), 1.0)[0]
    assert look(patient, short(better, 100)).kinds == ["promote"]


def test_a_verdict_stands_though_a_look_was_missed(better):
    first = next(n for n in range(20, 121) if found_better(state(), short(better, n)))
    assert found_better(state(), better) == ("lstm", first)


def test_evidence_is_adjusted_over_challengers(better):
    raw = better.evidence["lstm"].trail[:, 0]
    assert (trails(state(), better)["lstm"] <= raw + 1e-9).all()
    assert (trails(state(), better)["lstm"] < raw).any()


def test_after_the_most_sessions_the_champion_stays(equal):
    ended = look(state(end={"mostSessions": 120}), equal)
    assert ended.kinds == ["end"]
    assert "after 120 sessions the champion stays" in ended.actions[0].why
    assert (ended.state.status, ended.state.decision.arm, ended.state.routes) == ("decided", "champion", False)
    assert not ended.state.pending.moves
    assert look(state(end={"mostSessions": 121}), equal).kinds == []


def test_a_broken_arm_goes_and_is_not_promoted(better):
    done = look(state(), better, [breach("lstm")])
    assert [(it.kind, it.arm) for it in done.actions] == [("take out", "lstm")]
    assert set(done.state.weights.values) == {"champion", "gbm"}
    assert "errorRate 0.4 is above 0.01" in done.state.out["lstm"]
    assert (done.state.status, done.state.generation, done.state.weights.epoch) == ("running", 1, 1)
    assert look(done.state, better, [breach("lstm")]).kinds == []


def test_bad_coverage_takes_an_arm_out(better):
    found = dataclasses.replace(better, coverage=[breach("lstm", "coverage"), breach("champion", "coverage")])
    assert [(it.kind, it.arm) for it in look(state(), found).actions] == [("take out", "lstm")]


def test_when_every_challenger_is_out_the_experiment_ends(better):
    done = look(state(), better, [breach("lstm"), breach("gbm")])
    assert done.kinds == ["take out", "take out", "end"]
    assert done.state.status == "decided"
    assert [it.id for it in done.state.pending.entries] == ["000001", "000002", "000003"]


def test_the_champion_is_not_taken_out_while_nothing_was_promoted(equal):
    assert look(state(), equal, [breach("champion")]).kinds == []


def test_shares_that_are_not_those_of_the_weights_hold_a_promotion_back_and_that_is_written_once(better):
    done = look(state(), better, ratio_p=0.0005)
    assert done.kinds == ["block"]
    assert "do not get the shares of their weights" in done.state.blocked
    assert look(done.state, better, ratio_p=0.0005).kinds == []
    assert look(done.state, better).kinds == ["promote"]
    assert "shares" in missing(done.state, better, 0.0005)[0]


@pytest.mark.parametrize("arm", ["lstm", "champion"])
def test_an_alias_that_was_moved_holds_a_promotion_back(arm):
    moved = findings(state(), *series(120, BETTER), **{arm: {"IAM": 9}})
    done = look(state(), moved)
    assert done.kinds == ["block"]
    alias = "champion" if arm == "champion" else "challenger-lstm"
    assert f"{alias} of IAM names version 9, and {1 if arm == 'champion' else 2} was compared" in done.actions[0].why


def test_a_moved_alias_of_another_arm_does_not_matter():
    assert look(state(), findings(state(), *series(120, BETTER), gbm={"IAM": 9})).kinds == ["promote"]


def test_a_person_is_waited_for_once_and_a_broken_arm_waits_no_more(better):
    careful = state(end={"decision": "approve"})
    waits = look(careful, better)
    assert waits.kinds == ["wait"]
    assert (waits.state.status, waits.state.proposal, waits.state.generation) == ("waiting", "lstm", 0)
    assert not waits.state.pending.moves
    assert look(waits.state, better).kinds == []
    assert "approve one" in missing(waits.state, better, 1.0)[0]
    broken = look(waits.state, better, [breach("lstm")]).state
    assert (broken.status, broken.proposal) == ("running", None)
    approved = after(waits.state, Action("promote", "approved", "lstm"), NOW_US, "amina")
    assert (approved.decision.who, approved.status) == ("amina", "decided")


def test_a_promotion_is_rolled_back_while_it_is_watched(better):
    promoted = look(state(end={"watch": "30m"}), better).state
    back = look(promoted, breaches=[breach("champion")], now_us=NOW_US + 29 * MINUTE_US)
    assert back.kinds == ["roll back"]
    assert [(it.old, it.new) for it in back.state.pending.moves[-2:]] == [(2, 1), (2, 1)]
    assert (back.state.decision.rolled_back, back.state.watch_until_us, back.state.generation) == (True, None, 2)
    assert (back.state.decision.rolled_back_by, back.state.decision.rolled_back_why) == ("judge", back.actions[0].why)
    assert look(back.state, breaches=[breach("champion")]).kinds == []


def test_after_the_watch_nothing_is_taken_back(better):
    promoted = look(state(end={"watch": "30m", "watchSessions": 0}), better).state
    assert promoted.routes
    assert look(promoted, now_us=NOW_US + 29 * MINUTE_US).kinds == []
    done = look(promoted, now_us=NOW_US + 30 * MINUTE_US)
    assert done.kinds == ["end watch"]
    assert not done.state.routes
    assert look(done.state, breaches=[breach("champion")]).kinds == []
    with pytest.raises(TickloomError, match="no promotion to roll back"):
        after(state(), Action("roll back", "why"), NOW_US, "amina")


def test_a_ramp_goes_on_by_time_and_not_after_a_broken_guardrail():
    ramp = {
        "mode": "canary", "arms": [{"name": "champion", "weight": 0.9}, {"name": "lstm", "weight": 0.1}],
        "canary": {"arm": "lstm", "steps": [0.01, 0.2], "every": "1h"},
    }  # fmt: skip
    first = look(state(**ramp))
    assert first.kinds == ["weights"]
    assert first.state.weights.values == {"champion": 0.99, "lstm": 0.01}
    assert look(first.state, now_us=NOW_US + 59 * MINUTE_US).kinds == []
    second = look(first.state, now_us=NOW_US + 60 * MINUTE_US).state
    assert (second.weights.values["lstm"], second.weights.epoch, second.step) == (0.2, 2, 2)
    assert look(second, now_us=NOW_US + 600 * MINUTE_US).kinds == []
    assert [it.weights.epoch for it in second.epochs] == [0, 1, 2]
    broken = look(first.state, breaches=[breach("lstm")])
    assert broken.kinds == ["take out", "end"]


def test_a_bandit_begins_an_epoch_with_what_has_matured_and_no_arm_that_is_out():
    bandit = {"mode": "epsilonGreedy", "bandit": {"every": "1d", "epsilon": 0.1, "leastRewards": 20}}
    given = state(**bandit, arms=ARMS, end={"leastSessions": 100})
    day = 24 * 60 * MINUTE_US
    forecasts, closes = series(40, BETTER)
    first = look(given, findings(given, forecasts, closes), now_us=NOW_US)
    assert first.kinds == ["weights"]
    assert first.state.step == 1
    assert first.state.weights.values["lstm"] == pytest.approx(0.9 + 0.1 / 3)
    assert {arm: it.count for arm, it in first.state.rewards.items()} == dict.fromkeys(given.experiment.arms, 40)
    assert look(first.state, findings(given, forecasts, closes), now_us=NOW_US + day - 1).kinds == []
    again = look(first.state, findings(given, forecasts, closes, NOW_US + day), now_us=NOW_US + day)
    assert (again.kinds, again.state.step, again.state.weights) == (["step"], 2, first.state.weights)
    assert not [it for it in again.state.pending.entries if it.what == "went on"]


def test_what_matured_after_the_epoch_began_waits_for_the_next():
    given = state(mode="thompson", arms=ARMS)
    late = findings(given, *series(40, BETTER), now_us=NOW_US + MINUTE_US * 60)
    assert late.rewards["lstm"].count == 0
