"""The load of the benchmark of serving, on a small server, and what is made of what comes back."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from tickloom.bench.serve import _recovery
from tickloom.bench.serving.processes import Running, answered, failed, percentile_ms
from tickloom.bench.serving.requests import Outcome, Plan


@pytest.fixture
def server():
    """A server that answers by number: 200, each tenth with 429 the first time; it keeps the bodies."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        bodies: list[bytes] = []  # noqa: RUF012
        pause_s = 0.0

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            time.sleep(self.pause_s)
            self.bodies.append(body)
            self.send_response(429 if len(self.bodies) % 10 == 0 else 200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            return

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_address[1]}/", Handler
    running.shutdown()


def test_a_closed_load_sends_bodies_in_turn_and_counts_by_status(server):
    url, handler = server
    found = Running(Plan(url, ["a", "b", "c"], 2, 0.5, warm_up=3)).outcome()
    total = len(handler.bodies) - 3
    assert sum(found.statuses.values()) == len(found.latencies) == len(found.codes) == total
    assert handler.bodies[:3] == [b"a", b"b", b"c"]
    assert answered(found) + failed(found) == total
    assert failed(found) == found.statuses["429"] == len(handler.bodies) // 10
    assert percentile_ms(found, 0.5) > 0
    assert np.isnan(percentile_ms(found, 0.5, 503))


def test_a_client_that_tries_again_sees_no_refusal(server):
    url, _ = server
    found = Running(Plan(url, ["a"], 1, 1.0, again=True)).outcome()
    assert set(found.statuses) == {"200"}


def test_a_rate_is_kept_whatever_answers_take(server):
    url, handler = server
    handler.pause_s = 0.2
    found = Running(Plan(url, ["a"], 5, 1.0, rate=100)).outcome()
    assert sum(found.statuses.values()) + found.late == 100
    assert found.late > 50


def test_nobody_there_is_counted_as_no_answer():
    found = Running(Plan("http://127.0.0.1:1/", ["a"], 1, 0.2)).outcome()
    assert set(found.statuses) == {"0"}


@pytest.mark.parametrize(("slow", "refused", "expected"), [([], [], 0.0), ([0.1, 0.3], [], 0.5), ([], [0.6], 0.75)])
def test_recovery_ends_with_the_last_that_was_slow_or_refused(slow, refused, expected):
    ends = np.arange(0.05, 2, 0.05).round(2)
    found = Outcome(
        ends=ends.tolist(),
        latencies=[0.5 if any(abs(it - at) < 0.01 for at in slow) else 0.01 for it in ends],
        codes=[429 if any(abs(it - at) < 0.01 for at in refused) else 200 for it in ends],
    )
    assert _recovery(found, 100.0) == expected
