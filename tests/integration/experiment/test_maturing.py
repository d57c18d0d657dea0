"""Scoring a real ledger: late closes, corrections, kills, and two at a time."""

import dataclasses
import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from tests.integration.store.tables import bars
from tests.unit.experiment.ledgered import CUTOFF, forecast
from tickloom.experiment import maturing
from tickloom.experiment.ledger import LedgerWriter
from tickloom.experiment.maturing import entries, score_ledger
from tickloom.experiment.misses import misses
from tickloom.market.sessions import day_of
from tickloom.store.writer import Writer

pytestmark = pytest.mark.integration

NOW_US = 1_711_000_000_000_000


@pytest.fixture
def close(session, ticker):
    """Write final daily bars: days after the cutoff, and their closes."""

    def write(closes, final=True, ticker=ticker):
        writer = Writer(session)
        days = [day_of(CUTOFF + after) for after in closes]
        opens = [int(datetime(it.year, it.month, it.day, 14, 30, tzinfo=UTC).timestamp() * 1e6) for it in days]
        values = dict.fromkeys(("open", "high", "low", "close"), np.array(list(closes.values()), float))
        table = bars(ticker, len(days), interval="1d", day=days[0], time_us=opens, final=[final] * len(days), **values)
        writer.write("bars", table.drop_columns(["day"]).append_column("day", pa.array(days, pa.date32())))
        writer.flush()

    return write


@pytest.fixture
def offer(session):
    def offer(*forecasts):
        with LedgerWriter(lambda: session, None) as writer:
            for one in forecasts:
                writer.offer(one)

    return offer


def run(session, ticker, **more):
    return score_ledger(session, NOW_US, ticker=ticker, **more)


def scores(session, ticker):
    found = entries(session, None, ticker)[1]
    return sorted(found, key=lambda it: (*it.key, it.revision))


def days(ticker, n, **changes):
    return [
        forecast(ticker=ticker, arm=arm, cutoff=CUTOFF + day, ds=CUTOFF + day + 1, **changes)
        for day in range(n)
        for arm in ("a", "b")
    ]


def test_only_final_closes_are_scored_and_late_ones_when_they_come(session, ticker, offer, close):
    offer(*days(ticker, 3))
    close({1: 103.0})
    close({2: 104.0}, final=False)
    first = run(session, ticker)
    assert (first.forecasts, first.scored, first.waiting) == (6, 2, 4)
    close({2: 105.0, 3: 106.0})
    second = run(session, ticker)
    assert (second.scored, second.corrected, second.waiting) == (4, 0, 0)
    assert {(it.cutoff - CUTOFF, it.y) for it in scores(session, ticker)} == {(0, 103.0), (1, 105.0), (2, 106.0)}


def test_a_corrected_close_adds_a_revision_and_leaves_the_first_score_as_it_was(session, ticker, offer, close):
    offer(*days(ticker, 2))
    close({1: 103.0, 2: 104.0})
    run(session, ticker)
    before = scores(session, ticker)
    close({1: 99.0})
    tally = run(session, ticker)
    assert (tally.scored, tally.corrected) == (0, 2)
    after = scores(session, ticker)
    assert [it for it in after if it.revision == 0] == before
    assert [(it.arm, it.y, it.revision) for it in after if it.revision] == [("a", 99.0, 1), ("b", 99.0, 1)]
    again = run(session, ticker)
    assert (again.scored, again.corrected) == (0, 0)


def test_a_session_that_never_closes_is_told_and_stays_unscored(session, ticker, offer, close):
    offer(*days(ticker, 3))
    close({1: 103.0, 3: 104.0})
    tally = run(session, ticker)
    assert tally.without_close == [(ticker, day_of(CUTOFF + 2).isoformat())]
    assert {it.ds - CUTOFF for it in scores(session, ticker)} == {1, 3}


def test_a_run_that_is_killed_in_the_middle_and_run_again_gives_the_same_rows(
    session, ticker, offer, close, monkeypatch
):
    other = f"{ticker}X"
    for name in (ticker, other):
        offer(*days(name, 150))
        close({1 + day: 100.0 + day % 9 for day in range(150)}, ticker=name)
    run(session, other)
    real, sent = maturing.ledger.insert_once, []

    def dies(*arguments):
        if len(sent) == 2:
            raise KeyboardInterrupt
        sent.append(1)
        return real(*arguments)

    monkeypatch.setattr(maturing.ledger, "insert_once", dies)
    with pytest.raises(KeyboardInterrupt):
        run(session, ticker)
    assert len(scores(session, ticker)) == 200
    monkeypatch.undo()
    assert run(session, ticker).scored == 100
    assert [dataclasses.replace(it, ticker=other) for it in scores(session, ticker)] == scores(session, other)


def test_two_at_a_time_write_each_score_once(session, ticker, offer, close):
    offer(*days(ticker, 150))
    close({1 + day: 100.0 + day % 9 for day in range(150)})
    threads = [threading.Thread(target=run, args=(session, ticker)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = scores(session, ticker)
    assert len(found) == 300
    assert {it.revision for it in found} == {0}


def test_what_models_reached_is_written_beside_the_random_walk_and_the_same_again(session, ticker, offer, close):
    offer(*days(ticker, 40))
    close({1 + day: 100.0 + day % 9 for day in range(40)})
    for _ in range(2):
        run(session, ticker)
        query = (
            "SELECT metric, horizon, value, baseline, rows, cutoff FROM model_performance "
            "WHERE ticker = %s AND interval = %s AND model = %s"
        )
        rows = {row[0]: row[1:] for row in session.execute(query, (ticker, "1d", "lstm"))}
        assert set(rows) == {
            *("mae", "rmse", "rmsse", "coverage_80", "coverage_95", "direction", "miss_80", "miss_95")
        }  # fmt: skip
        assert misses(session, ticker, "lstm") == {1: {0.8: rows["miss_80"][1], 0.95: rows["miss_95"][1]}}
        horizon, value, baseline, count, cutoff = rows["mae"]
        assert (horizon, count) == (1, 40)
        losses = [it.losses for it in scores(session, ticker) if it.arm == "a"]
        assert value == pytest.approx(np.mean([it["absolute"] for it in losses]))
        assert baseline == pytest.approx(np.mean([it["random_walk_absolute"] for it in losses]))
        assert cutoff == datetime(1970, 1, 1) + timedelta(days=CUTOFF + 39)


def test_a_part_of_the_ledger_can_be_scored(session, ticker, offer, close):
    offer(*days(ticker, 4), *days(ticker, 4, experiment="two"))
    close({1 + day: 103.0 for day in range(4)})
    assert run(session, ticker, experiment="two").scored == 8
    assert run(session, ticker, market="XCAS").forecasts == 0
    assert run(session, ticker, first_cutoff=CUTOFF + 3).scored == 2
    assert run(session, ticker).scored == 6
