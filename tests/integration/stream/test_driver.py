"""What whoever runs a driver relies on: exit codes, last words, epochs, and where the checkpoint is."""

import signal
import time

import pytest
from prometheus_client import generate_latest

from tests.integration.stream.conftest import price
from tests.integration.stream.jobs import PATIENCE_S, Job, kill, send, topic
from tests.unit.charts.exported import driver
from tests.unit.charts.monitoring_files import expressions
from tests.unit.charts.promql import exposed, metrics_in

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture
def job(stack, tmp_path):
    """A job of one ticker with 200 records in its topic."""
    name = topic(stack.kafka, "driver")
    send(stack.kafka, name, [price("AAPL", second, 100.0 + second % 5, second) for second in range(200)])
    return Job(tmp_path, stack, name, {"tickers": ["AAPL"]})


def running(job):
    process = job.start(bounded=False)
    job.wait_for(lambda found: found.get("totals", {}).get("rows_in") == 200, process)
    return process


def last_line(job):
    return job.tail().splitlines()[-1]


def test_a_newer_epoch_takes_over_and_an_older_one_is_refused(job, monkeypatch):
    monkeypatch.setenv("TICKLOOM_EPOCH", "2")
    old = running(job)
    assert job.progress()["epoch"] == 2
    monkeypatch.setenv("TICKLOOM_EPOCH", "3")
    job.run()
    old.communicate(timeout=PATIENCE_S)
    assert old.returncode == 1
    assert "epoch 3 has taken over" in job.tail()
    assert "so epoch 2 writes nothing more" in job.tail()
    assert job.rows("SELECT count(*) FROM stock_prices") == [(200,)]

    monkeypatch.setenv("TICKLOOM_EPOCH", "1")
    refused = job.start()
    refused.communicate(timeout=PATIENCE_S)
    assert refused.returncode == 1
    assert "so epoch 1 writes nothing more; start with TICKLOOM_EPOCH=3 or higher" in last_line(job)


def test_an_idle_job_says_that_it_is_well_and_has_no_lag(job):
    process = running(job)
    before = job.progress()["checks"]
    found = job.wait_for(lambda found: found["checks"] >= before + 2, process)
    assert (found["lag"], found["partitions"], found["tickers"], found["epoch"]) == (0, 3, 1, None)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0


def test_a_driver_serves_what_rules_and_dashboards_ask_for(job):
    process = running(job)
    served = exposed(job.exposition())
    checked = exposed(generate_latest(driver()).decode())
    assert served == checked, "what the queries are checked against"
    asked = {name for text in expressions().values() for name in metrics_in(text)}
    assert {name for name in asked if name.startswith("tickloom_stream_")} <= set(served)
    assert 'tickloom_stream_rows_out_total{streamjob="test"} 200.0' in job.exposition()
    assert 'tickloom_stream_state{state="running",streamjob="test"} 1.0' in job.exposition()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_S)


@pytest.mark.parametrize("pause", [0.0, 2.0])
def test_sigterm_ends_a_job_while_spark_starts(job, pause):
    process = job.start(bounded=False)
    job.wait_for(lambda found: found["state"] == "starting", process)
    time.sleep(pause)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, job.tail()
    assert "Traceback" not in job.tail()


def test_a_driver_whose_java_dies_says_so(job):
    process = running(job)
    kill(process, only_java=True)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "Spark's Java process ended (signal 9)" in last_line(job)


def test_a_setting_that_cannot_be_is_wrong_configuration(job, monkeypatch):
    monkeypatch.setenv("TICKLOOM_EPOCH", "first")
    process = job.start()
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 78
    assert "TICKLOOM_EPOCH 'first'" in last_line(job)


def test_a_checkpoint_at_a_uri_is_gone_on_from(job, tmp_path, monkeypatch):
    monkeypatch.setenv("TICKLOOM_EPOCH", "1")
    where = tmp_path / "elsewhere"
    job.spec = {**job.spec, "checkpoint": {"path": where.as_uri()}, "retention": {"batches": 5}}
    assert job.run()["rows_in"] == 200
    assert (where / "commits").is_dir()
    assert not (job.home / "checkpoint").exists()
    assert (job.home / "epoch").read_text() == "1\n"
    assert job.run()["rows_in"] == 0
