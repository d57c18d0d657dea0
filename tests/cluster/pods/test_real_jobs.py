"""The application itself in pods: samples become ready, no record is lost, want of memory is told."""

import re
from pathlib import Path

import pytest
import yaml

from tests.cluster.operator_process import ROOT

pytest.importorskip("kubernetes", reason="needs the package kubernetes: install tickloom[operator]")

from tests.cluster.tables import assert_same, prices
from tests.integration.stream.conftest import everything
from tests.integration.stream.jobs import Job as LocalJob
from tests.integration.stream.jobs import send, topic
from tickloom.bus.topics import ensure

pytestmark = pytest.mark.timeout(1200)

STRAGGLER = re.compile(rb'"sequence": 1[0-9]{5}\b')
READY_WITHIN_S = 240.0
SAMPLES = sorted((ROOT / "manifests" / "samples").glob("*.yaml"))


@pytest.fixture
def make_job(real):
    """Return a maker of jobs with default resources, which are deleted after the test."""
    made = []

    def make(name, spec):
        job = real.job(name)
        body = {
            "apiVersion": "tickloom.dev/v1alpha1",
            "kind": "StreamJob",
            "metadata": {"name": name},
            "spec": spec,
        }
        made.append(job)
        job.api.create_namespaced_custom_object(*job._where, body, field_validation="Strict")
        return job

    yield make
    for job in made:
        if job.body() is not None:
            job.delete().until_gone(120)
    assert not real.record.overlaps


def test_the_samples_become_ready(make_job, endpoints):
    ensure(endpoints.kafka)
    documents = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in SAMPLES]
    jobs = [make_job(item["metadata"]["name"], item["spec"]) for item in documents]
    for job in jobs:
        job.until_stable(1, within_s=READY_WITHIN_S)
        assert job.condition("Degraded")["status"] == "False"
        assert job.status["progress"]["lag"] == 0


def test_a_job_that_is_killed_and_changed_writes_what_an_untouched_one_writes(
    make_job, endpoints, real, tmp_path: Path
):
    """A driver pod is taken away without a word, and another is replaced by an upgrade, each in the middle."""
    records, kinds = everything()
    # whether a straggler is in time hangs on which micro-batch it comes in, and those differ here
    records = [item for item in records if not STRAGGLER.search(item[1])]
    name = topic(endpoints.kafka, "pods")
    spec = {
        "tickers": ["AAPL", "JPM", "MSFT", "SPY", "TSLA"],
        "market": "XNYS",
        "deadLetters": "all",
        "source": {"topic": name, "maxOffsetsPerTrigger": 300},
        "sinks": {"cassandra": {"keyspace": "pods"}},
        "upgrade": {"stableBatches": 1},
    }
    third = len(records) // 3
    send(endpoints.kafka, name, records[:third])
    job = make_job("real", spec)
    job.until(lambda: prices(endpoints, "pods"), "there are rows", READY_WITHIN_S)
    job.core.delete_namespaced_pod("real-e1", real.namespace, grace_period_seconds=0)
    send(endpoints.kafka, name, records[third : 2 * third])
    job.until_stable(2, within_s=READY_WITHIN_S)
    job.edit(runtime={"driver": {"memoryOverhead": "1600m"}})
    send(endpoints.kafka, name, records[2 * third :])
    job.until_stable(3, within_s=READY_WITHIN_S)
    job.until(lambda: prices(endpoints, "pods") >= kinds["good"], f"{kinds['good']} rows are written", READY_WITHIN_S)

    job.delete().until_gone(120)
    job.core.read_namespaced_persistent_volume_claim("real-checkpoint", real.namespace)
    job = make_job("real", spec)
    job.until_stable(1, within_s=READY_WITHIN_S)  # its epochs begin anew, and it goes on from the kept checkpoint
    assert job.status["progress"]["lag"] == 0

    untouched = LocalJob(tmp_path, endpoints, name, {"source": {"maxOffsetsPerTrigger": 300}})
    untouched.run()
    assert_same(LocalJob(tmp_path / "pods", endpoints, name, keyspace="pods"), untouched)


def test_a_driver_without_memory_is_told_as_such(make_job, endpoints):
    name = topic(endpoints.kafka, "small")
    small = {"driver": {"cores": 1, "memory": "512m", "memoryOverhead": "64m"}}
    spec = {"tickers": ["AAPL"], "market": "XNYS", "source": {"topic": name}, "runtime": small}
    job = make_job("small", spec)
    found = job.until_condition("Degraded", "True", "OutOfMemory", READY_WITHIN_S)
    assert found["message"]
    job.until(lambda: job.status["failures"].get("kind") == "OutOfMemory", "the failure has its class", READY_WITHIN_S)
