"""A Kafka and a Cassandra that die under a running job and come back."""

import signal
import time

import psutil
import pytest

from tests.integration.stream.conftest import price
from tests.integration.stream.jobs import PATIENCE_S, Job, send, topic
from tickloom.local import stack as local

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

AWAY_S = 15


def crash(home, part):
    """Kill one server with SIGKILL."""
    (found,) = [item for item in local.status(home) if item.part == part]
    psutil.Process(found.pid).kill()


@pytest.fixture
def own(tmp_path):
    """Start a stack that this test may break."""
    home = tmp_path / "stack"
    try:
        yield home, local.up(home)
    finally:
        local.down(home)


def test_nothing_is_lost_when_cassandra_and_kafka_go_away_and_return(own, tmp_path):
    home, stack = own
    name = topic(stack.kafka, "outage")
    job = Job(tmp_path / "job", stack, name, {"tickers": ["AAPL"], "source": {"maxOffsetsPerTrigger": 1000}})
    process = job.start(bounded=False)
    job.wait_for(lambda found: found["state"] == "running", process)
    sent = 0

    def feed(count):
        nonlocal sent
        send(stack.kafka, name, [price("AAPL", sent + i, 100 + (sent + i) % 7, sent + i) for i in range(count)])
        sent += count

    def arrived(timeout):
        job.wait_for(lambda found: found.get("totals", {}).get("rows_out") == sent, process, timeout)

    feed(500)
    arrived(90)
    crash(home, "cassandra")
    feed(500)
    time.sleep(AWAY_S)
    local.up(home)
    arrived(180)
    crash(home, "kafka")
    time.sleep(AWAY_S)
    local.up(home)
    feed(500)
    arrived(240)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, job.tail()
    assert job.rows("SELECT count(*) FROM stock_prices") == [(sent,)]
    log = job.tail()
    assert "Traceback" not in log
    assert "Cassandra" in log
