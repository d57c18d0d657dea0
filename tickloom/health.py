"""A process's own addresses: /healthz, /readyz, /metrics, and what else it answers."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, generate_latest

Check = Callable[[], str | None]
"""Returns what is wrong, or None."""
Answer = tuple[int, str, bytes]
"""Status, type and body."""


def serve(port: int, registry: CollectorRegistry, alive: Check, ready: Check) -> ThreadingHTTPServer:
    """Answer /healthz, /readyz and /metrics on all addresses in a thread; port 0 picks a free one."""
    routes = {
        "/healthz": lambda: checked(alive),
        "/readyz": lambda: checked(ready),
        "/metrics": lambda: metrics(registry),
    }
    return serve_routes("", port, routes, "health")


def checked(check: Check) -> Answer:
    """Return 503 with the sentence that says what is wrong, or 200."""
    wrong = check()
    return 503 if wrong else 200, "text/plain; charset=utf-8", f"{wrong or 'ok'}\n".encode()


def metrics(registry: CollectorRegistry) -> Answer:
    """Return the metrics in Prometheus' text format."""
    return 200, "text/plain; version=0.0.4; charset=utf-8", generate_latest(registry)


def serve_routes(host: str, port: int, routes: Mapping[str, Callable[[], Answer]], name: str) -> ThreadingHTTPServer:
    """Answer GET at each path of ``routes``, and 404 elsewhere, in a thread ``name``; port 0 picks a free one."""
    known = f"known: {' '.join(routes)}\n".encode()

    class Handler(BaseHTTPRequestHandler):
        def handle(self) -> None:
            # Who asks may hang up before the answer, as the kubelet does when its time is over.
            with suppress(BrokenPipeError, ConnectionResetError):
                super().handle()

        def do_GET(self) -> None:
            route = routes.get(self.path.split("?")[0])
            status, kind, body = route() if route else (404, "text/plain; charset=utf-8", known)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer((host, port), Handler)
    threading.Thread(target=server.serve_forever, name=name, daemon=True).start()
    return server
