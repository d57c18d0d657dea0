"""What becomes of a promotion while its forecasts are watched beside those of the former champion."""

import dataclasses

import pytest

from tests.unit.experiment.judged import MINUTE_US, NOW_US, VERSIONS, findings, look, series, state
from tickloom.errors import TickloomError
from tickloom.experiment.actions import Action, after
from tickloom.experiment.findings import find
from tickloom.experiment.guardrails import Breach
from tickloom.experiment.promotion import missing
from tickloom.experiment.scoring import score
from tickloom.experiment.states import State
from tickloom.experiment.watching import coverage_chance, loss_alpha, opposite, rolled_before

LATER_US = NOW_US + 90 * 24 * 60 * MINUTE_US
FORMER, CHAMPION = "previous-champion", "champion"


@pytest.fixture(scope="module")
def promoted():
    """Version 2 is the champion, version 1 was; forecasts are watched for 100 sessions, requests for 30 minutes."""
    running = state(end={"watchSessions": 100, "watch": "30m"})
    return look(running, findings(running, *series(120, {"lstm": 0.6}))).state


def ledger(given, sessions, skill, half=None):
    """Return what the ledger says of a watched state, after as many sessions with such skill of both versions."""
    forecasts, closes = series(
        sessions, skill, seed=11, arms=(CHAMPION, FORMER), versions=dict.fromkeys((CHAMPION, FORMER), 0)
    )
    numbers = {CHAMPION: given.watch.champion, FORMER: given.watch.former}
    made = [
        dataclasses.replace(it, version=str(numbers[it.arm][it.ticker]), recorded_us=given.watch.since_us + 1,
                            **narrow(it, (half or {}).get(it.arm)))
        for it in forecasts
    ]  # fmt: skip
    scores = [
        one for ticker, mine in closes.items()
        for one in score([it for it in made if it.ticker == ticker], mine, [], LATER_US).scores
    ]  # fmt: skip
    return find(opposite(given, given.watch), made, scores, {}, LATER_US, given.watch.since_us, coverage_chance(0.05))


def narrow(it, half):
    return {} if half is None else {"lo_95": it.y_hat * (1 - half), "hi_95": it.y_hat * (1 + half)}


def moves(given):
    return [(it.ticker, it.old, it.new) for it in given.pending.moves[-2:]]


def test_the_former_champion_forecasts_on_in_the_shadow_of_the_new_one(promoted):
    assert promoted.dealt.arms == (CHAMPION, FORMER)
    assert promoted.dealt.spec.tickers == ("ATW", "IAM")
    assert promoted.watch.champion == dict.fromkeys(("ATW", "IAM"), VERSIONS["lstm"])
    assert promoted.watch.former == dict.fromkeys(("ATW", "IAM"), VERSIONS[CHAMPION])
    assert State.model_validate_json(promoted.model_dump_json(by_alias=True)) == promoted


def test_a_champion_that_forecasts_worse_goes_back_with_reason_and_numbers(promoted):
    back = look(promoted, ledger(promoted, 100, {FORMER: 0.6}), now_us=LATER_US)
    assert back.kinds == ["roll back"]
    numbers = back.actions[0].numbers
    assert numbers["e_value"] >= numbers["needed"]
    assert numbers["needed"] == pytest.approx(25)
    assert numbers["mean_difference"] < 0
    assert "it forecasts worse than the former champion: after" in back.actions[0].why
    assert moves(back.state) == [("ATW", 2, 1), ("IAM", 2, 1)]
    decision = back.state.decision
    assert (decision.rolled_back, decision.rolled_back_by, decision.rolled_back_why) == (
        True, "judge", back.actions[0].why,
    )  # fmt: skip
    assert all("judge, experiment one: it forecasts worse" in it.taken_back for it in back.state.pending.moves[-2:])
    assert [it.kind for it in back.state.pending.entries[-3:]] == ["decision", "alias", "alias"]


def test_an_equal_or_better_champion_stays_and_the_watch_ends_after_its_sessions(promoted):
    for skill in ({}, {CHAMPION: 0.6}):
        assert look(promoted, ledger(promoted, 99, skill), now_us=NOW_US).kinds == []
        done = look(promoted, ledger(promoted, 100, skill), now_us=NOW_US)
        assert done.kinds == ["end ledger watch"]
        assert (done.state.watch, done.state.weights.values) == (None, {CHAMPION: 1.0})
        assert (done.state.routes, done.state.dealt) == (True, done.state.experiment)  # requests are watched by time
    both = look(promoted, ledger(promoted, 100, {}), now_us=LATER_US)
    assert both.kinds == ["end ledger watch", "end watch"]
    assert not both.state.routes


def test_intervals_that_do_not_hold_take_a_promotion_back(promoted):
    back = look(promoted, ledger(promoted, 100, {}, {CHAMPION: 0.005}), now_us=NOW_US)
    assert back.kinds == ["roll back"]
    assert "its intervals do not hold: arm champion: coverage" in back.actions[0].why


def test_where_the_former_champion_is_no_better_a_person_is_asked_and_nothing_moves(promoted):
    asked = look(promoted, ledger(promoted, 100, {}, {CHAMPION: 0.005, FORMER: 0.005}), now_us=NOW_US)
    assert asked.kinds == ["ask"]
    assert (asked.state.status, asked.state.pending.moves) == ("asking", promoted.pending.moves)
    assert "nothing was moved, for the former champion is no better" in asked.state.question
    assert asked.state.routes
    assert look(asked.state, ledger(promoted, 100, {FORMER: 0.6}), now_us=LATER_US).kinds == ["end watch"]
    assert "approve one` has champion name the former one" in missing(asked.state, None, 1.0)[0]


