"""A process that is told to end answers on for a while, has its connections closed, and then ends as it would have."""

import os
import re
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from services.forecast.__main__ import COMMAND

SERVER = """
import asyncio, sys
import uvicorn
from services.forecast.draining import Closing, Drain

drain = Drain()

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        drain.listen()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("shut down", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})

uvicorn.run(Closing(app, drain), port=int(sys.argv[1]), log_level="error")
"""
PARENT = """
import sys
from services.forecast.draining import run

sys.exit(run([sys.executable, "-c", sys.argv[1], sys.argv[2]], float(sys.argv[3])))
"""


@pytest.fixture
def serve():
    """Start a server that puts its end off for some seconds, and return its process and a client."""
    begun = []

    def serve(seconds):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-c", PARENT, SERVER, str(port), str(seconds)], stdout=subprocess.PIPE, text=True
        )
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}")
        begun.append((process, client))
        end = time.monotonic() + 30
        while True:
            try:
                client.get("/")
                return process, client
            except httpx.ConnectError:
                assert time.monotonic() < end
                time.sleep(0.05)

    yield serve
    for process, client in begun:
        client.close()
        process.kill()
        process.communicate()


def test_it_answers_on_and_closes_connections_and_then_ends(serve):
    process, client = serve(2)
    assert "connection" not in client.get("/").headers
    told = time.monotonic()
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    answer = client.get("/")
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    assert client.get("/").status_code == 200  # by a new connection
    assert process.wait(20) in (0, 128 + signal.SIGTERM)
    assert time.monotonic() - told >= 2
    assert process.stdout.read() == "shut down\n"


@pytest.mark.parametrize(("seconds", "signals"), [(0, 1), (60, 2)])
def test_it_ends_at_once_where_nothing_is_put_off_or_it_is_told_again(serve, seconds, signals):
    process, _ = serve(seconds)
    for _ in range(signals):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
    assert process.wait(20) in (0, 128 + signal.SIGTERM)
    assert process.stdout.read() == "shut down\n"


def test_the_service_is_the_process_that_was_started():
    """So that a container's signals reach it; and its command is one that BentoML knows."""
    done = subprocess.run(
        [sys.executable, "-m", "services.forecast", "--help"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "BENTOML_DO_NOT_TRACK": "True"},
    )
    assert done.returncode == 0, done.stderr
    known = set(re.findall(r"--[a-z-]+", done.stdout)) | {"--timeout-graceful-shutdown"}  # which it does not show
    assert {it for it in COMMAND if it.startswith("--")} <= known
