"""Looks at tickers one after the other: their prices, their ledger, their champion; one's trouble stops no other."""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import structlog

from tickloom.errors import TickloomError
from tickloom.experiment.records import Forecast, Score
from tickloom.experiment.spec import CHAMPION as ARM
from tickloom.forecast.history import History
from tickloom.market.sessions import days_of
from tickloom.monitor import told, watch
from tickloom.monitor.decision import Policy
from tickloom.monitor.facts import told as facts_of
from tickloom.monitor.facts import unseen
from tickloom.monitor.inspection import inspect
from tickloom.monitor.spans import RECENT, REFERENCE, spans
from tickloom.monitor.thresholds import PATHS
from tickloom.stream.facts import Facts, Rule, Ticker

if TYPE_CHECKING:
    from cassandra.cluster import Session

    from tickloom.forecast.registry import Registry

log = structlog.get_logger()


class Sources(Protocol):
    """Where a ticker's prices, ledger and champion are; each raises a TickloomError where it is not to be had."""

    def history(self, ticker: str) -> History:
        """Return the daily bars."""

    def ledger(self, ticker: str) -> tuple[Sequence[Forecast], Sequence[Score]]:
        """Return the champion's forecasts one session ahead, and what became of them."""

    def trained(self, ticker: str) -> date | None:
        """Return the last session that the champion learned from; None where there is none."""


@dataclass(frozen=True)
class Installed:
    """An installation's store and registry.

    Parameters
    ----------
    registry
        None where champions are of no interest: then the reference ends where the newest sessions begin.
    experiment
        None means all: a ticker is in one at a time.
    """

    session: "Session"
    registry: "Registry | None"
    market: str
    experiment: str | None = None

    def history(self, ticker: str) -> History:
        """Return the daily bars of the store."""
        from tickloom.forecast.histories import from_store

        return from_store(self.session, ticker, self.market)

    def ledger(self, ticker: str) -> tuple[Sequence[Forecast], Sequence[Score]]:
        """Return what the ledger has of the arm ``champion``."""
        from tickloom.experiment.maturing import entries

        forecasts, scores = entries(self.session, self.experiment, ticker)
        return (
            [it for it in forecasts if (it.arm, it.horizon, it.market) == (ARM, 1, self.market)],
            [it for it in scores if (it.arm, it.horizon, it.market) == (ARM, 1, self.market)],
        )

    def trained(self, ticker: str) -> date | None:
        """Return the last session of the registered champion's training."""
        from tickloom.forecast.package import read_manifest
        from tickloom.forecast.versions import CHAMPION

        if self.registry is None:
            return None
        if CHAMPION not in self.registry.catalogue().get((self.market, ticker), {}):
            return None
        with tempfile.TemporaryDirectory() as folder:
            self.registry.pull(self.market, ticker, Path(folder))
            manifest = read_manifest(next(Path(folder).rglob("manifest.json")).parent)
        return date.fromisoformat(manifest.last_day)


@dataclass(frozen=True)
class Question:
    """How is looked.

    Parameters
    ----------
    rule
        Findings are told at the level that this rule was measured with.
    features
        Look at features, too.
    reference, recent
        Sessions.
    paths
        Made years behind each threshold.
    """

    rule: Rule = "both"
    features: bool = True
    reference: int = REFERENCE
    recent: int = RECENT
    paths: int = PATHS


def look(
    sources: Sources,
    tickers: Iterable[str],
    question: Question,
    before: Facts | None = None,
    now: datetime | None = None,
) -> Facts:
    """Look at tickers and return their facts.

    Parameters
    ----------
    before
        Facts of the look before; those of another rule are forgotten, for their ids are of other findings.
    now
        When the look begins, by default now.
    """
    known: Mapping[str, Ticker] = before.tickers if before is not None and before.rule == question.rule else {}
    made = {}
    for ticker in tickers:
        try:
            made[ticker] = look_at(sources, ticker, question, known.get(ticker))
        except TickloomError as error:
            log.warning("not looked at", ticker=ticker, problem=str(error))
            made[ticker] = unseen(str(error), known.get(ticker))
    return Facts(made=now or datetime.now(UTC), rule=question.rule, tickers=made)


def look_at(sources: Sources, ticker: str, question: Question, before: Ticker | None = None) -> Ticker:
    """Look at one ticker.

    Raises
    ------
    TickloomError
        It cannot be looked at: too few sessions, or a source is away.
    """
    history = sources.history(ticker)
    trained = sources.trained(ticker)
    day = None if trained is None else days_of(trained)
    forecasts, scores = sources.ledger(ticker)
    ratio, sessions = told.ratio(scores, question.recent)
    arm, note = ARM, ""
    days, _ = watch.matured(forecasts, scores)
    try:
        spans(ticker, history.market, days, question.reference, question.recent, day)
    except TickloomError:
        arm, forecasts, scores = "", [], []
        note = f"losses are the random walk's, for {len(days)} matured forecasts are too few"
    found = inspect(
        history, arm=arm, forecasts=forecasts, scores=scores, policy=Policy.usual(question.rule), trained=day,
        reference=question.reference, recent=question.recent, features=question.features, paths=question.paths,
    )  # fmt: skip
    alarms = told.alarms(history, found.spans, forecasts, scores)
    log.info("looked at", ticker=ticker, drift=found.decision.drift, loss=found.decision.loss)
    return facts_of(found, before, trained=trained, ratio=ratio, sessions=sessions, alarms=alarms, note=note)