def test_what_was_rolled_back_to_is_watched_in_turn_and_asked_about(promoted):
    back = look(promoted, ledger(promoted, 100, {FORMER: 0.6}), now_us=LATER_US).state
    assert (back.watch.champion, back.watch.former) == (promoted.watch.former, promoted.watch.champion)
    assert look(back, ledger(back, 60, {}), now_us=LATER_US).kinds == []
    asked = look(back, ledger(back, 100, {FORMER: 0.6}), now_us=LATER_US)
    assert asked.kinds == ["ask"]
    assert "it is the one that was rolled back to" in asked.state.question
    again = after(asked.state, Action("promote again", "approved", CHAMPION), LATER_US, "amina")
    assert moves(again) == [("ATW", 1, 2), ("IAM", 1, 2)]
    assert {it.approver for it in again.pending.moves[-2:]} == {"amina"}
    assert (again.status, again.decision.rolled_back, again.watch, again.question) == ("decided", False, None, "")


def test_a_person_keeps_a_champion_that_turned_bad(promoted):
    asked = look(promoted, ledger(promoted, 100, {FORMER: 0.6}), now_us=LATER_US, before="older").state
    kept = after(asked, Action("keep", "rejected", CHAMPION), LATER_US, "amina")
    assert (kept.status, kept.watch, kept.routes, kept.question) == ("decided", None, False, "")
    assert not kept.decision.rolled_back
    assert kept.pending.moves == promoted.pending.moves


def test_a_person_that_rolls_back_is_not_watched(promoted):
    back = after(promoted, Action("roll back", "wrong on Fridays", CHAMPION), LATER_US, "amina")
    assert (back.watch, back.watch_until_us, back.decision.rolled_back_by) == (None, None, "amina")
    with pytest.raises(TickloomError, match="no promotion to roll back"):
        after(back, Action("roll back", "again", CHAMPION), LATER_US, "amina")


def test_the_second_promotion_in_a_row_that_turns_bad_is_asked_about(promoted):
    first = look(promoted, ledger(promoted, 100, {FORMER: 0.6}), now_us=NOW_US).state
    second = promoted.model_copy(
        update={
            "experiment": promoted.experiment.model_copy(
                update={"metadata": promoted.experiment.metadata.model_copy(update={"name": "two"})}
            ),
            "decision": promoted.decision.model_copy(update={"at_us": LATER_US}),
        }
    )
    assert rolled_before(second, {"one": first, "two": second}) == "one"
    assert rolled_before(second, {"one": promoted, "two": second}) is None
    by_person = after(promoted, Action("roll back", "why", CHAMPION), LATER_US, "amina")
    assert rolled_before(second, {"one": by_person}) is None
    later = second.model_copy(update={"decision": first.decision.model_copy(update={"at_us": LATER_US})})
    assert rolled_before(first, {"one": first, "two": later}) is None  # a later one is not before it
    asked = look(second, ledger(second, 100, {FORMER: 0.6}), now_us=LATER_US, before="one")
    assert asked.kinds[0] == "ask"
    assert "the promotion before, by experiment one, was rolled back as well" in asked.state.question


def test_a_broken_guardrail_takes_a_promotion_back_while_a_person_is_asked(promoted):
    asked = look(promoted, ledger(promoted, 100, {FORMER: 0.6}), now_us=NOW_US, before="older").state
    breach = Breach(CHAMPION, "errorRate", 0.4, 0.01, "5m")
    back = look(asked, breaches=[breach], now_us=NOW_US + MINUTE_US)
    assert back.kinds == ["roll back"]
    assert (back.state.status, back.state.question) == ("decided", "")


def test_forecasts_of_other_versions_do_not_count(promoted):
    found = ledger(promoted.model_copy(update={"watch": promoted.watch.model_copy(
        update={"former": {"ATW": 9, "IAM": 9}})}), 100, {FORMER: 0.6})  # fmt: skip
    assert len(found.cutoffs) == 100
    forecasts, closes = series(
        100, {FORMER: 0.6}, arms=(CHAMPION, FORMER), versions=dict.fromkeys((CHAMPION, FORMER), 1)
    )
    made = forecasts  # both of the version that was champion
    scores = [one for it, mine in closes.items()
              for one in score([f for f in made if f.ticker == it], mine, [], LATER_US).scores]  # fmt: skip
    other = find(opposite(promoted, promoted.watch), made, scores, {}, LATER_US)
    assert (other.cutoffs, other.left_out) == ((), 200)


def test_forecasts_of_before_the_promotion_do_not_count(promoted):
    early = promoted.model_copy(update={"watch": promoted.watch.model_copy(update={"since_us": NOW_US - MINUTE_US})})
    watch = early.watch.model_copy(update={"since_us": NOW_US})
    numbers = {CHAMPION: VERSIONS["lstm"], FORMER: VERSIONS[CHAMPION]}
    forecasts, closes = series(30, {}, arms=(CHAMPION, FORMER), versions=numbers)  # a minute before NOW_US
    scores = [one for it, mine in closes.items()
              for one in score([f for f in forecasts if f.ticker == it], mine, [], LATER_US).scores]  # fmt: skip
    counted = [
        len(find(opposite(early, it), forecasts, scores, {}, LATER_US, it.since_us).cutoffs)
        for it in (early.watch, watch)
    ]
    assert counted == [30, 0]


def test_both_tests_together_have_the_experiments_alpha():
    assert loss_alpha(0.05) + coverage_chance(0.05) == pytest.approx(0.05)
    assert coverage_chance(0.05) == pytest.approx(0.01)
