"""What a change of the manifest does: nothing, a restart from the checkpoint, or a refusal."""

import pytest
import yaml

from tests.cluster.scenarios.specs import told


def test_what_the_operator_alone_reads_restarts_nothing(make_job):
    job = make_job("ignored").create().until_stable(1)
    job.edit(restart={"limit": 3}, retention={"attempts": 2}, upgrade={"stableBatches": 4})
    job.until_stable(1)
    assert job.record.started["ignored"] == [1]
    assert job.status["failures"]["total"] == 0


def test_a_change_restarts_from_the_checkpoint_once_the_old_driver_is_gone(make_job):
    """The old driver takes its time; the record of the namespace knows whether the new one waited."""
    job = make_job("upgraded").create(told(linger=3)).until_stable(1)
    before = job.status["checkpoint"]
    job.edit(tickers=["ATW", "IAM"])
    job.until_condition("UpgradePending", "True", "OldEpochAlive")
    job.until_stable(2)
    assert job.status["checkpoint"] == before
    assert job.status["tickers"] == 2
    assert job.record.started["upgraded"] == [1, 2]
    (config,) = [it for key, it in job.children().items() if key.startswith("ConfigMap")]
    assert yaml.safe_load(config.data["job.yaml"])["spec"]["tickers"] == ["ATW", "IAM"]
    assert job.record.phases("upgraded") == ["Starting", "Running", "Upgrading", "Starting", "Running"]


def test_many_changes_in_a_row_end_with_the_last(make_job):
    job = make_job("hasty").create().until_stable(1)
    for threshold in (2.0, 2.1, 2.2, 2.3, 2.4):
        job.edit(processors={"prices": {"threshold": threshold}})
    job.until_stable()
    (config,) = [it for key, it in job.children().items() if key.startswith("ConfigMap")]
    assert yaml.safe_load(config.data["job.yaml"])["spec"]["processors"]["prices"]["threshold"] == 2.4
    started = job.record.started["hasty"]
    assert started == list(range(1, len(started) + 1))


def test_a_change_that_loses_the_state_needs_stateless_mode(make_job):
    from kubernetes.client.exceptions import ApiException

    job = make_job("redeployed").create().until_stable(1)
    before = job.status["checkpoint"]
    with pytest.raises(ApiException) as refusal:
        job.edit(runtime={"statePartitions": 4})
    assert refusal.value.status == 422
    assert "stateless" in refusal.value.body
    assert job.status["epoch"] == 1
    job.edit(runtime={"statePartitions": 4}, upgrade={"mode": "stateless"})
    job.until_stable(2)
    after = job.status["checkpoint"]
    assert after == {**before, "location": f"{before['location']}-1", "series": 1}
    assert "NewCheckpoint" in {reason for reason, _ in job.events()}
    job.edit(upgrade={"mode": "checkpoint"}, tickers=["ATW", "IAM"]).until_stable(3)
    assert job.status["checkpoint"] == after, "the next change keeps it"


def test_executors_run_as_a_spark_application_and_are_scaled(make_job, place, kubectl):
    """What stands in for spark-operator makes a driver pod of each SparkApplication, as the real one does."""
    from tests.cluster.scenarios.spark import SparkOperator

    job = make_job("scaled")
    with SparkOperator(place.kube, place.namespace) as spark:
        job.create(replicas=2).until_stable(1)
        (application,) = spark.applications("scaled")
        assert application["spec"]["executor"]["instances"] == 2
        assert job.status["runtime"] == "sparkOperator"
        kubectl("scale", "sj/scaled", "--replicas=3", "-n", place.namespace)
        job.until_stable(2)
        (application,) = spark.applications("scaled")
        assert application["spec"]["executor"]["instances"] == 3
        assert job.status["replicas"] == 3
        assert any("3 executors" in text for _, text in job.events())
        job.edit(replicas=9).until_condition("Degraded", "True", "ScaleCapped")
        assert (job.status["replicas"], job.status["epoch"]) == (3, 2), "the topic has three partitions"
        spark.fail("scaled", "NoSuchMethodError: told to fail")
        job.until(lambda: job.status["failures"]["total"] == 1, "a failure is counted")
        job.until_stable(3)
        job.edit(replicas=1, state="suspended")
        job.until_condition("Suspended", "True")
        assert spark.applications("scaled") == []
        assert job.alive() == []
        job.delete().until_gone()
