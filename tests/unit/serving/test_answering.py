"""From question to answer, with an inference process that answers, refuses, is slow or away."""

import asyncio
from datetime import UTC, date, datetime

import pytest

from tickloom.market.sessions import days_of
from tickloom.serving.answering import Answering
from tickloom.serving.asked import BatchRequest, ForecastRequest
from tickloom.serving.cache import LocalCache, NoCache
from tickloom.serving.catalogue import Catalogue
from tickloom.serving.dispatch import Dispatcher
from tickloom.serving.health import Health
from tickloom.serving.problems import ProblemError
from tickloom.serving.routed import Caller, Routed
from tickloom.serving.sessions import Standings
from tickloom.serving.shadows import Shadows

THURSDAY, FRIDAY = (days_of(date(2026, 11, day)) for day in (19, 20))
SATURDAY_S = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
CALLER = Caller("desk", {})
CATALOGUE = Catalogue.of({("XNYS", "AAPL"): {"champion": 1, "challenger-gbm": 2}, ("XCAS", "ATW"): {"champion": 1}})


class Place:
    """A service whose inference process does what a test says."""

    def __init__(self, cache=None, route=None, timeout_s=1.0):
        self.sent = []
        self.recorded = []
        self.shadowed = []
        self.cutoff = FRIDAY
        self.delay_s = 0.0
        self.refused = None
        self.error = None
        self.now = SATURDAY_S

        def champion(catalogue, market, ticker, caller):
            version = catalogue.version(market, ticker, "champion")
            return version and Routed("default", "champion", version)

        self.answering = Answering(
            Dispatcher(self.send, waiting=2),
            cache or NoCache(),
            Standings(lambda: self.now),
            route or champion,
            lambda routed, arm, *more: self.recorded.append((arm, more[3])),
            Health(),
            lambda routed, arm, version, asked, request: self.shadowed.append((arm, version)),
            timeout_s,
        )
        self.answering.catalogue = CATALOGUE

    async def send(self, some):
        self.sent += some
        await asyncio.sleep(self.delay_s)
        if self.error:
            raise self.error
        if self.refused:
            return [{"refused": self.refused} for _ in some]
        return [
            {
                "model": "ridge", "version": it["version"], "verdict": "indistinguishable", "remark": "",
                "learned_to": "2026-01-02", "cutoff": min(self.cutoff, it["as_of"] or self.cutoff), "close": 10.0,
                "days": [FRIDAY + 3, FRIDAY + 4], "price": [10.5, 11.0], "levels": it["levels"],
                "lower": [[9.0, 8.0]] * len(it["levels"]), "upper": [[12.0, 13.0]] * len(it["levels"]),
                "features": "ab", "why": {"ret_1": 0.1} if it["why"] else None,
            }
            for it in some
        ]  # fmt: skip

    def ask(self, **wanted):
        return asyncio.run(self.one(**wanted))

    async def one(self, **wanted):
        return await self.answering.one(ForecastRequest(**{"ticker": "AAPL", **wanted}), CALLER, "r1")


def problem(place, caller=CALLER, **wanted):
    """Return what is answered where it cannot be."""
    with pytest.raises(ProblemError) as caught:
        asyncio.run(place.answering.one(ForecastRequest(**{"ticker": "AAPL", **wanted}), caller))
    return caught.value


def test_an_answer_says_what_who_and_how_fresh():
    place = Place()
    found = place.ask(horizon=1, levels=(95, 50), why=True)
    (session,) = found.pop("forecast")
    assert session == {
        "session": "2026-11-23", "ahead": 1, "close": 10.5, "change": pytest.approx(0.05),
        "intervals": [{"level": 50.0, "lower": 9.0, "upper": 12.0}, {"level": 95.0, "lower": 9.0, "upper": 12.0}],
    }  # fmt: skip
    assert found == {
        "request": "r1", "ticker": "AAPL", "market": "XNYS", "experiment": "default", "arm": "champion",
        "model": "ridge", "version": "1", "verdict": "indistinguishable", "remark": "", "learned_to": "2026-01-02",
        "close": 10.0, "degraded": None, "why": [{"feature": "ret_1", "change": 0.1}],
        "freshness": {"cutoff": "2026-11-20", "last_session": "2026-11-20", "sessions_behind": 0},
    }  # fmt: skip
    assert place.recorded == [("champion", "r1")]
    assert place.sent[0]["levels"] == [0.5, 0.8, 0.95]


def test_old_prices_are_told():
    place = Place()
    place.cutoff = THURSDAY
    assert place.ask()["freshness"]["sessions_behind"] == 1


