"""What goes wrong around the operator: it is killed, it is there twice, the API server is away or refuses."""

import itertools
import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

from tests.cluster.operator_process import FAULTY
from tests.cluster.proxy import Proxy

LANES = 4
SIDES = ("before", "after")
MOST_ACTIONS = 40
AWAY_S = 30.0
SHORT_LEASE_S, LONG_LEASE_S = 15, 120


def tickers(number):
    """Return a list that differs from the one before it."""
    return {"tickers": ["ATW", "IAM"] if number % 2 else ["ATW"]}


def in_order(job):
    """Check that the job's drivers came one after the other, each epoch once, and that one lives now."""
    started = job.record.started[job.name]
    assert started == sorted(set(started)), "an epoch was started twice, or late"
    (pod,) = job.alive()
    epoch = str(job.status["epoch"])
    assert pod.metadata.labels["tickloom.dev/epoch"] == epoch
    names = [key for key in job.children() if not key.startswith("ConfigMap")]
    assert sorted(names) == [f"PodDisruptionBudget/{job.name}-driver", f"Service/{job.name}-progress"]
    assert f"ConfigMap/{job.name}-e{epoch}-config" in job.children()


def kill_at_each(lane, stage, folder):
    """Upgrade one job again and again, and have the operator die at another action each time.

    Return at which points it died. The operator keeps its name in the Lease, so that the next needs no wait.
    """
    place = stage.place()
    faults = folder / f"kill-{lane}.json"
    operator = stage.operator(
        place.namespace, module=FAULTY, identity="the-one", environment={"FAULTS_KILL": str(faults)}
    )
    operator.start().wait_until_leading()
    job = place.job(f"killed-{lane}").create().until_stable(1)
    checkpoint, died = job.status["checkpoint"], []
    points = itertools.islice(itertools.product(range(1, MOST_ACTIONS), SIDES), lane, None, LANES)
    for number, (action, side) in enumerate(points, start=1):
        epoch = job.status["epoch"]
        text = json.dumps({"action": action, "side": side, "upgrade": number})
        partial = faults.with_suffix(".part")
        partial.write_text(text)
        partial.replace(faults)
        job.edit(tickers(number))
        job.until(lambda epoch=epoch: not operator.running or stable(job, epoch + 1), "killed, or upgraded")
        if operator.running:
            break
        assert operator.wait_until_ended() == -signal.SIGKILL
        died.append((action, side))
        faults.unlink()
        operator.start()
        job.until_stable(epoch + 1)
        in_order(job)
        assert job.status["checkpoint"] == checkpoint
        assert job.status["failures"]["total"] == 0
    return died


def stable(job, epoch):
    body = job.body()
    status = body["status"]
    return (
        status["observedGeneration"] == body["metadata"]["generation"] and status["stable"] and status["epoch"] == epoch
    )


def test_an_operator_killed_at_any_action_of_an_upgrade_is_carried_on_by_the_next(stage, tmp_path):
    """Each action once before and once after it is done; some lanes at once, each with an operator of its own."""
    with ThreadPoolExecutor(LANES) as pool:
        died = list(pool.map(lambda lane: kill_at_each(lane, stage, tmp_path), range(LANES)))
    points = sorted(point for lane in died for point in lane)
    assert {(action, side) for action in range(1, 9) for side in SIDES} <= set(points), "an upgrade has more actions"


def test_an_operator_killed_while_it_creates_or_deletes_is_carried_on_by_the_next(stage, tmp_path):
    place = stage.place()
    faults = tmp_path / "kill.json"
    operator = stage.operator(
        place.namespace, module=FAULTY, identity="the-one", environment={"FAULTS_KILL": str(faults)}
    )
    job = place.job("born")
    for action in (2, 4, 6):
        faults.write_text(json.dumps({"action": action, "side": "after"}))
        operator.start()
        job.create()
        operator.wait_until_ended()
        faults.unlink()
        operator.start()
        job.until_stable(1)
        in_order(job)
        faults.write_text(json.dumps({"action": action, "side": "before"}))
        job.delete()
        operator.wait_until_ended()
        faults.unlink()
        operator.start()
        job.until_gone()
        job.until(lambda: not job.children() and not job.pods(), "nothing is left")
        operator.stop()
        job.record.started.clear()


