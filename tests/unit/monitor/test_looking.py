"""From looks at several tickers to facts, and from one look to the next."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from tests.unit.forecast.series import frame
from tests.unit.monitor.made import history, ledger, returns
from tickloom.errors import ConfigurationError, TickloomError
from tickloom.experiment.records import Forecast, Score
from tickloom.forecast import package
from tickloom.forecast.models import make
from tickloom.forecast.package import Manifest
from tickloom.forecast.registry import Registry, local_uri
from tickloom.market.sessions import day_of
from tickloom.monitor import told
from tickloom.monitor.decision import ALONE, FALSE_ALARMS, Policy
from tickloom.monitor.looking import Installed, Question, look
from tickloom.stream.facts import Facts, Ticker

NOW = datetime(2026, 1, 5, 22, tzinfo=UTC)
QUICK = Question("any", features=False, paths=99)


def moved(seed=5, loud=0, sessions=900):
    """Return a year of returns whose last sessions are three times as loud."""
    moves = returns(sessions, seed)
    if loud:
        moves[-loud:] *= 3
    return moves


@dataclass
class Here:
    """Sources in memory; what is not there is away."""

    moves: dict[str, np.ndarray]
    ledgers: dict[str, tuple[list[Forecast], list[Score]]] = field(default_factory=dict)
    champions: dict[str, date] = field(default_factory=dict)

    def history(self, ticker):
        if ticker not in self.moves:
            raise TickloomError(f"{ticker} has no final daily bars")
        return history(self.moves[ticker], ticker=ticker)

    def ledger(self, ticker):
        return self.ledgers.get(ticker, ([], []))

    def trained(self, ticker):
        return self.champions.get(ticker)


def test_drift_and_losses_are_told_for_each_ticker_and_ones_trouble_stops_no_other():
    made = look(Here({"AAPL": moved(loud=20), "MSFT": moved(seed=7)}), ["AAPL", "NONE", "MSFT"], QUICK, now=NOW)
    assert (made.rule, made.made) == ("any", NOW)
    loud, calm, none = made.tickers["AAPL"], made.tickers["MSFT"], made.tickers["NONE"]
    assert loud.drift.found
    assert loud.loss.found
    assert loud.drift.id == str(loud.looked)
    assert "volatility of returns" in loud.drift.what
    assert not calm.drift.found
    assert calm.drift.id == ""
    assert "no final daily bars" in none.problem
    assert none.looked is None
    assert not loud.problem


def test_a_drift_keeps_its_id_while_it_is_found_and_gets_another_one_later():
    loud, calm = moved(loud=20), moved(seed=7)
    first = look(Here({"AAPL": loud[:-1]}), ["AAPL"], QUICK).tickers["AAPL"]
    facts = Facts(made=NOW, rule="any", tickers={"AAPL": first})
    second = look(Here({"AAPL": loud}), ["AAPL"], QUICK, facts).tickers["AAPL"]
    # both histories end on the same made day, so the day of the first look is set apart
    old = first.model_copy(update={"drift": first.drift.model_copy(update={"id": "2020-01-02"})})
    kept = look(Here({"AAPL": loud}), ["AAPL"], QUICK, facts.model_copy(update={"tickers": {"AAPL": old}}))
    assert kept.tickers["AAPL"].drift.id == "2020-01-02"
    gone = look(Here({"AAPL": calm}), ["AAPL"], QUICK, kept).tickers["AAPL"]
    assert gone.drift.id == ""
    again = look(Here({"AAPL": loud}), ["AAPL"], QUICK, kept.model_copy(update={"tickers": {"AAPL": gone}}))
    assert again.tickers["AAPL"].drift.id == second.drift.id


def test_a_ticker_that_cannot_be_looked_at_keeps_what_was_known():
    before = look(Here({"AAPL": moved(loud=20)}), ["AAPL"], QUICK)
    after = look(Here({}), ["AAPL"], QUICK, before).tickers["AAPL"]
    assert after.problem
    assert after.drift == before.tickers["AAPL"].drift
    assert after.looked == before.tickers["AAPL"].looked


def test_facts_of_another_rule_are_not_gone_on_with():
    old = Ticker.model_validate({"drift": {"found": True, "id": "2020-01-02"}})
    before = Facts(made=NOW, rule="both", tickers={"AAPL": old})
    made = look(Here({"AAPL": moved(loud=20)}), ["AAPL"], QUICK, before)
    assert made.tickers["AAPL"].drift.id != "2020-01-02"


def test_the_reference_ends_where_the_champion_was_trained_and_sessions_are_counted_from_there():
    here = Here({"AAPL": moved()})
    its = here.history("AAPL")
    here.champions["AAPL"] = day_of(int(its.day[-101]))
    made = look(here, ["AAPL"], QUICK).tickers["AAPL"]
    assert made.trained == here.champions["AAPL"]
    assert made.sessions == 100


def test_losses_are_those_of_the_ledger_once_it_has_enough():
    here = Here({"AAPL": moved()})
    its = here.history("AAPL")
    here.ledgers["AAPL"] = ledger(its, skill=0.5)
    made = look(here, ["AAPL"], QUICK).tickers["AAPL"].loss
    assert made.ratio == pytest.approx(0.5)
    assert made.sessions == 60
    assert "random walk" not in made.what
    here.ledgers["AAPL"] = ledger(its, skill=0.5, sessions=30)
    few = look(here, ["AAPL"], QUICK).tickers["AAPL"].loss
    assert (few.ratio, few.sessions) == (pytest.approx(0.5), 30)
    assert "losses are the random walk's, for 30 matured forecasts are too few" in few.what


def test_a_rule_is_measured_at_its_own_false_alarms():
    assert Policy.usual("both").false_alarms == FALSE_ALARMS
    assert {Policy.usual(it).false_alarms for it in ("any", "drift", "loss")} == {ALONE}
    with pytest.raises(ConfigurationError, match="rule 'never'"):
        Policy.usual("never")


def test_detectors_tell_the_session_of_their_last_alarm_whenever_they_are_asked():
    here = Here({"AAPL": moved(loud=30), "MSFT": moved(seed=7)})
    made = look(here, ["AAPL", "MSFT"], QUICK)
    first, last = (day_of(int(here.history("AAPL").day[at])) for at in (-31, -1))
    alarms = made.tickers["AAPL"].alarms
    assert first <= alarms["page_hinkley_squares"] <= last
    assert look(here, ["AAPL"], QUICK).tickers["AAPL"].alarms == alarms


def test_no_ratio_is_told_of_nothing():
    assert told.ratio([], 60) == (None, 0)


def test_facts_are_the_same_after_they_were_written():
    made = look(Here({"AAPL": moved(loud=20)}), ["AAPL", "NONE"], QUICK, now=NOW + timedelta(seconds=1))
    assert Facts.model_validate_json(made.model_dump_json(exclude_none=True)) == made


def test_the_champions_day_of_training_comes_from_the_registry(tmp_path):
    its = frame(500)
    model = make("ridge", 2).fit(its)
    package.write(tmp_path / "model", model, Manifest.of(model, its))
    registry = Registry(local_uri(tmp_path))
    about = its.history.market, its.history.ticker
    sources = Installed(None, registry, about[0])
    assert sources.trained(about[1]) is None, "nobody is champion"
    registry.push(tmp_path / "model")
    assert sources.trained(about[1]) == day_of(int(its.history.day[-1]))
    assert Installed(None, None, about[0]).trained(about[1]) is None