def test_answers_are_kept_until_the_next_close():
    place = Place(LocalCache())
    first = place.ask()
    assert place.ask(horizon=1)["forecast"] == first["forecast"][:1]
    assert len(place.sent) == 1
    place.ask(levels=(99,))
    assert len(place.sent) == 2
    place.answering.closes["XNYS", "AAPL"] = (FRIDAY, 10.1)  # a corrected close
    place.ask()
    assert len(place.sent) == 3


def test_a_past_is_forecast_without_a_record():
    place = Place()
    found = place.ask(as_of=date(2026, 11, 14))
    assert found["freshness"] == {"cutoff": "2026-11-14", "last_session": "2026-11-13", "sessions_behind": 0}
    assert found["remark"] == ""
    assert place.recorded == []
    assert place.shadowed == []


def test_a_model_that_learned_what_came_after_says_so():
    found = Place().ask(as_of=date(2025, 11, 14))
    assert "learned from sessions after" in found["remark"]


@pytest.mark.parametrize(
    ("wanted", "status", "kind", "text"),
    [
        ({"ticker": "APPL"}, 404, "unknown-ticker", "near names: AAPL"),
        ({"ticker": "ATW", "market": "XNYS"}, 404, "unknown-ticker", "known on XCAS"),
        ({"as_of": date(2026, 11, 21)}, 422, "as-of-in-the-future", "give 2026-11-20"),
        ({"horizon": 3}, 422, "horizon-too-long", "forecasts 2 sessions ahead, not 3"),
    ],
)
def test_what_cannot_be_is_a_problem_with_the_fix(wanted, status, kind, text):
    found = problem(Place(), **wanted)
    assert (found.status, found.kind) == (status, kind)
    assert text in found.detail
    assert found.errors


def test_a_key_for_one_market_asks_for_no_other():
    caller = Caller("desk", {}, frozenset({"XCAS"}))
    assert problem(Place(), caller, market="XNYS").status == 403
    assert problem(Place(), caller).status == 403


def test_without_the_inference_process_the_last_forecast_answers():
    place = Place()
    fresh = place.ask()
    place.error = OSError("gone")
    assert place.ask() == {**fresh, "degraded": "last forecast"}
    assert len(place.recorded) == 1


def test_without_a_last_forecast_the_last_close_answers():
    place = Place()
    place.answering.closes["XNYS", "AAPL"] = (FRIDAY, 12.5)
    place.refused = "the graph failed"
    found = place.ask(horizon=2)
    assert found["degraded"] == "naive"
    assert found["model"] == "random_walk"
    assert [it["close"] for it in found["forecast"]] == [12.5, 12.5]


def test_with_nothing_known_nothing_is_made_up():
    place = Place(timeout_s=0.01)
    place.delay_s = 5
    found = problem(place)
    assert (found.status, found.headers) == (503, {"Retry-After": "5"})


def test_too_many_are_shed_and_count_against_no_arm():
    place = Place()
    place.delay_s = 0.02

    async def run():
        return await asyncio.gather(*(place.one() for _ in range(8)), return_exceptions=True)

    found = asyncio.run(run())
    shed = [it for it in found if isinstance(it, ProblemError)]
    assert [it.status for it in shed] == [429] * 5
    assert shed[0].headers == {"Retry-After": "1"}


def test_a_batch_answers_each_for_itself():
    place = Place()
    found = asyncio.run(place.answering.many(BatchRequest(tickers=("AAPL", "APPL", "ATW")), CALLER))
    assert [it and it["ticker"] for it in found["forecasts"]] == ["AAPL", None, "ATW"]
    assert [it and it["status"] for it in found["problems"]] == [None, 404, None]


def test_shadows_forecast_beside_and_are_dropped_first():
    routed = Routed("trial", "champion", "1", (("gbm", "2"),))
    place = Place(route=lambda *_: routed)
    place.ask()
    assert place.shadowed == [("gbm", "2")]
    taken = []

    async def run():
        dispatcher = Dispatcher(place.send, waiting=100)
        shadows = Shadows(dispatcher, lambda routed, arm, *more: taken.append(arm), waiting=3, together=2)
        asked = {"market": "XNYS", "ticker": "AAPL", "version": "1", "levels": [], "as_of": None, "why": True}
        for at in range(5):
            shadows(routed, f"arm{at}", "2", asked, "r1")
        task = asyncio.ensure_future(shadows.run())
        while shadows.made < 3:
            await asyncio.sleep(0.001)
        place.refused = "no"
        shadows(routed, "late", "2", asked, "r1")
        while not shadows.failed:
            await asyncio.sleep(0.001)
        task.cancel()
        return shadows.dropped

    assert asyncio.run(run()) == 2
    assert taken == ["arm0", "arm1", "arm2"]
    assert place.sent[-1]["version"] == "2"
    assert not place.sent[-1]["why"]
