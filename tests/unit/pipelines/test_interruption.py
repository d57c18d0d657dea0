"""Steps end with the run that started them, and runs keep out of each other's way."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from pipelines import interruption
from tests.pipelining import ROOT
from tickloom.errors import TickloomError

STEP = "from pipelines.interruption import follow; import time; follow(); print('here', flush=True); time.sleep(60)"
RUN = f"""
import os, subprocess, sys, time
from pipelines.interruption import ends_at_once, mark
step = subprocess.Popen([sys.executable, "-c", {STEP!r}], env={{**os.environ, **mark()}}, stdout=subprocess.PIPE)
step.stdout.readline()
with ends_at_once():
    print(step.pid, flush=True)
    step.wait()
    time.sleep(60)
"""


@pytest.mark.parametrize(("number", "status"), [(2, 130), (15, 143), (9, -9)])
def test_a_step_does_not_outlive_its_run(number, status):
    run = subprocess.Popen(
        [sys.executable, "-c", RUN], env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    step = psutil.Process(int(run.stdout.readline()))
    run.send_signal(number)
    _, said = run.communicate(timeout=20)
    assert run.returncode == status
    assert ("goes on from the checkpoints" in said) == (number != 9)
    begin = time.monotonic()
    while step.is_running() and step.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() - begin < 20
        time.sleep(0.05)


def test_a_second_run_in_a_folder_is_refused_while_the_first_is_at_work(tmp_path):
    with (
        interruption.alone(tmp_path),
        pytest.raises(TickloomError, match=rf"process {os.getpid()}\): wait for its end"),
        interruption.alone(tmp_path),
    ):
        pass
    with interruption.alone(tmp_path):
        pass
