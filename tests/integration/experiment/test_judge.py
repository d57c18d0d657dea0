"""From forecasts and closes to the alias that serving reads, on a real Cassandra and a real MLflow."""

import threading
import time

import pytest

from tests.integration.experiment.registered import Registered, killed_after
from tests.integration.experiment.simulated import MARKET, Simulated
from tests.unit.experiment.judged import counts
from tests.unit.experiment.ledgered import CUTOFF
from tests.unit.experiment.made import experiment
from tickloom.errors import ConfigurationError, TickloomError
from tickloom.experiment import findings, health, states, trail
from tickloom.experiment.by_hand import decide_by_hand
from tickloom.experiment.finishing import finish
from tickloom.experiment.judge import Judge
from tickloom.experiment.promotion import found_better
from tickloom.experiment.starting import start

pytestmark = pytest.mark.integration

SKILL = {"lstm": 0.5}


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """One database, for making one takes long; each test has tickers of its own."""
    return Registered(tmp_path_factory.mktemp("mlflow"))


def told(session, name):
    return [(it.kind, it.who, it.what) for it in trail.entries(session, name)][::-1]


def test_the_better_arm_is_promoted_session_by_session_and_the_trail_says_why(session, registry):
    run = Simulated(session, registry, "better", ("ATW", "IAM")).play(250, SKILL)
    done, last = [], 0
    for upto in (10, 19, 40, 80, 160, 250):
        done += run.close(upto, first=last).look()
        last = upto + 1
        if done:
            break
        assert run.aliases("champion") == [1, 1]
    assert done == [("promote", "lstm")]
    assert run.aliases("champion") == [2, 2]
    assert run.aliases("previous-champion") == [1, 1]
    assert run.aliases("challenger-lstm") == [2, 2]
    assert (run.state.status, run.state.pending) == ("decided", None)
    assert states.read(session)["better"] == run.state
    assert told(session, "better") == [
        ("decision", "amina", "started it"),
        ("decision", "judge", "promoted an arm"),
        ("alias", "judge", "champion of ATW from version 1 to 2"),
        ("alias", "judge", "champion of IAM from version 1 to 2"),
    ]
    promoted = next(it for it in trail.entries(session, "better") if it.what == "promoted an arm")
    assert promoted.numbers["e_value"] >= 20
    assert promoted.numbers["sessions"] <= run.state.experiment.spec.end.most_sessions
    assert "forecasts better than the champion" in promoted.why
    assert run.look() == []


def test_the_equal_arm_is_not_promoted_in_250_sessions(session, registry):
    run = Simulated(session, registry, "equal", ("BCP", "CIH")).play(250, {}).close(250)
    assert run.look() == [("end", "champion")]
    assert run.aliases("champion") == [1, 1]
    assert run.aliases("previous-champion") == [None, None]
    assert len(run.findings.cutoffs) == 250
    assert run.state.decision.arm == "champion"
    assert "after 250 sessions the champion stays" in run.state.decision.why


def test_an_arm_that_breaks_goes_and_a_promotion_that_breaks_is_rolled_back_within_a_minute(session, registry):
    run = Simulated(session, registry, "broken", ("LHM", "CMA"), arms=[{"name": "champion"}, {"name": "lstm"},
                    {"name": "gbm", "shadow": True}]).play(60, {"lstm": 0.8}).close(60)  # fmt: skip
    health.publish(session, "pod-1", "broken", {"gbm": counts(150, 100), "lstm": counts(300)}, generation=0)
    health.publish(session, "pod-2", "broken", {"gbm": counts(150, 100)}, generation=0)
    assert run.look(forecasts=False) == [("take out", "gbm")]
    assert run.state.generation == 1
    assert run.look() == [("promote", "lstm")]
    assert run.aliases("champion") == [2, 2]

    # what was counted of the version before says nothing about the new one
    health.publish(session, "pod-1", "broken", {"champion": counts(1000, 900)}, generation=1)
    assert run.look(forecasts=False) == []
    stop = threading.Event()
    looks = threading.Thread(target=run.judge.run, args=(stop,), kwargs={"every_s": 10})
    looks.start()
    began = time.monotonic()
    try:
        health.publish(session, "pod-1", "broken", {"champion": counts(1000, 900)}, generation=run.state.generation)
        while run.aliases("champion") != [1, 1]:
            assert time.monotonic() - began < 60
            time.sleep(0.2)
    finally:
        stop.set()
        looks.join(5)  # the next look is ten seconds after the last
    assert not looks.is_alive()
    assert run.aliases("previous-champion") == [2, 2]
    assert states.read(session)["broken"].decision.rolled_back
    whats = [what for _, _, what in told(session, "broken")]
    assert "rolled the promotion back" in whats
    assert "champion of CMA from version 2 to 1" in whats


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_kill_between_the_moves_of_aliases_is_finished_by_the_next_look(session, registry, after):
    tickers = {1: ("MNG", "TQM"), 2: ("SID", "SNP"), 3: ("COL", "CSR")}[after]
    run = Simulated(session, registry, f"killed-{after}", tickers).play(60, {"lstm": 0.8}).close(60)
    with killed_after(after):
        run.look()
    assert run.aliases("champion") != [2, 2]
    assert states.read(session)[run.name].pending is not None
    assert run.look() == []
    assert run.aliases("champion") == [2, 2]
    assert run.aliases("previous-champion") == [1, 1]
    assert states.read(session)[run.name].pending is None
    assert len(told(session, run.name)) == 4


