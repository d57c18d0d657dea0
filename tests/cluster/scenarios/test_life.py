"""From creation to deletion."""

import json

import yaml

KEPT = "checkpoint-kept"
GONE = "checkpoint-gone"
OWN_CLAIM = {"checkpoint": {"claim": {"name": None}}}


def test_a_minimal_job_becomes_ready_with_everything_it_needs(make_job, place, kubectl):
    job = make_job("minimal").create(OWN_CLAIM)
    kubectl("wait", "--for=condition=Ready", "sj/minimal", "-n", place.namespace, "--timeout=60s")
    job.until_stable(1)
    children = job.children()
    assert set(children) == {
        "ConfigMap/minimal-e1-config",
        "Service/minimal-progress",
        "PodDisruptionBudget/minimal-driver",
        "PersistentVolumeClaim/minimal-checkpoint",
    }
    (pod,) = job.pods()
    uid = job.body()["metadata"]["uid"]
    for key, child in (*children.items(), ("Pod", pod)):
        owners = [(it.kind, it.name, it.uid, it.controller) for it in child.metadata.owner_references or ()]
        assert owners == ([] if key.startswith("Persistent") else [("StreamJob", "minimal", uid, True)]), key
    document = yaml.safe_load(children["ConfigMap/minimal-e1-config"].data["job.yaml"])
    assert document["spec"]["checkpoint"]["path"] == job.status["checkpoint"]["location"]
    reasons = {reason for reason, _ in job.events()}
    assert {"Starting", "Stable"} <= reasons
    heads, row = kubectl("get", "sj", "minimal", "-n", place.namespace).splitlines()
    assert heads.split() == ["NAME", "READY", "PHASE", "TICKERS", "LAG", "ROWS/S", "RESTARTS", "DEGRADED", "AGE"]
    assert row.split()[:7] == ["minimal", "True", "Running", "1", "0", "1000", "0"]
    body = json.loads(kubectl("get", "sj", "minimal", "-n", place.namespace, "-o", "json"))
    assert body["metadata"]["finalizers"] == ["tickloom.dev/stop"]


def test_a_job_is_suspended_resumed_and_deleted(make_job):
    """Two jobs at once: one keeps its checkpoint, which is the default, the other lets it go."""
    kept = make_job(KEPT).create(OWN_CLAIM)
    gone = make_job(GONE).create(OWN_CLAIM, annotations={"tickloom.dev/keep-checkpoint": "false"})
    for job in (kept, gone):
        job.until_stable(1)
    place = kept.status["checkpoint"]
    kept.edit(state="suspended")
    kept.until_condition("Suspended", "True")
    assert kept.alive() == []
    assert kept.status["phase"] == "Suspended"
    assert place["claim"] in kept.condition("Suspended")["message"]
    kept.edit(state="running")
    kept.until_stable(2)
    assert kept.status["checkpoint"] == place
    for job in (kept, gone):
        job.delete()
    for job in (kept, gone):
        job.until_gone()
        assert job.alive() == []
    kept.until(lambda: list(kept.children()) == [f"PersistentVolumeClaim/{KEPT}-checkpoint"], "only the claim is left")
    gone.until(lambda: not gone.children(), "nothing is left")
    assert any(reason == "CheckpointKept" and place["claim"] in text for reason, text in kept.events())
    assert "CheckpointDeleted" in {reason for reason, _ in gone.events()}
    phases = kept.record.phases(KEPT)
    assert phases[-1] == "Deleting"
    assert [it for it in phases if it.startswith("Susp")] == ["Suspending", "Suspended"]


def test_a_job_that_comes_again_goes_on_from_its_checkpoint(make_job):
    job = make_job("again").create(OWN_CLAIM).until_stable()
    place = job.status["checkpoint"]
    job.delete().until_gone()
    job.create(OWN_CLAIM).until_stable()
    assert job.status["checkpoint"] == place
    claims = [key for key in job.children() if key.startswith("PersistentVolumeClaim")]
    assert claims == ["PersistentVolumeClaim/again-checkpoint"]


def test_a_name_of_sixty_three_letters_works(make_job):
    job = make_job("a" * 62 + "z").create(OWN_CLAIM).until_stable(1)
    assert all(len(key.partition("/")[2]) <= 63 for key in job.children())
    job.edit(tickers=["ATW", "IAM"]).until_stable(2)
    job.delete().until_gone()


def test_a_namespace_goes_with_its_jobs(stage):
    going, staying = stage.place(), stage.place()
    stage.operator(staying.namespace, going.namespace).start()
    jobs = [place.job(name).create() for place, name in ((going, "passing"), (staying, "lasting"))]
    for job in jobs:
        job.until_stable(1)
    core = jobs[0].core
    core.delete_namespace(going.namespace)
    stage.places.remove(going)

    def gone():
        return going.namespace not in [it.metadata.name for it in core.list_namespace().items]

    jobs[0].until(gone, "the namespace is gone")
    assert not going.record.overlaps
    jobs[1].edit(tickers=["ATW", "IAM"]).until_stable(2)
