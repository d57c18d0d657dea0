"""The watch: which StreamJobs are looked at when, and what is written of them."""

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from services.watch.jobs import AGAIN_S, SETTLE_S, due, job, known
from services.watch.main import once
from tests.unit.monitor.made import history, returns
from tickloom.errors import TickloomError
from tickloom.monitor.looking import Question
from tickloom.stream.facts import KEY, Facts

# Casablanca closes at 15:30, in winter 14:30 UTC: Friday 2024-03-01, then Monday 2024-03-04
FRIDAY, MONDAY = datetime(2024, 3, 1, 14, 30, tzinfo=UTC), datetime(2024, 3, 4, 14, 30, tzinfo=UTC)
SETTLED = timedelta(seconds=SETTLE_S)
QUICK = Question(features=False, paths=99)


def body(name="atw", tickers=("ATW",), state="running", **spec):
    meta = {"name": name, "namespace": "here", "uid": f"uid-{name}"}
    return {"metadata": meta, "spec": {"tickers": list(tickers), "market": "XCAS", "state": state, **spec}}


def facts(made, rule="both", looked="2024-03-01", problem="", ticker="ATW"):
    return Facts(made=made, rule=rule, tickers={ticker: {"looked": looked, "problem": problem}})


class Server:
    """An API server in memory."""

    def __init__(self, *bodies):
        self.bodies, self.maps, self.refuses = bodies, {}, set()

    def jobs(self, namespace):
        return iter(it for it in self.bodies if it["metadata"]["namespace"] == namespace)

    def config_map(self, namespace, name):
        return self.maps.get((namespace, name))

    def apply(self, manifest):
        meta = manifest["metadata"]
        if meta["name"] in self.refuses:
            raise TickloomError("403: forbidden")
        self.maps[meta["namespace"], meta["name"]] = manifest


class Prices:
    """Made prices of every ticker; those of AKT are away."""

    def history(self, ticker):
        if ticker == "AKT":
            raise TickloomError("AKT has no bars")
        return history(returns(700, 3), "XCAS", ticker)

    def ledger(self, ticker):
        return [], []

    def trained(self, ticker):
        return None


@contextmanager
def prices(market):
    assert market == "XCAS"
    yield Prices()


@contextmanager
def away(market):
    raise TickloomError("the store does not answer")
    yield


@pytest.mark.parametrize(
    ("spec", "rule"),
    [
        ({}, None),
        ({"retrain": {}}, "both"),
        ({"retrain": {"agree": "any"}}, "any"),
        ({"retrain": {"onLoss": {"enabled": False}}}, "drift"),
        ({"retrain": {"onDrift": {"enabled": False}}}, "loss"),
        ({"retrain": {"onDrift": {"enabled": False}, "onLoss": {"enabled": False}}}, None),
        ({"retrain": {"onDrift": {"enabled": False}, "onLoss": {"enabled": False}, "maxAge": "90d"}}, "both"),
        ({"retrain": {"suspend": True}}, None),
        ({"retrain": {}, "state": "suspended"}, None),
    ],
)
def test_jobs_are_looked_at_whose_policy_facts_can_start_a_run_of(spec, rule):
    found = job(body(**spec))
    assert (found and found.rule) == rule


def test_a_manifest_of_another_release_is_named_with_the_place():
    with pytest.raises(TickloomError, match=r"here/atw: spec.retrain.soon"):
        job(body(retrain={"soon": True}))


@pytest.mark.parametrize(
    ("known", "now", "why"),
    [
        (None, MONDAY, "there are no facts"),
        (facts(FRIDAY + SETTLED), MONDAY + SETTLED - timedelta(seconds=1), ""),
        (facts(FRIDAY + SETTLED), MONDAY + SETTLED, "XCAS has closed 2024-03-04"),
        (facts(FRIDAY + SETTLED, "any"), FRIDAY + SETTLED, "facts are of rule any"),
        (facts(FRIDAY + SETTLED, ticker="IAM"), FRIDAY + SETTLED, "ATW was not looked at yet"),
        # the bar of the session was late, and the store away: again for some hours, and no longer
        (facts(FRIDAY + SETTLED, looked="2024-02-29"), FRIDAY + 2 * SETTLED, "ATW was not looked at after 2024-03-01"),
        (facts(FRIDAY + SETTLED, problem="away"), FRIDAY + 2 * SETTLED, "ATW was not looked at after 2024-03-01"),
        (facts(FRIDAY + SETTLED, problem="away"), FRIDAY + timedelta(seconds=AGAIN_S), ""),
    ],
)
def test_a_look_is_due_once_after_each_close_and_again_where_it_failed(known, now, why):
    assert due(job(body(retrain={})), known, now).startswith(why)
    assert bool(due(job(body(retrain={})), known, now)) == bool(why)


def test_facts_are_written_for_each_job_and_go_with_it():
    server = Server(body(retrain={}), body("idle"), body("two", ("IAM", "AKT"), retrain={"agree": "any"}))
    done = once(server, ["here", "elsewhere"], prices, QUICK, MONDAY)
    assert (done.written, done.failed) == (["here/atw", "here/two"], [])
    made = server.maps["here", "tickloom-facts-atw"]
    assert made["metadata"]["labels"] == {"tickloom.dev/facts": "atw"}
    (owner,) = made["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("StreamJob", "atw", "uid-atw")
    two = known(server.maps["here", "tickloom-facts-two"])
    assert (two.rule, two.made) == ("any", MONDAY)
    assert two.tickers["AKT"].problem == "AKT has no bars"
    assert two.tickers["IAM"].looked
    before = dict(server.maps)
    assert not once(server, ["here"], prices, QUICK, MONDAY + timedelta(minutes=1)).written
    assert server.maps == before


def test_a_store_that_is_away_is_said_of_every_ticker_and_what_was_known_stays():
    server = Server(body(retrain={}))
    once(server, ["here"], prices, QUICK, MONDAY)
    old = known(server.maps["here", "tickloom-facts-atw"]).tickers["ATW"]
    once(server, ["here"], away, QUICK, MONDAY + SETTLED)
    new = known(server.maps["here", "tickloom-facts-atw"]).tickers["ATW"]
    assert new.problem == "the store does not answer"
    assert new.model_copy(update={"problem": ""}) == old


def test_one_jobs_trouble_stops_no_other():
    wrong = body("wrong", retrain={"soon": True})
    server = Server(wrong, body("refused", retrain={}), body("good", retrain={}))
    server.refuses = {"tickloom-facts-refused"}
    done = once(server, ["here"], prices, QUICK, MONDAY)
    assert (done.written, done.failed) == (["here/good"], ["here/wrong", "here/refused"])


def test_facts_that_cannot_be_read_are_made_anew():
    assert known({"data": {KEY: "{"}}) is None
    assert known({"data": {}}) is None
    assert known(None) is None