def test_a_judge_that_slept_does_not_promote_again_what_was_rolled_back(session, registry, monkeypatch):
    run = Simulated(session, registry, "slept", ("ADH", "ADI")).play(60, {"lstm": 0.8}).close(60)
    real = Registered.move_alias

    def sleeps(self, *move):
        monkeypatch.undo()
        real(self, *move)
        finish(session, registry, states.read(session)["slept"])  # another finishes what this one began,
        decide_by_hand(session, registry, "slept", "rollback", "amina", "", run.clock())  # and a person takes it back

    monkeypatch.setattr(Registered, "move_alias", sleeps)
    run.look()
    assert run.aliases("champion") == [1, 1]
    assert run.state.decision.rolled_back


def test_a_person_approves_or_rejects(session, registry):
    yes = Simulated(session, registry, "yes", ("BOA", "GAZ"), end={"decision": "approve"}).play(60, {"lstm": 0.8})
    with pytest.raises(TickloomError, match="experiment yes is running, and waits for nobody's approval"):
        decide_by_hand(session, registry, "yes", "approve", "amina", "", yes.clock())
    assert yes.close(60).look() == [("wait", "lstm")]
    assert yes.look() == []
    assert yes.aliases("champion") == [1, 1]
    registry.move_alias(MARKET, "GAZ", "challenger-lstm", 1)
    with pytest.raises(TickloomError, match="challenger-lstm of GAZ names version 1, and 2 was compared"):
        decide_by_hand(session, registry, "yes", "approve", "amina", "", yes.clock())
    assert yes.look() == [("block", "lstm")]
    registry.move_alias(MARKET, "GAZ", "challenger-lstm", 2)
    assert yes.look() == [("wait", "lstm")]
    decide_by_hand(session, registry, "yes", "approve", "amina", "the desk agrees", yes.clock())
    assert yes.aliases("champion") == [2, 2]
    assert ("decision", "amina", "promoted an arm") in told(session, "yes")
    back = decide_by_hand(session, registry, "yes", "rollback", "amina", "", yes.clock())
    assert (yes.aliases("champion"), back.decision.rolled_back) == ([1, 1], True)

    no = Simulated(session, registry, "no", ("HPS", "MSA"), end={"decision": "approve"}).play(60, {"lstm": 0.8})
    no.close(60).look()
    rejected = decide_by_hand(session, registry, "no", "reject", "amina", "too costly", no.clock())
    assert (rejected.status, rejected.decision.why, no.aliases("champion")) == ("decided", "too costly", [1, 1])
    assert no.look() == []


def test_a_corrected_close_counts_as_corrected_and_may_take_evidence_back(session, registry):
    run = Simulated(session, registry, "corrected", ("RIS", "TMA"), end={"decision": "approve"})
    run.play(60, SKILL).close(30)
    run.look()
    before = run.findings.evidence["lstm"]
    run.close(20, first=20, ticker="RIS", factor=0.9)
    run.look()
    again = run.findings.evidence["lstm"]
    at = list(before.cutoffs).index(CUTOFF + 19)
    assert (before.trail[:at] == again.trail[:at]).all()
    assert before.differences[at] != again.differences[at]
    assert len(before.cutoffs) == len(again.cutoffs)


def test_two_judges_at_a_time_decide_once(session, registry):
    run = Simulated(session, registry, "two", ("CTM", "DHO")).play(60, {"lstm": 0.8}).close(60)
    judges = [Judge(session, registry, run.clock) for _ in range(2)]
    looks = [threading.Thread(target=it.look, args=("two",)) for it in judges]
    for it in looks:
        it.start()
    for it in looks:
        it.join()
    run.look()
    assert run.aliases("champion") == [2, 2]
    assert run.aliases("previous-champion") == [1, 1]
    assert [what for _, _, what in told(session, "two")].count("promoted an arm") == 1
    assert run.state.generation == 1


