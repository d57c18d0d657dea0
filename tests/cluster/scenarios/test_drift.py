"""What a person changes by hand comes back, and what goes away is made anew."""


def test_children_that_were_deleted_or_changed_come_back(make_job):
    job = make_job("drifting").create().until_stable(1)
    core, policy = job.core, job.policy
    where = job.namespace
    before = job.children()
    core.delete_namespaced_config_map("drifting-e1-config", where)
    core.delete_namespaced_service("drifting-progress", where)
    policy.delete_namespaced_pod_disruption_budget("drifting-driver", where)

    def anew():
        now = job.children()
        return set(now) == set(before) and all(now[key].metadata.uid != it.metadata.uid for key, it in before.items())

    job.until(anew, "all three are made anew")
    assert job.children()["ConfigMap/drifting-e1-config"].data == before["ConfigMap/drifting-e1-config"].data
    policy.patch_namespaced_pod_disruption_budget("drifting-driver", where, {"spec": {"minAvailable": 0}})
    core.patch_namespaced_service("drifting-progress", where, {"spec": {"selector": {"tickloom.dev/role": "other"}}})
    core.patch_namespaced_config_map("drifting-e1-config", where, {"metadata": {"labels": {"tickloom.dev/epoch": "7"}}})

    def back():
        now = job.children()
        return (
            set(now) == set(before)  # an immutable ConfigMap is deleted and made anew
            and now["PodDisruptionBudget/drifting-driver"].spec.min_available == 1
            and now["Service/drifting-progress"].spec.selector["tickloom.dev/role"] == "driver"
            and now["ConfigMap/drifting-e1-config"].metadata.labels["tickloom.dev/epoch"] == "1"
        )

    job.until(back, "all three are as they were")
    assert job.record.started["drifting"] == [1], "no restart for any of it"


def test_a_label_that_was_taken_away_comes_back(make_job):
    """Without it the operator cannot see the object by its watch."""
    job = make_job("unlabelled").create().until_stable(1)
    change = {"metadata": {"labels": {"tickloom.dev/job": None}}}
    job.core.patch_namespaced_service("unlabelled-progress", job.namespace, change)
    job.until(lambda: "Service/unlabelled-progress" in job.children(), "the label is back")


def test_a_driver_that_was_deleted_is_replaced(make_job):
    job = make_job("evicted").create().until_stable(1)
    job.core.delete_namespaced_pod("evicted-e1", job.namespace)
    job.until_stable(2)
    failures = job.status["failures"]
    assert (failures["total"], failures["count"]) == (1, 0)
    assert "Evicted" in {reason for reason, _ in job.events()}
    assert job.record.started["evicted"] == [1, 2]


def test_a_driver_that_was_deleted_at_once_is_replaced(make_job):
    """As after the loss of a node that a person declared gone."""
    job = make_job("lost").create().until_stable(1)
    job.core.delete_namespaced_pod("lost-e1", job.namespace, grace_period_seconds=0)
    job.until_stable(2)
    assert job.record.started["lost"] == [1, 2]
