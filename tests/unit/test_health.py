"""A process's own addresses."""

import socket
import struct
import threading
import urllib.request

import pytest

from tickloom import health


@pytest.fixture
def slow():
    """A server whose answer waits for an event, and is larger than what a connection holds."""
    answer = threading.Event()

    def report():
        answer.wait(10)
        return 200, "text/plain", b"x" * 20_000_000

    server = health.serve_routes("127.0.0.1", 0, {"/slow": report}, "test")
    # threads are waited for when the server is closed, so that what they print is there
    server.daemon_threads = False
    yield server, answer
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("reset", [False, True])
def test_who_hangs_up_before_the_answer_leaves_no_traceback(slow, capfd, reset):
    server, answer = slow
    with socket.create_connection(server.server_address[:2]) as client:
        client.sendall(b"GET /slow HTTP/1.0\r\n\r\n")
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    answer.set()
    with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/slow", timeout=10) as reply:
        assert len(reply.read()) == 20_000_000
    server.shutdown()
    server.server_close()
    assert capfd.readouterr().err == ""
