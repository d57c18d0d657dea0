"""What a running job says of itself."""

import json
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime

import pytest

from tickloom.stream.metrics import STATES
from tickloom.stream.progress import Arrivals, Progress, serve
from tickloom.stream.sink import TaskStats


def report(batch, *, at, end, latest, rows=10):
    return {
        "batchId": batch,
        "timestamp": f"2024-03-14T13:30:{at:02d}.000Z",
        "batchDuration": 500,
        "observedMetrics": {"records": {"rows_in": rows, "filtered": 0}},
        "stateOperators": [{"numRowsTotal": 2}],
        "sources": [
            {
                "description": "KafkaV2[Subscribe[prices]]",
                "endOffset": json.dumps({"prices": end}),
                "latestOffset": json.dumps({"prices": latest}),
            },
            {"description": "FileStreamSource[control]", "endOffset": None, "latestOffset": None},
        ],
    }


def commit(progress, batch, dead=None, **more):
    progress.written(batch, TaskStats(ticks=more.get("rows", 10), dead=dead or {}))
    progress.committed(report(batch, **more))


@pytest.fixture
def progress():
    return Progress("demo", tickers=2, epoch=7)


def metric(progress, name, **labels):
    return progress.metrics.registry.get_sample_value(f"tickloom_stream_{name}", {"streamjob": "demo", **labels})


def test_before_the_first_batch_what_is_not_known_is_null(progress):
    found = progress.snapshot()
    assert (found["epoch"], found["tickers"], found["checks"]) == (7, 2, 0)
    assert [found[name] for name in ("lag", "partitions", "arrival_per_second", "batch")] == [None] * 4
    assert metric(progress, "epoch") == 7
    assert metric(progress, "lag_rows") != metric(progress, "lag_rows")  # NaN


def test_batches_and_idle_reports_are_checks_and_an_idle_query_has_no_lag(progress):
    commit(progress, 0, at=0, end={"0": 10, "1": 5}, latest={"0": 30, "1": 5})
    assert (progress.snapshot()["checks"], progress.snapshot()["lag"]) == (1, 20)
    progress.idle("2024-03-14T13:30:20.000Z")
    found = progress.snapshot()
    assert (found["checks"], found["lag"], found["partitions"]) == (2, 0, 2)
    assert metric(progress, "checks_total") == 2
    assert metric(progress, "lag_rows") == 0


def test_a_commit_is_counted_and_says_when_it_was(progress):
    assert metric(progress, "last_batch_timestamp_seconds") is None
    assert metric(progress, "dead_letters_total", reason="late") == 0, "else rate() would not see the first one"
    commit(progress, 0, at=0, end={"0": 10}, latest={"0": 10}, rows=8, dead={"late": 2})
    assert metric(progress, "rows_out_total") == 8
    assert metric(progress, "dead_letters_total", reason="late") == 2
    committed = datetime(2024, 3, 14, 13, 30, 0, 500_000, tzinfo=UTC)  # begun and half a second
    assert metric(progress, "last_batch_timestamp_seconds") == committed.timestamp()


def test_the_state_is_one_of_all_states(progress):
    for wanted in STATES:
        progress.state(wanted)
        assert {name: metric(progress, "state", state=name) for name in STATES} == {
            name: float(name == wanted) for name in STATES
        }


def test_whether_the_exchange_trades_is_asked_when_it_is_read():
    asked = []
    progress = Progress("demo", trades=lambda at: asked.append(at) or len(asked) == 2)
    assert not asked
    assert [metric(progress, "session_open"), metric(progress, "session_open")] == [0, 1]
    assert asked == pytest.approx([time.time()] * 2, abs=60)
    assert metric(Progress("demo"), "session_open") is None


def test_a_report_of_a_batch_that_this_process_did_not_write_is_no_check(progress):
    progress.committed(report(4, at=0, end={"0": 10}, latest={"0": 10}))
    assert progress.snapshot()["checks"] == 0


def test_arrivals_are_the_growth_of_the_topic_and_not_what_a_batch_reads(progress):
    commit(progress, 0, at=0, end={"0": 10}, latest={"0": 1000})
    assert progress.snapshot()["arrival_per_second"] is None
    commit(progress, 1, at=10, end={"0": 20}, latest={"0": 1500})
    assert progress.snapshot()["arrival_per_second"] == 50
    progress.idle("2024-03-14T13:30:20.000Z")
    assert progress.snapshot()["arrival_per_second"] == 25
    assert metric(progress, "arrival_per_second") == 25


def test_arrivals_forget_and_bear_a_topic_that_was_made_anew():
    arrivals = Arrivals(over_s=60)
    assert arrivals.observe(0) is None
    rates = [arrivals.observe(float(at), at * 100 if at <= 60 else 6000) for at in range(0, 181, 10)]
    assert rates[6] == 100
    assert rates[-1] == 0
    assert arrivals.observe(190, 50) is None
    assert arrivals.observe(200, 150) == 10


def ask(address, path):
    try:
        with urllib.request.urlopen(address + path, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_health_is_503_with_the_reason_once_the_job_has_failed(progress):
    server, address = serve(progress, "127.0.0.1", 0)
    try:
        assert ask(address, "/healthz") == (200, "ok\n")
        progress.state("waiting")
        assert ask(address, "/healthz")[0] == 200
        progress.state("failed", "Kafka at a:1 does not answer")
        assert ask(address, "/healthz") == (503, "StreamJob demo has failed: Kafka at a:1 does not answer\n")
        assert json.loads(ask(address, "/progress")[1])["failure"] == "Kafka at a:1 does not answer"
        assert "tickloom_stream_tickers" in ask(address, "/metrics")[1]
        assert ask(address, "/")[0] == 404
    finally:
        server.shutdown()
