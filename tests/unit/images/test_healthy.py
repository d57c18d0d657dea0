"""The check of the image of drivers and executors, run as docker would."""

import subprocess

import pytest

from tests.unit.charts.rendering import ROOT
from tickloom.stream import progress

SCRIPT = ROOT / "images" / "stream" / "healthy.sh"
ENTRY = ("/usr/bin/tini", "--", "/opt/tickloom/entrypoint.sh")


def check(folder, *told):
    path = folder / "cmdline"
    path.write_bytes(b"".join(f"{part}\0".encode() for part in (*ENTRY, *told)))
    return subprocess.run([str(SCRIPT), str(path)], capture_output=True, text=True, check=False, timeout=20)


@pytest.fixture
def job():
    """A driver's own addresses, and what they tell."""
    it = progress.Progress("demo", 1, None)
    server, address = progress.serve(it, "127.0.0.1", 0)
    yield it, address.rsplit(":", 1)[1]
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("form", [("--port", "{}"), ("--port={}",)])
@pytest.mark.parametrize("before", [("run", "-f", "job.yaml"), ("driver", "--class", "x", "local:///main.py", "run")])
def test_a_driver_is_well_until_it_fails(job, tmp_path, form, before):
    it, port = job
    told = (*before, "--host", "0.0.0.0", *(part.format(port) for part in form))
    done = check(tmp_path, *told)
    assert (done.returncode, done.stdout) == (0, "ok\n")
    it.state("failed", "Cassandra is gone")
    done = check(tmp_path, *told)
    assert done.returncode != 0
    assert "Cassandra is gone" in done.stdout


def test_a_driver_that_does_not_answer_is_not_well(job, tmp_path):
    assert check(tmp_path, "run", "--port", "1").returncode != 0


@pytest.mark.parametrize("told", [("executor",), ("migrate", "--wait=300"), ("run", "-f", "job.yaml"), ("--help",)])
def test_what_serves_nothing_is_well_as_long_as_it_runs(tmp_path, told):
    assert check(tmp_path, *told).returncode == 0
