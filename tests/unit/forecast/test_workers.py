"""Worker processes end with the one that started them, whatever ends it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.forecast.processes import gone_within
from tickloom.errors import TickloomError
from tickloom.forecast.workers import workers

ROOT = Path(__file__).parents[3]
SCRIPT = """
import multiprocessing, sys, time
from tickloom.forecast.workers import workers
try:
    with workers(2) as pool:
        busy = pool.map(time.sleep, [0.01, 0.01, 120, 120])
        next(busy)
        print(*(it.pid for it in multiprocessing.active_children()), flush=True)
        list(busy)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes in /proc")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_they_end_at_once(number, status):
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )
    pids = [int(it) for it in process.stdout.readline().split()]
    assert len(pids) == 2
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does it: to all of them
    else:
        process.send_signal(number)
    assert process.wait(20) == status
    assert gone_within(pids)
    if number == signal.SIGINT:
        assert process.stderr.read() == ""


def divmod_later(seconds):
    time.sleep(seconds)
    return divmod(1, 0)


def test_one_that_was_killed_is_a_sentence():
    with pytest.raises(TickloomError, match=r"a process was killed .* take fewer"), workers(1) as pool:
        pool.submit(os._exit, 9).result()


def test_an_error_of_one_does_not_wait_for_the_others():
    begun = time.monotonic()
    with pytest.raises(ZeroDivisionError), workers(2) as pool:
        list(pool.map(divmod_later, (0, 120)))
    assert time.monotonic() - begun < 60
