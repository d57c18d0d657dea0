"""Retraining as it is planned: what is sent, when, how often, and what is said of it."""

import contextlib
import json
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.streamjob import names
from operators.streamjob.actions import Submit, WriteStatus
from operators.streamjob.facts import Facts
from operators.streamjob.planner.retraining import GIVE_UP_S, SETTLE_S
from operators.streamjob.retrained import KEPT_RUNS, MOST_RUNS
from operators.streamjob.seen import Answer, RunSeen
from operators.streamjob.status import dump
from tests.unit.operator.world import Killed, World
from tickloom.stream.facts import Ticker

DAY = 86_400.0
# Friday 2024-03-01; New York closes at 21:00 UTC
FRIDAY = datetime(2024, 3, 1, 12, tzinfo=UTC).timestamp()
CLOSE = datetime(2024, 3, 1, 21, tzinfo=UTC).timestamp()


def at(*when) -> float:
    return datetime(*when, tzinfo=UTC).timestamp()


def world(now=FRIDAY, **policy) -> World:
    """Return a stable job of two tickers in New York with a policy that was seen at ``now``."""
    made = World(spec={"tickers": ["AAPL", "MSFT"], "market": "XNYS", "retrain": policy}, now=now).stable()
    made.events.clear()
    return made


def fact(**values) -> Ticker:
    return Ticker.model_validate(values)


def drifted(found=True, id="d1", lost=True, ratio=1.2, sessions=30, **more) -> Ticker:
    loss = {"found": lost, "ratio": ratio, "sessions": sessions, "id": "l1"}
    return fact(drift={"found": found, "id": id}, loss=loss, **more)


def know(world: World, **tickers) -> World:
    world.facts = Facts(world.now, tickers)
    return world


def run(world: World):
    return world.status.retraining.last


def answer(world: World, kind="found", state="Running", *, submitted=False, text="", finished=None, asked_at=None):
    """Let Kubeflow Pipelines say something of the run that was to be sent last."""
    last = run(world)
    seen = None
    if kind == "found":
        seen = RunSeen("id-1", state, last.sent_at, finished)
    world.answer = Answer(
        last.name, last.attempt, kind, world.now if asked_at is None else asked_at, submitted, seen, text
    )
    return world.settle()


def finish(world: World, state="Succeeded", after=3600.0, text="") -> World:
    answer(world)
    world.now += after
    return answer(world, state=state, finished=world.now, text=text)


def retraining(world: World):
    return world.condition("Retraining")


def test_without_a_policy_there_is_no_word_of_retraining():
    made = World().stable()
    assert "Retraining" not in {it.type for it in made.status.conditions}
    assert made.status.retraining is None


def test_a_policy_restarts_no_driver():
    made = World().stable()
    made.edit(retrain={"schedule": "nightly"})
    made.settle()
    assert made.started == [1]
    assert retraining(made).status == "False"


def test_the_nightly_run_is_sent_once_after_the_close_and_the_delay():
    made = world(schedule="nightly", delay="30m")
    assert not made.sent
    made.now = CLOSE + 29 * 60
    made.settle()
    assert not made.sent, "the delay is not over"
    made.now = CLOSE + 31 * 60
    actions = made.look()
    assert isinstance(actions[0], WriteStatus), "the intention comes first"
    assert actions[0].status.retraining.last.name == actions[-1].name
    for _ in range(10):
        made.settle()
    assert [type(it) for it in made.sent] == [Submit]
    (sent,) = made.sent
    assert sent.name == names.retraining("atw", "uid-atw", "nightly", "2024-03-01T21:30:00Z")
    assert sent.name.startswith("retrain-atw-")
    assert sent.parameters["tickers"] == ["AAPL", "MSFT"]
    assert (sent.parameters["trigger"], sent.parameters["policy"]) == ("nightly", "default/atw")
    assert sent.parameters["mlflow"] == "http://mlflow"
    assert retraining(made).status == "Unknown"


def test_what_was_due_before_the_policy_was_seen_starts_nothing():
    made = world(now=CLOSE + 7200, schedule="nightly")
    made.settle()
    assert not made.sent


