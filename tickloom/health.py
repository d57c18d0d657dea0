"""A process's own addresses: /healthz, /readyz, /metrics."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, generate_latest

Check = Callable[[], str | None]
"""Returns what is wrong, or None."""


def serve(port: int, registry: CollectorRegistry, alive: Check, ready: Check) -> ThreadingHTTPServer:
    """Answer in a thread; port 0 picks a free one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            if path == "/metrics":
                self._answer(200, generate_latest(registry))
            elif path in ("/healthz", "/readyz"):
                wrong = alive() if path == "/healthz" else ready()
                self._answer(503 if wrong else 200, f"{wrong or 'ok'}\n".encode())
            else:
                self._answer(404, b"known: /healthz /readyz /metrics\n")

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("", port), Handler)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
