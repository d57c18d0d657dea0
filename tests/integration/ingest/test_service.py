"""The service as a process: it sends everything, survives a kill, and its readiness tells the truth."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter

import pytest
import yaml
from prometheus_client import generate_latest

from tests.unit.charts.exported import ingest
from tests.unit.charts.monitoring_files import expressions
from tests.unit.charts.promql import exposed, metrics_in
from tickloom.bus.consume import messages

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


class Process:
    """``python -m services.ingest``."""

    def __init__(self, folder, kafka, *sources, options=(), port=None):
        self.topic = f"ingest-{uuid.uuid4().hex[:8]}"
        self.path = folder / "ingest.yaml"
        self.path.write_text(yaml.safe_dump({"topic": self.topic, "sources": list(sources)}))
        self.kafka, self.options = kafka, list(options)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = port or probe.getsockname()[1]
        self.log = folder / "log"

    def start(self):
        command = [sys.executable, "-m", "services.ingest", "--config", str(self.path), "--port", str(self.port)]
        environment = {**os.environ, "TICKLOOM_KAFKA": self.kafka, "TICKLOOM_LOG_FORMAT": "json"}
        with self.log.open("ab") as log:
            self.child = subprocess.Popen([*command, *self.options], env=environment, stdout=log, stderr=log)
        return self

    def ask(self, path):
        """Return status and text; 0 while nobody listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def until(self, check, seconds=60):
        end = time.monotonic() + seconds
        while not (found := check()):
            assert self.child.poll() is None, self.log.read_text()
            assert time.monotonic() < end, (self.ask("/readyz"), self.log.read_text()[-3000:])
            time.sleep(0.1)
        return found

    def metric(self, name):
        found = re.search(rf"^tickloom_ingest_{name} (\S+)$", self.ask("/metrics")[1], re.MULTILINE)
        return float(found[1]) if found else 0.0

    def end(self, number=signal.SIGTERM):
        self.child.send_signal(number)
        return self.child.wait(30)

    def sent(self):
        return Counter(json.loads(message.value())["sequence"] for message in messages(self.kafka, self.topic))


@pytest.fixture
def service(stack, tmp_path):
    made = []

    def make(*sources, **more):
        made.append(Process(tmp_path, more.pop("kafka", stack.kafka), *sources, **more))
        return made[-1].start()

    yield make
    for process in made:
        if process.child.poll() is None:
            process.child.kill()
            process.child.wait(10)


def gbm(name="made", **more):
    return {"name": name, "kind": "gbm", "tickers": ["AAPL"], **more}


def test_sources_run_side_by_side_to_their_end(service, tmp_path):
    folder = tmp_path / "prices"
    folder.mkdir()
    rows = "".join(f"2024-03-14 09:{30 + minute}:00,1,1,1,1,5\n" for minute in range(20))
    (folder / "MSFT_1min.csv").write_text("timestamp,open,high,low,close,volume\n" + rows)
    replayed = {"name": "replayed", "kind": "replay", "files": [str(folder)]}
    process = service(gbm(count=300, rate=10_000), replayed, options=["--until-finished"])
    assert process.child.wait(60) == 0, process.log.read_text()
    assert sum(process.sent().values()) == 320


def test_it_serves_what_rules_and_dashboards_ask_for(service):
    asked = {
        name for text in expressions().values() for name in metrics_in(text) if name.startswith("tickloom_ingest_")
    }
    yahoo = {"name": "live", "kind": "yahoo", "tickers": ["AAPL"], "backoff": {"first": "1s", "longest": "1s"}}
    process = service(gbm(count=300, rate=10_000), yahoo)
    process.until(lambda: process.metric('finished{source="made"}') == 1)
    process.until(lambda: "tickloom_ingest_session_open{" in process.ask("/metrics")[1])
    served = exposed(process.ask("/metrics")[1])
    assert asked <= set(served)
    checked = exposed(generate_latest(ingest()).decode())
    assert served == checked, "what the queries are checked against"
    assert process.end() == 0


def test_killed_in_the_middle_it_sends_what_was_left(service):
    process = service(gbm(count=4000, rate=1000, market="XNYS"))
    process.until(lambda: process.metric('records_total{source="made"}') > 1000)
    process.end(signal.SIGKILL)
    before = process.sent()
    process.start()
    process.until(lambda: process.metric('finished{source="made"}') == 1)
    assert process.ask("/readyz") == (200, "ok\n")
    assert process.end() == 0
    after = process.sent()
    assert len(before) < 4000
    assert sorted(after) == list(range(4000)), "the same series again: a StreamJob drops what it has seen"


def test_sigterm_loses_nothing_that_was_taken(service):
    process = service(gbm(rate=500))
    process.until(lambda: process.metric('records_total{source="made"}') > 500)
    assert process.end() == 0
    found = process.sent()
    assert sorted(found) == list(range(len(found)))
    assert set(found.values()) == {1}


def test_it_is_ready_when_kafka_is(service, stack):
    """Whoever connects before the broker is there waits for it, and says so."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    process = service(gbm(count=100, rate=1000, backoff={"first": "200ms", "longest": "1s"}), kafka=f"127.0.0.1:{port}")
    process.until(lambda: process.metric('failures_total{source="made"}') > 0)
    status, text = process.ask("/readyz")
    assert status == 503
    assert f"127.0.0.1:{port} does not answer" in text
    assert process.ask("/healthz")[0] == 200, "a restart would not help"
    assert process.end() == 0


def test_a_wrong_configuration_ends_with_78(service):
    process = service({"name": "x", "kind": "gbm", "tickers": ["NEVER-HEARD"]})
    assert process.child.wait(60) == 78
    assert "source x: no starting price of 'NEVER-HEARD' is known" in process.log.read_text()
    process = service({"name": "x", "kind": "gbm", "tickers": ["AAPL"], "rate": 0})
    assert process.child.wait(60) == 78
    assert "sources[0].rate: must be greater than 0" in process.log.read_text()
