"""What is said and shown while Kafka or Cassandra is away."""

import pytest
import structlog.testing

from tickloom.stream import outage as module
from tickloom.stream.outage import Outage, answers
from tickloom.stream.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_an_outage_is_said_shown_and_over(clock):
    away, asked = {"k:1"}, []

    def probe(address):
        asked.append(address)
        return address not in away

    progress = Progress("atw", 1, None)
    progress.state("running")
    outage = Outage("atw", {"Kafka": "k:1", "Cassandra": "c:1"}, progress, probe)
    outage.heard()
    outage.look()
    assert asked == [], "reports come: nobody is asked"
    with structlog.testing.capture_logs() as logs:
        for _ in range(60):
            clock[0] += 1
            outage.look()
        assert progress.snapshot()["state"] == "waiting"
        assert progress.snapshot()["failure"] == "Kafka does not answer"
        away.clear()
        clock[0] += 6
        outage.look()
    assert progress.snapshot()["state"] == "running"
    words = [entry["event"] for entry in logs]
    assert words.count("Kafka does not answer; the job waits and goes on by itself") == 2, "every thirty seconds"
    assert words[-1] == "Kafka answers again"


def test_a_port_that_nobody_listens_at_does_not_answer():
    assert not answers("127.0.0.1:1")
    assert not answers("nonsense")
