"""An experiment on simulated sessions: closes in the store, forecasts of every arm in the ledger."""

import dataclasses
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from tests.integration.store.tables import bars
from tests.unit.experiment.judged import NOW_US, series
from tests.unit.experiment.made import experiment
from tickloom.experiment.judge import Judge
from tickloom.experiment.ledger import LedgerWriter
from tickloom.experiment.starting import start
from tickloom.market.sessions import day_of
from tickloom.store.writer import Writer

MARKET = "XCAS"
ARMS = [{"name": "champion"}, {"name": "lstm"}]


class Clock:
    """A time that goes on when it is told to."""

    def __init__(self):
        self.us = NOW_US

    def __call__(self):
        return self.us

    def wait(self, seconds):
        self.us += int(seconds * 1e6)


class Simulated:
    """One experiment that runs on two tickers of Casablanca, which no other test may have."""

    def __init__(self, session, registry, name, tickers, arms=ARMS, **spec):
        self.session, self.registry, self.name, self.tickers = session, registry, name, tickers
        self.clock = Clock()
        self.judge = Judge(session, registry, self.clock)
        named = {"champion": 1} | {f"challenger_{it['name']}": at + 2 for at, it in enumerate(arms[1:])}
        for ticker in tickers:
            registry.add(MARKET, ticker, **named)
        fields = {"mode": "championChallenger", "arms": arms, "tickers": list(tickers), **spec}
        self.experiment = experiment(name, **fields)
        self.state, self.new = start(session, registry, self.experiment, "amina", self.clock())

    def play(self, sessions, skill, seed=7):
        """Have every arm forecast all sessions; closes come with `close`."""
        arms = tuple(self.experiment.arms)
        forecasts, self.closes = series(sessions, skill, seed, arms, self.tickers)
        with LedgerWriter(lambda: self.session, None) as writer:
            for one in forecasts:
                writer.offer(dataclasses.replace(one, experiment=self.name))
        return self

    def play_on(self, sessions, skill, versions, after=300, seed=11):
        """Have arms of these versions forecast sessions so much later, recorded now, and let their closes come."""
        arms = tuple(versions)
        forecasts, closes = series(sessions, skill, seed, arms, self.tickers, versions)
        self.closes = {ticker: {day + after: it for day, it in mine.items()} for ticker, mine in closes.items()}
        with LedgerWriter(lambda: self.session, None) as writer:
            for one in forecasts:
                later = {"cutoff": one.cutoff + after, "ds": one.ds + after, "recorded_us": self.clock()}
                writer.offer(dataclasses.replace(one, experiment=self.name, **later))
        return self.close(sessions)

    def close(self, upto, first=0, ticker=None, factor=1.0):
        """Write the closes of sessions into the store."""
        for name in (ticker,) if ticker else self.tickers:
            writer = Writer(self.session)
            days = [day for at, day in enumerate(sorted(self.closes[name])) if first <= at <= upto]
            dates = [day_of(day) for day in days]
            opens = [int(datetime(it.year, it.month, it.day, 9, 30, tzinfo=UTC).timestamp() * 1e6) for it in dates]
            values = np.array([self.closes[name][day] for day in days]) * factor
            years = pa.array([it.year for it in dates], pa.int32())
            table = bars(name, len(days), interval="1d", time_us=opens, year=years,
                         **dict.fromkeys(("open", "high", "low", "close"), values))  # fmt: skip
            writer.write("bars", table.drop_columns(["day"]).append_column("day", pa.array(dates, pa.date32())))
            writer.flush()
        return self

    def look(self, **more):
        """Look once, and return what was done."""
        done = self.judge.look(self.name, **more)
        assert not done.failures, done.failures
        self.state = done.states[self.name]
        self.findings = done.findings.get(self.name)
        return [(it.kind, it.arm) for _, it in done.actions]

    def aliases(self, alias):
        return [self.registry.aliases(MARKET, it).get(alias) for it in self.tickers]
