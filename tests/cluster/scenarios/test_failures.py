"""Drivers that fail: what is said of each, and what is done."""

import pytest

from operators.streamjob.moments import seconds
from tests.cluster.scenarios.specs import merged, told

MESSAGE = "ValueError: told to fail"
HEAP = "java.lang.OutOfMemoryError: Java heap space"
SLOW = {"restart": {"initialBackoff": "1m"}}
FAILING = {
    "crashing": merged(told(exit=1, message=MESSAGE), {"restart": {"initialBackoff": "1s", "maxBackoff": "4s"}}),
    "given-up": merged(told(exit=1, message=MESSAGE), {"restart": {"limit": 2}}),
    "unconfigured": merged(told(exit=78, message="ConfigurationError: no such topic"), SLOW),
    "out-of-heap": merged(told(exit=1, message=HEAP), SLOW),
    "never": merged(told(exit=1, message=MESSAGE), {"restart": {"policy": "Never"}}),
    "no-image": {"runtime": {"image": "localhost/no-such-image:1"}},
    "no-node": {"runtime": {"nodeSelector": {"kubernetes.io/hostname": "nowhere"}}},
    "no-secret": {"source": {"credentials": "absent"}},
    "no-class": {"runtime": {"podTemplate": {"spec": {"priorityClassName": "absent"}}}},
    "unknown-indicator": {"processors": {"bars": {"indicators": ["sma_20", "crystal_ball_7"]}}},
    "unknown-ticker": {"tickers": ["ATW", "NOSUCH"]},
}


@pytest.fixture(scope="module")
def failing(common):
    """Every failing job, all created at once, for failures take time; by name."""
    place = common[0]
    jobs = {name: place.job(name).create(spec) for name, spec in FAILING.items()}
    yield jobs
    for job in jobs.values():
        job.delete()


@pytest.fixture
def job(request, failing, place):
    """One of them, which leaves its place on the node to others after the test."""
    job = failing.pop(request.param)
    yield job
    job.delete()


def of(name):
    return pytest.mark.parametrize("job", [name], indirect=True, ids=[name])


def degraded(job, reason, *words, within_s=45.0):
    """Wait until a condition and an event say what is wrong."""
    found = job.until_condition("Degraded", "True", reason, within_s)
    for word in words:
        assert word in found["message"]
    assert job.condition("Ready")["status"] == "False"
    job.until(lambda: reason in {it for it, _ in job.events()}, f"an event {reason}")


@of("crashing")
def test_a_driver_that_fails_is_started_again_after_growing_pauses(job):
    degraded(job, "Application", MESSAGE)
    job.until(lambda: job.status["failures"]["count"] >= 4, "four failures")
    history = [it["failures"] for it in job.record.statuses["crashing"] if it.get("failures", {}).get("nextStart")]
    pauses = {it["count"]: round(seconds(it["nextStart"]) - seconds(it["at"])) for it in history}
    assert [pauses[number] for number in (1, 2, 3, 4)] == [1, 2, 4, 4]
    assert "BackOff" in job.record.phases("crashing")
    assert len([pod for pod in job.pods() if pod.status.phase == "Failed"]) <= 2, "one is kept for its log"
    job.edit(state="suspended")
    job.until_condition("Suspended", "True")


@of("given-up")
def test_a_driver_that_fails_too_often_is_left_alone_until_the_manifest_changes(job):
    job.until(lambda: job.status["phase"] == "Failed", "given up")
    assert job.condition("Ready")["reason"] == "TooManyFailures"
    assert MESSAGE in job.condition("Ready")["message"]
    assert job.record.started["given-up"] == [1, 2]
    job.edit(runtime={"podTemplate": None}).until_stable(3)
    assert job.status["failures"]["count"] == 0
    assert job.condition("Degraded")["status"] == "False"


@of("never")
def test_a_driver_that_must_not_be_started_again_is_not(job):
    job.until(lambda: job.status["phase"] == "Failed", "given up")
    assert job.condition("Ready")["reason"] == "RestartNever"
    assert job.record.started["never"] == [1]
    job.edit(state="suspended")
    job.until_condition("Suspended", "True")
    job.edit(state="running", runtime={"podTemplate": None}).until_stable(2)


@of("unconfigured")
def test_exit_code_78_is_a_mistake_in_the_configuration(job):
    degraded(job, "BadConfiguration", "no such topic")


@of("out-of-heap")
def test_a_driver_without_memory_is_told_from_one_with_a_mistake(job):
    degraded(job, "OutOfMemory", "heap space")


@of("no-image")
def test_an_image_that_is_not_there_is_named(job):
    degraded(job, "BadConfiguration", "no-such-image")


@of("no-secret")
def test_a_secret_that_is_not_there_is_named_and_waited_for(job):
    degraded(job, "SecretMissing", "'absent'")
    assert job.record.started["no-secret"] == []
    values = {"username": "me", "password": "hidden"}
    job.core.create_namespaced_secret(job.namespace, {"metadata": {"name": "absent"}, "stringData": values})
    job.until_stable(1)


@of("no-class")
def test_a_pod_that_the_server_refuses_is_told_of(job):
    degraded(job, "Submission", "no PriorityClass", within_s=10.0)


@of("unknown-indicator")
def test_an_indicator_that_the_operator_alone_knows_to_be_wrong_is_named(job):
    degraded(job, "InvalidSpec", "spec.processors.bars.indicators", "crystal_ball_7")
    assert job.status["phase"] == "Refused"
    job.edit(processors={"bars": {"indicators": ["sma_20"]}}).until_stable(1)


@of("unknown-ticker")
def test_a_ticker_of_no_list_is_named(job):
    degraded(job, "InvalidSpec", "'NOSUCH'")


@of("no-node")
def test_a_driver_that_finds_no_node_is_told_of(job):
    degraded(job, "Scheduling", "node")
    job.edit(runtime={"nodeSelector": {"kubernetes.io/hostname": None}}).until_stable()


def test_an_upgrade_that_is_not_good_in_time_is_rolled_back(make_job):
    """Two at once: one with an image that is not there, one that fails."""
    limit = {"upgrade": {"readinessTimeout": "15s"}}
    jobs = [make_job(name).create(limit) for name in ("no-new-image", "crashing-upgrade")]
    for job in jobs:
        job.until_stable(1)
    hashes = [job.status["specHash"] for job in jobs]
    jobs[0].edit(runtime={"image": "localhost/no-such-image:1"})
    jobs[1].edit(told(exit=1, message=MESSAGE))
    for job, good in zip(jobs, hashes, strict=True):
        job.until_condition("Degraded", "True", "RolledBack", 60)
        job.until_stable()
        assert job.status["specHash"] == good
        assert "RollingBack" in job.record.phases(job.name)
        assert "RolledBack" in {reason for reason, _ in job.events()}
    started = {job.name: list(job.record.started[job.name]) for job in jobs}
    jobs[0].edit(runtime={"image": None}, tickers=["ATW", "IAM"]).until_stable()
    assert jobs[0].condition("Degraded")["status"] == "False"
    assert jobs[1].record.started["crashing-upgrade"] == started["crashing-upgrade"], "it is not tried again"
