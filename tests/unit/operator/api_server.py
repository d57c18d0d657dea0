"""An API server that holds what a test gives it, and a kubeconfig that leads there."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import yaml


class ApiServer:
    """Answers GET: one object by its path, all below a path where it ends with the plural, 404 for all else.

    Parameters
    ----------
    objects
        By path, such as ``/api/v1/namespaces/default/secrets/one``.
    forbidden
        Paths that are answered with 403.
    """

    def __init__(self):
        self.objects, self.forbidden, self.asked = {}, set(), []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.asked.append(self.path)
                status, body = server.answer(urlsplit(self.path).path)
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        self.address = f"http://127.0.0.1:{self._http.server_address[1]}"

    def answer(self, path):
        """Return status and body."""
        if path in self.forbidden:
            return 403, {"message": f"may not list {path.rpartition('/')[2]}"}
        if path in self.objects:
            return 200, self.objects[path]
        api, _, plural = path.rpartition("/")
        below = [
            body
            for place, body in self.objects.items()
            if place.startswith(f"{api}/") and place.split("/")[-2] == plural
        ]
        return (200, {"items": below}) if below else (404, {"message": f"there is no {path}"})

    def add(self, api, plural, body):
        """Hold an object."""
        meta = body["metadata"]
        self.objects[f"{api}/namespaces/{meta['namespace']}/{plural}/{meta['name']}"] = body

    def kubeconfig(self, path: Path, **context: str) -> Path:
        """Write a file that leads here; ``context`` may name a namespace."""
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": self.address}}],
            "users": [{"name": "me", "user": {"token": "none"}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me", **context}}],
        }
        path.write_text(yaml.safe_dump(document))
        return path

    def close(self):
        """Stop answering."""
        self._http.shutdown()
        self._http.server_close()
