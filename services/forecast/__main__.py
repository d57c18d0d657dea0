"""``python -m services.forecast``: the service on port 3000; further arguments are those of ``bentoml serve``."""

import os
import sys

from services.forecast.draining import run
from services.forecast.settings import serve_settings

GRACE_S = 20
"""Seconds that requests may take once the process is told to end; a forecast is given up long before."""
COMMAND = [
    *("-m", "bentoml", "serve", "services.forecast.main:Forecast"),
    *("--host", "0.0.0.0", "--port", "3000", "--timeout-graceful-shutdown", str(GRACE_S)),  # noqa: S104
]

if __name__ == "__main__":
    command, drain_s = [sys.executable, *COMMAND, *sys.argv[1:]], serve_settings().drain_s
    if drain_s:
        sys.exit(run(command, drain_s))
    # in the place of this process, so that signals reach what serves
    os.execv(sys.executable, command)  # noqa: S606