@pytest.mark.parametrize(
    ("schedule", "dues"),
    [
        # Good Friday 2024-03-29 is no session, so the week's last is Thursday
        ("weekly", [at(2024, 3, 22, 20), at(2024, 3, 28, 20), at(2024, 4, 5, 20)]),
        ("nightly", [at(2024, 3, 27, 20), at(2024, 3, 28, 20), at(2024, 4, 1, 20)]),
    ],
)
def test_a_schedule_follows_the_calendar(schedule, dues):
    begin = dues[0] - DAY / 2
    made = world(now=begin, schedule=schedule, delay="1s", pause="1s")
    while made.now < dues[-1] + DAY / 4:
        made.now += 3 * 3600
        before = len(made.sent)
        made.settle()
        if len(made.sent) > before:
            finish(made, after=60)
    assert [it.due for it in reversed(made.status.retraining.runs)] == [due + 1 for due in dues]


def test_the_plan_asks_for_a_look_when_the_schedule_is_due():
    made = world(schedule="nightly", delay="1h")
    made.now = CLOSE + 3500
    from operators.streamjob.planner import plan

    assert plan(made.seen()).again_s <= 102


def test_a_run_is_followed_to_its_end_and_told_on_the_way():
    made = world(schedule="nightly")
    made.now = CLOSE + 3700
    made.settle()
    answer(made, state="Pending")
    assert (retraining(made).status, retraining(made).reason) == ("True", "Pending")
    answer(made, state="Running")
    assert (retraining(made).status, retraining(made).reason) == ("True", "Running")
    made.now += 600
    answer(made, state="Succeeded", finished=made.now)
    assert (retraining(made).status, retraining(made).reason) == ("False", "RunSucceeded")
    assert made.reasons() == ["Retraining", "RetrainingStarted", "RetrainingSucceeded"]
    assert run(made).id == "id-1"
    writes = made.writes
    made.settle()
    assert made.writes == writes, "nothing is written when nothing changes"


def test_a_run_that_stays_pending_names_what_it_may_wait_for():
    made = world(schedule="nightly", pipeline={"gpus": 2, "nodeSelector": {"pool": "l4"}})
    made.now = CLOSE + 3700
    made.settle()
    answer(made, state="Pending")
    assert "pool=l4" not in retraining(made).message
    made.now += 1000
    answer(made, state="Pending")
    assert "it may wait for a node with the labels pool=l4 and 2 nvidia.com/gpu" in retraining(made).message
    answer(made, state="Running")
    assert "pool=l4" not in retraining(made).message


def test_a_failed_run_is_told_with_its_words_and_not_sent_again():
    made = world(schedule="nightly")
    made.now = CLOSE + 3700
    made.settle()
    finish(made, "Failed", text="train: CUDA out of memory")
    assert retraining(made).reason == "RunFailed"
    assert "CUDA out of memory" in retraining(made).message
    assert len(made.sent) == 1


@pytest.mark.parametrize(
    ("agree", "drift", "loss", "trigger"),
    [
        ("both", True, True, "drift+loss"),
        ("both", True, False, None),
        ("both", False, True, None),
        ("any", True, False, "drift"),
        ("any", False, True, "loss"),
        ("drift", True, False, "drift"),
        ("drift", False, True, None),
        ("loss", False, True, "loss"),
        ("loss", True, False, None),
    ],
)
def test_evidence_starts_a_run_as_the_policy_says(agree, drift, loss, trigger):
    made = know(world(agree=agree), AAPL=drifted(found=drift, lost=loss), MSFT=fact())
    made.settle()
    assert [it.parameters["trigger"] for it in made.sent] == ([trigger] if trigger else [])
    if trigger:
        assert made.sent[0].parameters["tickers"] == ["AAPL"], "the other ticker has no evidence"


def test_with_one_kind_of_evidence_enabled_both_means_that_one():
    made = know(world(onDrift={"enabled": False}), AAPL=drifted(found=False))
    made.settle()
    assert [it.parameters["trigger"] for it in made.sent] == ["loss"]


@pytest.mark.parametrize(
    ("onLoss", "sessions", "triggers"),
    [
        ({}, 30, []),
        ({"ratio": 1.1}, 30, ["loss"]),
        ({"ratio": 1.1}, 19, []),
        ({"ratio": 1.1, "sessions": 10}, 19, ["loss"]),
        ({"ratio": 1.3}, 30, []),
    ],
)
def test_a_ratio_is_evidence_where_the_policy_names_one_and_enough_sessions_stand_behind_it(onLoss, sessions, triggers):
    made = know(world(agree="loss", onLoss=onLoss), AAPL=drifted(lost=False, sessions=sessions))
    made.settle()
    assert [it.parameters["trigger"] for it in made.sent] == triggers