def test_refused_and_lost_writes_end_as_they_should(stage):
    """Every third write goes wrong: 409, 429, 500, or its answer is lost."""
    place = stage.place()
    operator = stage.operator(place.namespace, module=FAULTY, environment={"FAULTS_EVERY": "3"})
    operator.start().wait_until_leading()
    jobs = [place.job(f"refused-{number}").create() for number in range(3)]
    for job in jobs:
        job.until_stable(1)
        in_order(job)
        job.edit(tickers(1))
    for job in jobs:
        job.until_stable(2)
        in_order(job)
        assert job.status["failures"]["total"] == 0
    jobs[0].edit(state="suspended")
    jobs[0].until_condition("Suspended", "True")
    for job in jobs:
        job.delete()
    for job in jobs:
        job.until_gone()
        job.until(lambda job=job: not job.children() and not job.pods(), "nothing is left")


def test_an_api_server_that_was_away_for_half_a_minute(stage, tmp_path):
    """With a short Lease the operator ends, for another may lead by then, and is started anew as by a kubelet."""
    proxy = Proxy.to_cluster(os.environ["KUBECONFIG"], tmp_path / "kubeconfig")
    steady, changed, deleted, born, operators = [], [], [], [], []
    for lease_s in (SHORT_LEASE_S, LONG_LEASE_S):
        place = stage.place()
        operator = stage.operator(
            place.namespace, kubeconfig=str(tmp_path / "kubeconfig"), supervised=True, lease_s=lease_s
        )
        operators.append(operator.start())
        for jobs, name in ((steady, "steady"), (changed, "changed"), (deleted, "deleted")):
            jobs.append(place.job(f"{name}-{lease_s}").create())
        born.append(place.job(f"born-{lease_s}"))
    for job in (*steady, *changed, *deleted):
        job.until_stable(1)
    with proxy.away():
        for job in changed:
            job.edit(tickers(1))
        for job in deleted:
            job.delete()
        for job in born:
            job.create()
        time.sleep(AWAY_S)
        assert [job.status["epoch"] for job in changed] == [1, 1]
    for job in changed:
        job.until_stable(2)
    for job in born:
        job.until_stable(1)
    for job in deleted:
        job.until_gone()
    for job in (*changed, *steady, *born):
        in_order(job)
        assert job.status["failures"]["total"] == 0
    assert [job.record.started[job.name] for job in steady] == [[1], [1]]
    assert operators[0].starts > 1
    assert operators[1].starts == 1
    proxy.close()


def test_of_two_operators_one_acts_and_the_other_takes_over(stage):
    place = stage.place()
    first = stage.operator(place.namespace, identity="first", lease_s=4).start().wait_until_leading()
    second = stage.operator(place.namespace, identity="second", lease_s=4).start().wait_until_ready()
    job = place.job("handed-over").create().until_stable(1)
    assert not second.leading
    assert "WriteStatus" not in second.tail()
    first.kill()
    begin = time.monotonic()
    job.edit(tickers(1))
    second.wait_until_leading()
    assert time.monotonic() - begin > 2, "the Lease of the first had to run out"
    job.until_stable(2)
    in_order(job)
    third = stage.operator(place.namespace, identity="third", lease_s=4).start().wait_until_ready()
    second.stop()
    third.wait_until_leading()
    job.edit(tickers(2)).until_stable(3)
    in_order(job)
    assert "Traceback" not in second.tail()


def test_an_operator_whose_lease_is_taken_ends(stage):
    from kubernetes import client

    place = stage.place()
    operator = stage.operator(place.namespace, identity="robbed", lease_s=6).start().wait_until_leading()
    leases = client.CoordinationV1Api(place.kube)
    change = {"spec": {"holderIdentity": "robber"}}
    leases.patch_namespaced_lease("tickloom-operator", place.namespace, change)
    assert operator.wait_until_ended() == 1
