"""Stands in for the streaming application: answers like it, fails when it is told to, stops on SIGTERM.

What it does is told through variables: FAKE_EXIT (code) and FAKE_AFTER (seconds) make it fail, FAKE_MESSAGE is its last
line then, FAKE_LAG its lag, FAKE_SILENT=1 keeps its progress address closed, FAKE_STATE its state, FAKE_LINGER how many
seconds it takes to stop.
"""

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BEGIN = time.time()
stop = threading.Event()


def progress():
    batches = int(time.time() - BEGIN)
    return {
        "epoch": int(os.environ.get("TICKLOOM_EPOCH", "0")),
        "state": os.environ.get("FAKE_STATE", "running"),
        "batch": batches,
        "checks": batches,
        "lag": int(os.environ.get("FAKE_LAG", "0")),
        "rows_per_second": 1000.0,
        "arrival_per_second": float(os.environ.get("FAKE_ARRIVAL", "100")),
        "state_rows": 1,
        "partitions": 3,
        "committed_at": "2026-01-01T00:00:00.000Z",
    }


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(progress()).encode() if self.path == "/progress" else b"ok\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        return


for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: stop.set())
if os.environ.get("FAKE_SILENT") != "1":
    server = ThreadingHTTPServer(("", 4040), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
after = float(os.environ["FAKE_AFTER"]) if "FAKE_AFTER" in os.environ else None
if "FAKE_EXIT" in os.environ and not stop.wait(after or 0):
    print(os.environ.get("FAKE_MESSAGE", "ValueError: told to fail"), file=sys.stderr)
    sys.exit(int(os.environ["FAKE_EXIT"]))
while not stop.wait(0.5):  # a signal that another thread was given wakes nobody, and is handled at the next turn
    pass
time.sleep(float(os.environ.get("FAKE_LINGER", "0")))