@pytest.mark.parametrize(
    ("policy", "rule", "triggers"),
    [
        ({}, "both", ["drift+loss"]),
        ({}, None, ["drift+loss"]),
        ({}, "any", []),
        ({"agree": "any"}, "any", ["drift"]),
        ({"agree": "any"}, "both", []),
        ({"onLoss": {"enabled": False}}, "drift", ["drift"]),
        ({"onLoss": {"enabled": False}}, "both", []),
    ],
)
def test_findings_of_another_rule_have_other_false_alarms_and_start_nothing(policy, rule, triggers):
    made = know(world(**policy), AAPL=drifted())
    made.facts = Facts(made.now, made.facts.tickers, rule)
    made.settle()
    assert [it.parameters["trigger"] for it in made.sent] == triggers
    if not triggers:
        assert f"looked at by rule {rule}" in retraining(made).message


SESSIONS_120 = at(2024, 8, 21, 20)  # close of the 120th session after Friday 2024-03-01 noon: its own is the first


def test_evidence_rests_for_the_sessions_of_the_cool_down_and_counts_anew_then():
    made = know(world(pause="1h"), AAPL=drifted())
    made.settle()
    finish(made, after=60)
    assert made.status.retraining.trained.keys() == {"AAPL"}
    for when in (FRIDAY + 3 * DAY, SESSIONS_120 - 60):
        made.now = when
        know(made, AAPL=drifted(id="d2")).settle()
        assert len(made.sent) == 1
        assert retraining(made).reason == "CoolingDown"
    assert "AAPL 119" in retraining(made).message
    made.now = SESSIONS_120 + 60
    know(made, AAPL=drifted(id="d2")).settle()
    assert len(made.sent) == 2


def test_the_run_of_a_schedule_begins_the_cool_down_too_and_the_schedule_does_not_wait_for_it():
    made = world(schedule="nightly", delay="1s", pause="1h")
    made.now = CLOSE + 60
    made.settle()
    finish(made, after=60)
    made.now = at(2024, 3, 4, 21) + 60
    know(made, AAPL=drifted()).settle()
    assert [it.parameters["trigger"] for it in made.sent] == ["nightly", "nightly"]


def test_a_run_that_failed_trained_nothing_and_its_evidence_is_answered_until_there_is_other():
    made = know(world(pause="1h"), AAPL=drifted())
    made.settle()
    finish(made, "Failed")
    assert not made.status.retraining.trained
    for _ in range(3):
        made.now += DAY
        know(made, AAPL=drifted()).settle()
    assert len(made.sent) == 1
    know(made, AAPL=drifted(id="d2")).settle()
    assert len(made.sent) == 2


def test_a_look_that_failed_starts_nothing_and_forgets_nothing():
    made = know(world(pause="1h"), AAPL=drifted(), MSFT=drifted(problem="the store is away"))
    made.settle()
    assert made.sent[0].parameters["tickers"] == ["AAPL"]
    finish(made, "Failed")
    made.now += DAY
    know(made, AAPL=drifted(problem="the store is away")).settle()
    assert "not looked at: AAPL: the store is away" in retraining(made).message
    know(made, AAPL=drifted()).settle()
    assert len(made.sent) == 1


def test_evidence_of_one_more_ticker_retrains_that_one_alone():
    made = know(world(pause="1h"), AAPL=drifted())
    made.settle()
    finish(made)
    made.now += DAY
    know(made, AAPL=drifted(), MSFT=drifted(id="d7")).settle()
    assert [it.parameters["tickers"] for it in made.sent] == [["AAPL"], ["MSFT"]]


def test_stale_facts_start_nothing_and_the_condition_says_so():
    made = know(world(), AAPL=drifted())
    made.facts = Facts(made.now - 3 * DAY - 1, made.facts.tickers)
    made.settle()
    assert not made.sent
    assert "too old" in retraining(made).message
    assert retraining(made).reason == "FactsOld"


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (None, "no ConfigMap here has the label tickloom.dev/facts=atw"),
        (Facts(0.0, problem="ConfigMap x, facts.json: v: wrong"), "facts.json: v: wrong"),
    ],
)
def test_facts_that_are_not_there_are_told(facts, words):
    made = world()
    made.facts = facts
    made.settle()
    assert retraining(made).reason == "NoFacts"
    assert words in retraining(made).message


