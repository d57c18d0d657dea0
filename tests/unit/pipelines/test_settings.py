"""What may be compiled in, where trainings may go, and with how many threads."""

import subprocess
import sys

import pytest

from pipelines.pools import POOLS, pool
from pipelines.settings import Settings, read
from pipelines.threads import limit
from tests.pipelining import ROOT
from tickloom.errors import ConfigurationError, TickloomError


def test_without_a_file_the_settings_are_the_usual_ones():
    assert read(None) == Settings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("volumes: x\n", "volumes is unknown; known here: "),
        ("retries: many\n", "retries: must be a whole number"),
        ("memory: 2 gigabytes\n", "memory: '2 gigabytes' is not an amount such as 500m, 2, 10Gi"),
        ("- volume: x\n", "must be one mapping of settings"),
        ("volume: Ours\n", "volume: 'Ours' is not an object's name"),
    ],
)
def test_a_wrong_setting_is_a_sentence(tmp_path, text, said):
    path = tmp_path / "ours.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        read(path)


def test_spot_pools_tolerate_what_keeps_others_away():
    for name, found in POOLS.items():
        given = found.parameters(1)
        assert given["gpus"] == "1"  # text: Kubeflow's driver reads a number as nothing
        assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in given["tolerations"]
        assert ("spot" in str(given["node_selector"]).lower()) == name.endswith("-spot")


def test_an_unknown_pool_is_answered_with_the_known_ones():
    with pytest.raises(TickloomError, match="pool 'gcp' is unknown; known: gke, gke-spot"):
        pool("gcp")


@pytest.mark.parametrize(("cpu", "threads"), [("2", "2"), ("1500m", "2"), ("500m", "1"), ("8", "8")])
def test_as_many_threads_as_a_pod_has_processors(monkeypatch, cpu, threads):
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    limit(cpu)
    import os

    assert os.environ["OMP_NUM_THREADS"] == os.environ["NUMBA_NUM_THREADS"] == threads


def test_what_a_pod_runs_before_its_step_imports_no_numpy():
    code = "import pipelines.threads, sys; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