def test_a_broken_arm_does_not_wait_for_a_long_look_at_forecasts(session, registry, monkeypatch):
    arms = [{"name": "champion"}, {"name": "lstm"}, {"name": "gbm"}]
    run = Simulated(session, registry, "long", ("AFM", "AKT"), arms=arms)
    real, released = findings.read, threading.Event()

    def long(*arguments):
        released.wait(60)
        return real(*arguments)

    monkeypatch.setattr(findings, "read", long)
    stop = threading.Event()
    looks = threading.Thread(target=run.judge.run, args=(stop,), kwargs={"every_s": 0.2})
    looks.start()
    try:
        health.publish(session, "pod", "long", {"gbm": counts(300, 200)}, generation=0)
        began = time.monotonic()
        while "gbm" not in states.read(session)["long"].out:
            assert time.monotonic() - began < 20
            time.sleep(0.1)
    finally:
        stop.set()
        released.set()
        looks.join(30)
    assert not looks.is_alive()


def test_a_decision_on_a_state_that_another_has_changed_is_made_anew(session, registry, monkeypatch):
    arms = [{"name": "champion"}, {"name": "lstm"}, {"name": "gbm"}]
    run = Simulated(session, registry, "anew", ("ALM", "BAL"), arms=arms).play(60, {"lstm": 0.8}).close(60)
    real, other = findings.read, Judge(session, registry, run.clock)

    def slow(*arguments):
        monkeypatch.undo()
        health.publish(session, "pod", "anew", {"gbm": counts(300, 200)}, generation=0)
        assert [it.kind for _, it in other.look("anew", forecasts=False).actions] == ["take out"]
        return real(*arguments)

    monkeypatch.setattr(findings, "read", slow)
    assert run.look() == [("promote", "lstm")]
    assert set(run.state.out) == {"gbm"}
    assert run.aliases("champion") == [2, 2]
    assert [it.revision for it in (run.state, states.read(session)["anew"])] == [run.state.revision] * 2


def test_an_experiment_is_not_started_without_its_models_and_not_changed_in_what_matters(session, registry):
    registry.add(MARKET, "MUT", champion=1)
    arms = [{"name": "champion"}, {"name": "lstm"}]
    with pytest.raises(ConfigurationError, match=r"ticker MUT has no model for arm lstm .*--ticker MUT --version N"):
        start(session, registry, experiment("new", tickers=["MUT"], mode="championChallenger", arms=arms), "amina", 1)
    run = Simulated(session, registry, "kept", ("SAH", "ZDJ"))
    same = start(session, registry, run.experiment, "amina", 2)
    assert same == (run.state, False)
    other = {"mode": "championChallenger", "tickers": ["SAH", "ZDJ"]}
    with pytest.raises(TickloomError, match="runs with other arms"):
        start(session, registry, experiment("kept", **other, arms=[*arms, {"name": "gbm"}]), "amina", 2)
    eased = experiment("kept", **other, arms=arms, guardrails={"errorRate": 0.05})
    changed, _ = start(session, registry, eased, "amina", 2)
    assert changed.experiment.spec.guardrails.error_rate == 0.05
    assert ("decision", "amina", "changed its rules") in told(session, "kept")
    with pytest.raises(ConfigurationError, match="kept and second: both take SAH"):
        start(session, registry, experiment("second", **(other | {"tickers": ["SAH"]}), arms=arms), "amina", 3)
    decide_by_hand(session, registry, "kept", "stop", "amina", "", 3)
    with pytest.raises(TickloomError, match="is stopped already; give the new one another name"):
        start(session, registry, run.experiment, "amina", 4)


def test_an_experiment_that_has_no_forecasts_yet_and_one_that_cannot_be_judged_hold_up_no_other(
    session, registry, monkeypatch
):
    new = Simulated(session, registry, "nothing-yet", ("ARD", "ATH"))
    assert new.look() == []
    run = Simulated(session, registry, "zz-after", ("CDM", "CFG")).play(60, {"lstm": 0.8}).close(60)
    real = findings.read

    def fails(session, state, *rest):
        if state.name == "nothing-yet":
            raise ZeroDivisionError("a mistake")
        return real(session, state, *rest)

    monkeypatch.setattr(findings, "read", fails)
    done = new.judge.look()
    assert done.failures == {"nothing-yet": "ZeroDivisionError: a mistake"}
    assert run.aliases("champion") == [2, 2]


def test_what_was_found_better_at_a_missed_look_is_found(session, registry):
    run = Simulated(session, registry, "missed", ("SMI", "LBV")).play(250, SKILL).close(250)
    assert run.look() == [("promote", "lstm")]
    assert found_better(run.state, run.findings)[1] < 250