def test_an_old_model_is_retrained_and_again_after_as_long():
    made = know(world(maxAge="30d", pause="1h"), AAPL=fact(trained=date(2024, 1, 15)), MSFT=fact(trained="2024-02-20"))
    made.settle()
    assert (made.sent[0].parameters["trigger"], made.sent[0].parameters["tickers"]) == ("age", ["AAPL"])
    finish(made)
    made.now += 5 * DAY
    know(made, AAPL=fact(trained=date(2024, 1, 15))).settle()
    assert len(made.sent) == 1
    made.now += 14 * DAY
    know(made, AAPL=fact(trained=date(2024, 1, 15))).settle()
    assert len(made.sent) == 2


def test_enough_new_sessions_start_a_run():
    made = know(world(newSessions=20), AAPL=fact(sessions=19), MSFT=fact(sessions=20))
    made.settle()
    assert made.sent[0].parameters["tickers"] == ["MSFT"]


def test_an_annotation_asks_once_whatever_the_pause():
    made = know(world(quietHours={"begin": "00:00", "end": "23:59"}, pause="30d"), AAPL=drifted())
    made.settle()
    assert retraining(made).reason == "QuietHours"
    made.annotations = {names.RETRAIN: "monday"}
    made.settle()
    assert [it.parameters["trigger"] for it in made.sent] == ["asked"]
    finish(made)
    made.settle()
    made.annotations = {names.RETRAIN: "tuesday"}
    made.settle()
    assert len(made.sent) == 2


def test_a_run_waits_for_the_end_of_the_pause():
    made = know(world(pause="2d", coolDown=0), AAPL=drifted())
    made.settle()
    finish(made)
    made.now += DAY
    know(made, AAPL=drifted(id="d2")).settle()
    assert retraining(made).reason == "Pausing"
    made.now += DAY
    know(made, AAPL=drifted(id="d2")).settle()
    assert len(made.sent) == 2


def test_a_run_waits_for_the_end_of_the_quiet_hours_over_midnight():
    # Friday 12:00 UTC is 07:00 in New York
    made = know(world(quietHours={"begin": "22:00", "end": "07:30"}), AAPL=drifted())
    made.settle()
    assert retraining(made).reason == "QuietHours"
    assert "2024-03-01T12:30:00Z" in retraining(made).message
    made.now += 1800
    made.settle()
    assert len(made.sent) == 1


def test_gpu_hours_of_thirty_days_are_not_overspent():
    policy = {"pipeline": {"gpus": 2}, "gpuHours": 10, "pause": "1h", "agree": "any", "coolDown": 0}
    made = know(world(**policy), AAPL=drifted(id="d0"))
    made.settle()
    finish(made, after=2 * 3600)  # 4 GPU hours
    made.now += 2 * 3600
    know(made, AAPL=drifted(id="d1")).settle()
    finish(made, after=2 * 3600)
    made.now += 2 * 3600
    know(made, AAPL=drifted(id="d2")).settle()
    assert retraining(made).reason == "BudgetSpent"
    assert "8.0 of 10 GPU hours" in retraining(made).message
    assert len(made.sent) == 2
    made.now += 30 * DAY
    know(made, AAPL=drifted(id="d2")).settle()
    assert len(made.sent) == 3


def test_runs_without_gpus_spend_nothing():
    made = world(schedule="nightly", gpuHours=0.1, pause="1s")
    for day in range(1, 12):
        made.now = CLOSE + 3700 + (day - 1) * DAY
        before = len(made.sent)
        made.settle()
        if len(made.sent) > before:
            finish(made)
    assert len(made.sent) == 7


def test_other_jobs_runs_are_waited_for():
    made = know(world(), AAPL=drifted())
    made.busy = ("retrain-other-1",)
    made.settle()
    assert retraining(made).reason == "Queued"
    made.edit(retrain__concurrency=2)
    made.settle()
    assert len(made.sent) == 1


def test_a_suspended_job_does_not_retrain_and_its_run_is_followed():
    made = know(world(), AAPL=drifted())
    made.settle()
    made.edit(state="suspended")
    made.settle()
    made.terminate()
    finish(made)
    assert retraining(made).reason == "RunSucceeded" or retraining(made).reason == "Suspended"
    assert run(made).state == "Succeeded"
    made.now += 5 * DAY
    know(made, AAPL=drifted(id="d9")).settle()
    assert len(made.sent) == 1
    assert retraining(made).reason == "Suspended"


