import json
import os
import sys
import time

import psutil
import pytest

from tickloom.local import process

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def sleeper(tmp_path):
    """A detached process that carries the marker of part `kafka` of `tmp_path`."""
    it = process.spawn(tmp_path, "kafka", [*SLEEP, process.marker(tmp_path, "kafka")], tmp_path / "logs" / "kafka.out")
    yield it
    if process.alive(it):
        process.stop(tmp_path, "kafka", it, patience_s=5)


def note(home, pid, started):
    path = process.pid_file(home, "kafka")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"pid": pid, "started": started}))


def test_nothing_is_stopped(tmp_path):
    assert process.find(tmp_path, "kafka") == process.Found("stopped")


def test_a_started_process_is_found_and_stopped(tmp_path, sleeper):
    assert process.find(tmp_path, "kafka").process == sleeper
    assert process.find(tmp_path, "cassandra").condition == "stopped"

    assert process.stop(tmp_path, "kafka", sleeper, patience_s=5)
    assert process.find(tmp_path, "kafka").condition == "stopped"


def test_a_process_is_found_without_its_pid_file(tmp_path, sleeper):
    process.forget(tmp_path, "kafka")

    assert process.find(tmp_path, "kafka").process == sleeper


def test_a_killed_process_leaves_a_stale_pid(tmp_path, sleeper):
    sleeper.kill()
    while process.alive(sleeper):
        time.sleep(0.01)

    found = process.find(tmp_path, "kafka")
    assert found.condition == "stale pid"
    assert f"pid {sleeper.pid}" in found.explanation
    assert "without `tickloom down`" in found.explanation


def test_a_pid_of_another_program_is_stale(tmp_path):
    note(tmp_path, os.getpid(), psutil.Process().create_time())

    found = process.find(tmp_path, "kafka")
    assert (found.condition, found.process) == ("stale pid", None)
    assert f"belongs to '{psutil.Process().name()}'" in found.explanation


def test_a_process_of_another_home_is_not_taken_for_ours(tmp_path, sleeper):
    other = tmp_path / "other"
    note(other, sleeper.pid, sleeper.create_time())

    assert process.find(other, "kafka").condition == "stale pid"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"pid": "x", "started": 0}'])
def test_an_unreadable_pid_file_counts_as_none(tmp_path, text):
    note(tmp_path, 1, 0)
    process.pid_file(tmp_path, "kafka").write_text(text)

    assert process.find(tmp_path, "kafka").condition == "stopped"


def test_a_process_that_ignores_sigterm_is_killed_and_that_is_told(tmp_path):
    stubborn = (
        "import pathlib, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "pathlib.Path(sys.argv[1]).touch()\n"
        "time.sleep(600)\n"
    )
    deaf = tmp_path / "deaf"
    command = [sys.executable, "-c", stubborn, str(deaf), process.marker(tmp_path, "kafka")]
    it = process.spawn(tmp_path, "kafka", command, tmp_path / "logs" / "kafka.out")
    while not deaf.exists():
        time.sleep(0.01)

    assert not process.stop(tmp_path, "kafka", it, patience_s=0.2)
    assert not process.alive(it)
    assert process.exit_status(it) == -9
