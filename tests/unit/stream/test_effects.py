"""Effects of many tickers on their way to the sinks: tables, messages, counts."""

import json

import jsonschema
import numpy as np
import pytest

from tests.unit.stream.helpers import OPEN, records, spec
from tickloom.bus import schemas
from tickloom.stream import messages
from tickloom.stream.effects import decode, pack, pack_refused
from tickloom.stream.latency import Histogram
from tickloom.stream.machine import Clock, Machine
from tickloom.stream.ownership import partitions_of, partitions_to_read
from tickloom.stream.progress import Progress
from tickloom.stream.sink import TaskStats
from tickloom.stream.state import TickerState
from tickloom.stream.wire import Refused

NAMES = ("close_lag_1", "sma_5")
REFUSED = Refused(key=b"AAPL", value=b"{", reason="not-json", detail="half", partition=2, offset=7)


def batch(partition=3):
    machine = Machine(spec(bars={"indicators": list(NAMES)}))
    minute = 60_000_000
    prices = np.where(np.arange(60) == 50, 200.0, 100 + np.arange(60) % 3)
    one = machine.apply(TickerState(), records(OPEN + np.arange(60) * minute, prices, volume=5, source="b"), Clock())
    day_later = OPEN + 24 * 60 * minute
    both = records([OPEN, day_later], [50.0, 51.0], source=["a", "b"], sequence=[0, 1])
    two = machine.apply(TickerState(), both, Clock())
    packed = [pack("AAPL", one, []), pack("MSFT", two, [REFUSED]), pack_refused([REFUSED])]
    return decode(packed, len(NAMES), partition)


def test_tickers_sources_and_refusals_survive_the_crossing():
    done = batch()
    assert done.names == ["AAPL", "MSFT"]
    rows = done.stock_prices().to_pylist()
    assert len(rows) == 62
    assert {(row["ticker"], row["source"]) for row in rows} == {("AAPL", "b"), ("MSFT", "a"), ("MSFT", "b")}
    assert done.refused == [REFUSED, REFUSED]


def test_unknown_is_null_and_never_a_number():
    rows = batch().stock_prices().to_pylist()
    warm_up = [row for row in rows if row["ticker"] == "MSFT"]
    for row in warm_up:
        assert [row[name] for name in ("z_score", "rolling_avg", "is_anomaly", "volume", "open", "interval")] == [
            None
        ] * 6
        assert row["late"] is False
    assert sum(row["is_anomaly"] is True for row in rows) == 1


def test_only_final_bars_have_indicators_and_only_known_ones():
    bars = batch().bar_rows(NAMES).to_pylist()
    of_five = [bar for bar in bars if bar["ticker"] == "AAPL" and bar["interval"] == "5m" and bar["final"]]
    assert [dict(bar["indicators"]).keys() for bar in of_five[:2]] == [set(), {"close_lag_1"}]
    assert set(dict(of_five[5]["indicators"])) == set(NAMES)
    unfinished = [bar for bar in bars if not bar["final"]]
    assert unfinished
    assert all(bar["indicators"] is None for bar in unfinished)


def test_messages_follow_their_schemas_and_repeat_their_ids():
    done = batch()
    flagged = np.flatnonzero(done.ticks["anomaly"] == 1)
    bars = [json.loads(value) for _, value in messages.bars(done, NAMES)]
    anomalies = [json.loads(value) for _, value in messages.anomalies(done, flagged, 2.0)]
    assert bars
    assert anomalies
    for found, schema in ((bars, "bar.v1"), (anomalies, "anomaly.v1")):
        for message in found:
            jsonschema.validate(message, schemas.load(schema))
        assert len({message["id"] for message in found}) == len(found)
    assert bars == [json.loads(value) for _, value in messages.bars(batch(), NAMES)]


def test_quantiles_are_right_to_two_per_cent():
    random = np.random.default_rng(1)
    latencies = random.lognormal(5, 1, 20_000)
    one, other = Histogram(), Histogram()
    one.observe(latencies[:5000])
    other.observe(latencies[5000:])
    one.add(Histogram.from_dict(json.loads(json.dumps(other.to_dict()))))
    for share in (0.5, 0.95, 0.99):
        assert one.quantile(share) == pytest.approx(np.quantile(latencies, share), rel=0.02)
    assert Histogram().quantile(0.5) is None


def test_a_micro_batch_that_is_done_twice_counts_once():
    progress = Progress("job")
    report = {
        "batchId": 4,
        "batchDuration": 500,
        "observedMetrics": {"records": {"rows_in": 10, "filtered": 2}},
        "sources": [{"description": "KafkaV2", "endOffset": {"t": {"0": 10}}, "latestOffset": {"t": {"0": 25}}}],
        "stateOperators": [{"numRowsTotal": 3}],
        "timestamp": "2026-01-01T00:00:00Z",
    }
    progress.written(4, TaskStats(ticks=1))
    progress.written(4, TaskStats(ticks=8))
    assert progress.in_flight()
    progress.committed(report)
    progress.committed(report)
    assert not progress.in_flight()
    summary = progress.totals.summary()
    assert (summary["rows_in"], summary["rows_out"], summary["filtered"]) == (10, 8, 2)
    snapshot = progress.snapshot()
    assert (snapshot["lag"], snapshot["state_rows"], snapshot["rows_per_second"]) == (15, 3, 20.0)


def test_a_job_reads_the_partitions_of_its_tickers():
    mine = partitions_of(["AAPL"], 3)
    assert len(mine) == 1
    assert partitions_to_read(["AAPL"], 3, keyed=True, dead_letters="own") == mine
    assert partitions_to_read(["AAPL"], 3, keyed=True, dead_letters="all") == [0, 1, 2]
    assert partitions_to_read(["AAPL"], 3, keyed=False, dead_letters="own") == [0, 1, 2]