def test_a_suspended_policy_does_not_retrain():
    made = know(world(suspend=True), AAPL=drifted())
    made.settle()
    assert not made.sent
    assert "retrain.suspend" in retraining(made).message


def test_the_younger_of_two_policies_for_a_ticker_names_both_and_does_not_retrain():
    made = know(world(), AAPL=drifted())
    made.rivals = {"AAPL": "other/older"}
    made.settle()
    assert not made.sent
    assert retraining(made).reason == "TickerShared"
    assert "other/older and default/atw" in retraining(made).message
    assert "TickerShared" in made.reasons()


def test_a_pool_that_no_node_is_of_holds_the_run_back_and_names_the_label():
    made = know(world(), AAPL=drifted())
    made.missing = "no node has the label gpu=l4"
    made.settle()
    assert retraining(made).reason == "PoolMissing"
    assert "gpu=l4" in retraining(made).message
    assert not made.sent
    made.edit(retrain__pipeline__poolScalesFromZero=True)
    made.settle()
    assert len(made.sent) == 1
    answer(made, state="Running")
    assert (retraining(made).status, retraining(made).reason) == ("True", "PoolMissing")


def test_without_kubeflow_the_condition_says_what_to_set():
    made = know(world(), AAPL=drifted())
    made.kubeflow = None
    made.settle()
    assert retraining(made).reason == "NotConnected"
    assert "TICKLOOM_OPERATOR_KUBEFLOW" in retraining(made).message


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("denied", "Unauthorized"),
        ("unreachable", "Unreachable"),
        ("missing", "PipelineMissing"),
        ("refused", "Refused"),
    ],
)
def test_a_clear_no_is_told_and_tried_again_after_a_growing_pause(kind, reason):
    made = know(world(), AAPL=drifted())
    made.settle()
    pauses = []
    for number in range(4):
        assert len(made.sent) == number + 1
        assert made.sent[-1].attempt == number + 1
        answer(made, kind, submitted=True, text="the server's words")
        assert (retraining(made).status, retraining(made).reason) == ("False", reason)
        assert "the server's words" in retraining(made).message
        pauses.append(run(made).retry_at - made.now)
        made.now = run(made).retry_at + 1
        made.settle(looks=1)
    assert pauses == sorted(pauses)
    assert pauses[-1] > 2 * pauses[0]
    assert len({it.name for it in made.sent}) == 1


def test_a_run_that_is_refused_for_a_day_is_given_up():
    made = know(world(), AAPL=drifted())
    made.settle()
    for _ in range(200):
        answer(made, "denied", submitted=True, text="401: token has expired")
        if not run(made).active:
            break
        made.now = run(made).retry_at + 1
        made.settle(looks=1)
    assert run(made).state == "Failed"
    assert made.now - run(made).due < GIVE_UP_S + 3 * 3600
    assert "token has expired" in retraining(made).message


def test_after_an_unknown_answer_it_is_sent_again_only_when_it_is_not_to_be_found_for_long():
    made = know(world(), AAPL=drifted())
    made.settle()
    sent_at = run(made).sent_at
    answer(made, "unknown", submitted=True, text="timeout")
    assert (retraining(made).status, retraining(made).reason) == ("Unknown", "SubmissionUnknown")
    made.now = sent_at + SETTLE_S - 5
    answer(made, "absent")
    assert len(made.sent) == 1
    made.now = sent_at + SETTLE_S + 5
    answer(made, "absent", asked_at=sent_at + SETTLE_S - 1)
    assert len(made.sent) == 1, "it was asked too early to count"
    answer(made, "absent")
    assert [it.attempt for it in made.sent] == [1, 2]


def test_an_unknown_answer_that_turns_out_to_be_a_run_is_not_sent_again():
    made = know(world(), AAPL=drifted())
    made.settle()
    answer(made, "unknown", submitted=True)
    made.now += 2 * SETTLE_S
    answer(made)
    made.now += DAY
    made.settle()
    assert len(made.sent) == 1


def test_looking_in_vain_for_want_of_an_answer_sends_nothing():
    made = know(world(), AAPL=drifted())
    made.settle()
    for _ in range(50):
        made.now += 60
        answer(made, "unreachable", text="connection refused")
    assert len(made.sent) == 1


def test_a_run_that_is_gone_is_told_and_not_made_again():
    made = know(world(), AAPL=drifted())
    made.settle()
    answer(made)
    answer(made, "absent")
    assert retraining(made).reason == "RunLost"
    made.now += DAY
    made.settle()
    assert len(made.sent) == 1


def test_an_expired_token_while_a_run_goes_on_is_told():
    made = know(world(), AAPL=drifted())
    made.settle()
    answer(made)
    answer(made, "denied", text="401: expired")
    assert (retraining(made).status, retraining(made).reason) == ("Unknown", "Unauthorized")
    answer(made)
    assert retraining(made).status == "True"


def test_an_unsent_run_is_given_up_when_the_job_is_suspended():
    made = know(world(), AAPL=drifted())
    made.settle()
    answer(made, "unreachable", submitted=True)
    made.edit(state="suspended")
    made.settle()
    assert run(made).state == "Failed"
    assert len(made.sent) == 1


def test_a_policy_that_goes_takes_its_memory_with_it_once_its_run_has_ended():
    made = know(world(), AAPL=drifted())
    made.settle()
    answer(made)
    made.edit(retrain=None)
    made.settle()
    assert run(made).state == "Running"
    answer(made, state="Succeeded", finished=made.now)
    made.settle()
    assert made.status.retraining is None
    assert "Retraining" not in {it.type for it in made.status.conditions}


@pytest.mark.parametrize("after", range(8))
def test_a_kill_between_any_two_actions_sends_the_run_once_in_the_end(after):
    made = know(world(), AAPL=drifted())
    served = set()

    def serve():
        """Make what was sent, as the courier does: unless there is one."""
        served.update(it.name for it in made.sent)
        last = run(made) if made.status.retraining else None
        if last is not None and last.active:
            kind = "found" if last.name in served else "absent"
            seen = RunSeen("id-1", "Running", last.sent_at) if kind == "found" else None
            made.answer = Answer(last.name, last.attempt, kind, made.now, run=seen)

    with contextlib.suppress(Killed):
        made.look(die_after=after)
    for _ in range(40):
        made.now += 10
        serve()
        made.look()
    assert len(served) == 1
    assert run(made).state == "Running"
    assert len(made.sent) == 1


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from(["look", "die", "minute", "facts", "unknown", "absent", "found", "no"]), max_size=60))
def test_whatever_happens_a_run_that_was_made_is_never_sent_again(steps):
    """The server takes what is sent at once; answers come, are lost, or come late."""
    made = know(world(pause="5d"), AAPL=drifted())
    there = set()
    for step in steps:
        last = run(made) if made.status.retraining else None
        if step == "die":
            with contextlib.suppress(Killed):
                made.look(die_after=1)
        elif step == "look":
            made.look()
        elif step == "minute":
            made.now += 61
        elif step == "facts":
            know(made, AAPL=drifted())
        elif last is not None and last.active:
            if step == "found" and last.name in there:
                made.answer = Answer(last.name, last.attempt, "found", made.now, run=RunSeen("id", "Running"))
            elif step == "absent" and last.name not in there:
                made.answer = Answer(last.name, last.attempt, "absent", made.now)
            elif step == "unknown":
                made.answer = Answer(last.name, last.attempt, "unknown", made.now, submitted=True)
            elif step == "no" and last.name not in there:
                made.answer = Answer(last.name, last.attempt, "unreachable", made.now, submitted=True)
        fresh = [it.name for it in made.sent if it.name in there]
        assert not fresh
        there.update(it.name for it in made.sent)
        made.sent.clear()
    assert len(there) <= 1


def test_so_many_runs_as_the_status_keeps_are_the_most_of_thirty_days():
    made = know(world(pause="1s", coolDown=0), AAPL=drifted())
    made.settle()
    finish(made)
    kept = made.status.retraining
    for number in range(MOST_RUNS + 5):
        kept = kept.with_run(run(made).model_copy(update={"name": f"retrain-atw-{number:010d}"}), made.now)
    made.status = made.status.model_copy(update={"retraining": kept})
    assert len(kept.runs) == MOST_RUNS
    know(made, AAPL=drifted(id="d2")).settle()
    assert retraining(made).reason == "BudgetSpent"
    assert len(made.sent) == 1
    assert len(json.dumps(dump(made.status))) < 40_000
    made.now += 30 * DAY
    know(made, AAPL=drifted(id="d2")).settle()
    assert len(made.sent) == 2
    assert len(made.status.retraining.runs) == KEPT_RUNS + 1
