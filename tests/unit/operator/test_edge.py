"""The operator's edges, called as plain functions: reading objects, the queue, the Lease, writing, polling."""

import asyncio
import json
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import structlog

pytest.importorskip("kubernetes", reason="needs the package kubernetes: install tickloom[operator]")
pytest.importorskip("aiohttp", reason="needs the package aiohttp: install tickloom[operator]")

from operators.streamjob import names, read
from operators.streamjob.actions import Apply, Delete, Plan, SetFinalizer, Start, Tell, WriteStatus
from operators.streamjob.apply import FENCED_AGAIN_S, Hand, LaterError, Pace
from operators.streamjob.claims import Claimant
from operators.streamjob.cluster import Refused, wait_seconds
from operators.streamjob.leader import Leader
from operators.streamjob.metrics import Metrics
from operators.streamjob.observe import see
from operators.streamjob.poll import Poller
from operators.streamjob.queue import WorkQueue
from operators.streamjob.reconcile import Pollable, Reconciler
from operators.streamjob.seen import Installation, Report, Seen
from operators.streamjob.status import Status
from operators.streamjob.watched import Watched

KEY = ("default", "atw")
HERE = Installation("stream:1", cassandra="cassandra:9042")
NOW = 1_000_000.0
NOW_STAMP = "1970-01-12T13:46:40Z"
LONG_AGO = "1970-01-12T13:00:00Z"


def made(kind="Pod", name="atw-e1", uid="uid-1", version=1, epoch=1, **body):
    labels = {names.LABEL_JOB: "atw", names.LABEL_EPOCH: str(epoch), names.LABEL_ROLE: "driver"}
    meta = {
        "name": name,
        "namespace": "default",
        "uid": uid,
        "resourceVersion": str(version),
        "labels": labels,
        "creationTimestamp": LONG_AGO,
        **body.pop("metadata", {}),
    }
    return {"apiVersion": "v1", "kind": kind, "metadata": meta, **body}


def pod(status=None, **more):
    return made(status=status or {}, **more)


def ended(code, message=None, reason="Error"):
    state = {"terminated": {"exitCode": code, "message": message, "reason": reason}}
    return {"phase": "Failed" if code else "Succeeded", "containerStatuses": [{"name": "driver", "state": state}]}


def waiting(reason, message=""):
    state = {"waiting": {"reason": reason, "message": message}}
    return {"phase": "Pending", "containerStatuses": [{"name": "driver", "state": state}]}


NO_NODE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available"}


@pytest.mark.parametrize(
    ("status", "phase", "failure", "message"),
    [
        ({}, "pending", None, None),
        ({"phase": "Running", "podIP": "10.0.0.1"}, "running", None, None),
        ({"phase": "Unknown"}, "unknown", None, None),
        (ended(0), "ended", None, None),
        (ended(1, "Traceback\n  line\nValueError: no\n\n"), "failed", "Application", "ValueError: no"),
        (ended(1), "failed", "Application", "exit code 1"),
        (ended(78, "ConfigurationError: x"), "failed", "BadConfiguration", "ConfigurationError: x"),
        (ended(137, "", "OOMKilled"), "failed", "OutOfMemory", "exit code 137"),
        (ended(1, "java.lang.OutOfMemoryError: heap"), "failed", "OutOfMemory", "java.lang.OutOfMemoryError: heap"),
        (waiting("ContainerCreating"), "pending", None, None),
        (waiting("ErrImagePull", "not found"), "pending", "BadConfiguration", "ErrImagePull: not found"),
        (
            waiting("CreateContainerConfigError", 'secret "x" not found'),
            "pending",
            "BadConfiguration",
            'CreateContainerConfigError: secret "x" not found',
        ),
        ({"phase": "Failed", "reason": "Evicted", "message": "disk"}, "failed", "Evicted", "Evicted: disk"),
        (
            {"phase": "Failed", "reason": "UnexpectedAdmissionError"},
            "failed",
            "Application",
            "UnexpectedAdmissionError: ",
        ),
        ({"phase": "Pending", "conditions": [NO_NODE]}, "pending", "Scheduling", "0/1 nodes are available"),
    ],
)
def test_how_a_pod_fares(status, phase, failure, message):
    driver = read.of_pod(pod(status), NOW)
    assert (driver.phase, driver.failure, driver.message) == (phase, failure, message)
    assert driver.alive == (phase in ("pending", "running", "unknown"))


def test_a_pod_that_was_made_just_now_may_wait_for_a_node():
    young = pod({"phase": "Pending", "conditions": [NO_NODE]}, metadata={"creationTimestamp": NOW_STAMP})
    assert read.of_pod(young, NOW).failure is None


def test_a_pod_is_ready_when_kubernetes_says_so_and_going_when_its_deletion_began():
    ready = pod({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]})
    assert read.of_pod(ready, NOW).ready
    assert not read.of_pod(pod({"phase": "Running"}), NOW).ready
    assert read.of_pod(pod(metadata={"deletionTimestamp": NOW_STAMP}), NOW).deleting


def test_a_spark_application_and_its_pod_are_one_driver_until_the_first_is_gone():
    application = made("SparkApplication", status={"applicationState": {"state": "RUNNING"}})
    ready = [{"type": "Ready", "status": "True"}]
    inner = pod({"phase": "Running", "podIP": "10.0.0.7", "conditions": ready}, name="atw-e1-driver", uid="uid-2")
    (one,) = read.drivers([application, inner], NOW)
    assert (one.kind, one.phase, one.address, one.ready) == ("SparkApplication", "running", "10.0.0.7", True)
    (left,) = read.drivers([inner], NOW)
    assert (left.kind, left.alive) == ("Pod", True)
    both = read.drivers([application, replaced_epoch(inner, 2)], NOW)
    assert {it.epoch for it in both} == {1, 2}


def replaced_epoch(body, epoch):
    changed = json.loads(json.dumps(body))
    changed["metadata"]["labels"][names.LABEL_EPOCH] = str(epoch)
    return changed


@pytest.mark.parametrize(
    ("state", "inner", "phase", "failure"),
    [
        ("", None, "pending", None),
        ("SUBMITTED", {"phase": "Pending"}, "pending", None),
        ("SUBMITTED", waiting("ErrImagePull"), "pending", "BadConfiguration"),
        ("RUNNING", None, "running", None),
        ("RUNNING", ended(1), "failed", "Application"),
        ("FAILED", None, "failed", "Evicted"),
        ("FAILED", {"phase": "Running"}, "running", "Application"),
        ("FAILED", ended(78), "failed", "BadConfiguration"),
        ("COMPLETED", None, "ended", None),
        ("COMPLETED", {"phase": "Running"}, "running", None),
        ("SUSPENDED", None, "pending", None),
        ("UNKNOWN", None, "unknown", None),
        ("A_NEW_WORD", None, "unknown", None),
    ],
)
def test_how_a_spark_application_fares(state, inner, phase, failure):
    status = {"applicationState": {"state": state, "errorMessage": "why"}, "executionAttempts": 1}
    bodies = [made("SparkApplication", status=status)]
    bodies += [pod(inner, name="atw-e1-driver")] if inner else []
    (driver,) = read.drivers(bodies, NOW)
    assert (driver.phase, driver.failure) == (phase, failure)


LOG = """failed to run spark-submit: WARNING: Using incubator modules
26/11/21 16:12:18 INFO KerberosConfDriverFeatureStep: You have not specified a krb5.conf file
Exception in thread "main" KubernetesClientException: Failure executing: PATCH at: https://10.96.0.1/x. Message: no.
\tat io.fabric8.kubernetes.client.KubernetesClientException.copyAsCause(KubernetesClientException.java:205)
\tat org.apache.spark.deploy.SparkSubmit$$anon$2.doSubmit(SparkSubmit.scala:1171)
Caused by: KubernetesClientException: Message: pods is forbidden. Received status: Status(code=403)
\tat java.base/java.util.concurrent.CompletableFuture$UniApply.tryFire(CompletableFuture.java:646)
\t... 12 more
26/11/21 16:12:20 INFO ShutdownHookManager: Shutdown hook called
"""


@pytest.mark.parametrize("state", ["SUBMISSION_FAILED", "FAILED"])
def test_a_submission_that_failed_says_why(state):
    """spark-operator says FAILED a moment after SUBMISSION_FAILED."""
    status = {"applicationState": {"state": state, "errorMessage": LOG}, "submissionAttempts": 1}
    (driver,) = read.drivers([made("SparkApplication", status=status)], NOW)
    assert (driver.phase, driver.failure) == ("failed", "Submission")
    assert driver.message == "Caused by: KubernetesClientException: Message: pods is forbidden"
    assert read.of_submission("no JVM\n") == "no JVM"


def executor_of(epoch, status):
    body = replaced_epoch(pod(status, name=f"atw-e{epoch}-exec-1", uid="uid-3"), epoch)
    body["metadata"]["labels"][names.LABEL_ROLE] = "executor"
    return body


def test_executors_are_no_drivers_while_theirs_is_there():
    driver = pod({"phase": "Running"})
    executor = executor_of(1, {"phase": "Running", "podIP": "10.0.0.8"})
    assert [it.name for it in read.drivers([driver, executor], NOW)] == ["atw-e1"]


@pytest.mark.parametrize("ends", [[], [pod(ended(1))]])
def test_an_executor_whose_driver_is_gone_may_still_write(ends):
    *_, left = read.drivers([*ends, executor_of(1, {"phase": "Running", "podIP": "10.0.0.8"})], NOW)
    assert (left.name, left.alive, left.ready, left.address) == ("atw-e1-exec-1", True, False, None)
    assert len(read.drivers([*ends, executor_of(1, {"phase": "Succeeded"})], NOW)) == len(ends)


def test_a_packed_object_is_what_it_was_without_what_nobody_reads():
    body = made(
        "Service", spec={"clusterIP": "None"}, metadata={"managedFields": [{"manager": "x"}], "annotations": {"a": "b"}}
    )
    packed = read.packed(body)
    assert (packed.job, packed.version, packed.uid) == ("atw", "1", "uid-1")
    assert packed.body()["spec"] == {"clusterIP": "None"}
    assert packed.body()["metadata"]["annotations"] == {"a": "b"}
    assert "managedFields" not in packed.body()["metadata"]


def test_the_queue_gives_each_key_once_the_earliest_first():
    queue = WorkQueue()
    queue.add("late", 0.05)
    queue.add("now")
    queue.add("now")
    queue.add("never", 60)
    assert queue.take() == "now"
    assert queue.take() == "late"
    assert queue.depth() == 0


def test_a_key_that_is_added_again_keeps_the_earlier_time():
    queue = WorkQueue()
    queue.add("a", 60)
    queue.add("a", 0)
    queue.add("a", 60)
    assert queue.take() == "a"
    assert queue.depth() == 0


def test_a_key_that_a_worker_has_waits_until_it_is_given_back():
    queue = WorkQueue()
    queue.add("a")
    assert queue.take() == "a"
    queue.add("a")
    got = []
    other = threading.Thread(target=lambda: got.append(queue.take()))
    other.start()
    other.join(0.1)
    assert other.is_alive()
    queue.done("a")
    other.join(5)
    assert got == ["a"]


def test_a_busy_key_does_not_hold_up_one_that_is_due_later():
    queue = WorkQueue()
    queue.add("busy")
    assert queue.take() == "busy"
    queue.add("busy")
    queue.add("later", 0.05)
    got = []
    other = threading.Thread(target=lambda: got.append(queue.take()))
    other.start()
    other.join(2)
    queue.close()
    other.join(5)
    assert got == ["later"]


def test_keys_that_can_wait_come_last():
    queue = WorkQueue()
    queue.add("report", can_wait=True)
    queue.add("both", can_wait=True)
    queue.add("changed")
    queue.add("both")
    assert [queue.take(), queue.take(), queue.take()] == ["both", "changed", "report"]
    assert queue.depth() == 0


def test_a_key_that_cannot_wait_stays_so():
    queue = WorkQueue()
    queue.add("changed", 0.05)
    queue.add("changed", can_wait=True)
    queue.add("report", can_wait=True)
    assert [queue.take(), queue.take()] == ["changed", "report"]


def test_a_closed_queue_lets_every_worker_end():
    queue = WorkQueue()
    got = []
    threads = [threading.Thread(target=lambda: got.append(queue.take())) for _ in range(3)]
    for thread in threads:
        thread.start()
    queue.close()
    for thread in threads:
        thread.join(5)
    assert got == [None, None, None]


def test_the_pace_lets_a_burst_through_and_then_so_many_a_second():
    pace = Pace(rate=20, burst=2)
    assert [pace.wait_s(), pace.wait_s()] == [0, 0]
    wait = pace.wait_s()
    assert 0 < wait <= 0.05
    time.sleep(wait + 0.01)
    assert pace.wait_s() == 0


class FakeCluster:
    """An API server in memory: it notes requests, and answers with what it is told to."""

    def __init__(self):
        self.objects = {}
        self.requests = []
        self.refusals = []
        self.version = 10

    def _note(self, *request):
        self.requests.append(request)
        if self.refusals and (refusal := self.refusals.pop(0)):
            raise refusal

    def _keep(self, manifest):
        self.version += 1
        body = json.loads(json.dumps(manifest))
        meta = body["metadata"]
        key = (body["kind"], meta["namespace"], meta.get("name", ""))
        old = self.objects.get(key, {"metadata": {"uid": f"uid-{self.version}"}})
        meta.update(uid=old["metadata"]["uid"], resourceVersion=str(self.version), creationTimestamp=LONG_AGO)
        self.objects[key] = body
        return body

    def get(self, kind, namespace, name):
        return self.objects.get((kind, namespace, name))

    def list(self, kind, namespace, selector=None):
        return [body for (known, _, _), body in self.objects.items() if known == kind]

    def apply(self, manifest, *, subresource=""):
        self._note("apply", manifest["kind"], subresource, manifest)
        return self._keep(manifest)

    def create(self, manifest):
        self._note("create", manifest["kind"], "", manifest)
        return self._keep(manifest)

    def replace(self, manifest):
        self._note("replace", manifest["kind"], "", manifest)
        old = self.objects[(manifest["kind"], manifest["metadata"]["namespace"], manifest["metadata"]["name"])]
        if old["metadata"]["resourceVersion"] != manifest["metadata"]["resourceVersion"]:
            raise Refused(409, "it was changed")
        return self._keep(manifest)

    def delete(self, kind, namespace, name, uid):
        self._note("delete", kind, "", (name, uid))
        self.objects.pop((kind, namespace, name), None)

    def request(self, method, path, body=None, **_):
        self._note(method, path, "", body)
        return {}

    def installed(self):
        return frozenset()


@pytest.fixture
def cluster():
    return FakeCluster()


@pytest.fixture
def watched(cluster):
    return Watched(cluster, {}, ({},), {})


@pytest.fixture
def hand(cluster, watched):
    return Hand(cluster, watched, Pace(100, 100), Metrics())


def seen(**more):
    return Seen(
        now=NOW, name="atw", namespace="default", uid="uid-atw", generation=1, installation=HERE, version="7", **more
    )


SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "default", "labels": {}}}
DRIVER = {**made(name="atw-e2", epoch=2), "spec": {}}
INTENTION = WriteStatus(Status(epoch=2), "why")


def test_actions_are_done_in_their_order_and_the_status_names_the_version_that_was_seen(hand, cluster):
    hand.carry_out(
        KEY, seen(), Plan((INTENTION, Apply(SERVICE, ""), Start(DRIVER, 2, ""), Tell("Normal", "R", "text")))
    )
    assert [(verb, kind, sub) for verb, kind, sub, _ in cluster.requests] == [
        ("apply", "StreamJob", "status"),
        ("apply", "Service", ""),
        ("apply", "Pod", ""),
        ("create", "Event", ""),
    ]
    meta = cluster.requests[0][3]["metadata"]
    assert (meta["resourceVersion"], meta["uid"]) == ("7", "uid-atw")
    event = cluster.requests[3][3]
    assert (event["involvedObject"]["uid"], event["reason"], event["message"]) == ("uid-atw", "R", "text")


@pytest.mark.parametrize(
    ("refusal", "pause"),
    [
        (Refused(409, "another was faster"), 0.2),
        (Refused(429, "slow down", 7.0), 7.0),
        (Refused(429, "slow down"), 2.0),
        (Refused(500, "no"), 2.0),
        (Refused(0, "no answer"), 2.0),
        (Refused(403, "forbidden"), 30.0),
        (Refused(422, "invalid"), 30.0),
    ],
)
def test_after_a_refusal_the_rest_of_the_plan_is_not_done(hand, cluster, refusal, pause):
    cluster.refusals = [refusal]
    with pytest.raises(LaterError) as later:
        hand.carry_out(KEY, seen(), Plan((INTENTION, Start(DRIVER, 2, ""))))
    assert later.value.seconds == pause
    assert refusal.message in str(later.value)
    assert len(cluster.requests) == 1
    assert ("Pod", "default", "atw-e2") not in cluster.objects


@pytest.mark.parametrize("action", [INTENTION, SetFinalizer(False, "")])
def test_a_job_that_is_gone_needs_nothing_more(hand, cluster, action):
    cluster.refusals = [Refused(404, "not found")]
    hand.carry_out(KEY, seen(finalizers=(names.FINALIZER,)), Plan((action, Start(DRIVER, 2, ""))))
    assert len(cluster.requests) == 1


def test_an_event_that_is_refused_stops_nothing(hand, cluster):
    cluster.refusals = [Refused(403, "namespace is being terminated")]
    hand.carry_out(KEY, seen(), Plan((Tell("Normal", "R", ""), Delete("Service", "s", "u", ""))))
    assert [verb for verb, *_ in cluster.requests] == ["create", "delete"]


def test_the_servers_own_list_decides_whether_a_driver_may_start(hand, cluster):
    """The watched copies say that nothing lives; the server knows better."""
    cluster.objects["Pod", "default", "atw-e1"] = pod({"phase": "Running"})
    with pytest.raises(LaterError) as later:
        hand.carry_out(KEY, seen(), Plan((Start(DRIVER, 2, ""),)))
    assert later.value.seconds == FENCED_AGAIN_S
    assert "atw-e1" in str(later.value)
    hand.carry_out(KEY, seen(), Plan((Start(DRIVER, 2, "", forced=True),)))
    assert ("Pod", "default", "atw-e2") in cluster.objects


def test_a_driver_that_ended_does_not_hold_up_the_next(hand, cluster):
    cluster.objects["Pod", "default", "atw-e1"] = pod(ended(1))
    hand.carry_out(KEY, seen(), Plan((Start(DRIVER, 2, ""),)))
    assert ("Pod", "default", "atw-e2") in cluster.objects


def test_starts_are_held_back_when_there_are_many(cluster, watched):
    hand = Hand(cluster, watched, Pace(1, 1), Metrics())
    hand.carry_out(KEY, seen(), Plan((Start(DRIVER, 2, ""),)))
    with pytest.raises(LaterError, match="many drivers"):
        hand.carry_out(KEY, seen(), Plan((Start(DRIVER, 2, ""),)))


def test_only_the_operators_own_finalizer_is_taken_off(hand, cluster):
    hand.carry_out(KEY, seen(finalizers=("other/one", names.FINALIZER)), Plan((SetFinalizer(False, ""),)))
    _, _, _, body = cluster.requests[0]
    assert body["metadata"] == {"uid": "uid-atw", "finalizers": ["other/one"]}


def copies(*bodies):
    """Return an index as the watching fills it."""
    return {KEY: [read.packed(body) for body in bodies]}


def test_what_was_written_is_known_before_the_watching_tells():
    watched = Watched(FakeCluster(), {}, (copies(made("Service", "s", version=5)),), {})
    watched.wrote(KEY, made("Service", "s", version=6, spec={"new": True}))
    watched.wrote(KEY, made("ConfigMap", "c", version=6))
    found = {body["metadata"]["name"]: body for body in watched.objects(KEY)}
    assert found["s"]["spec"] == {"new": True}
    assert set(found) == {"s", "c"}


def test_a_newer_copy_beats_what_was_written():
    watched = Watched(FakeCluster(), {}, (copies(made("Service", "s", version=7, spec={"newer": True})),), {})
    watched.wrote(KEY, made("Service", "s", version=6))
    (found,) = watched.objects(KEY)
    assert found["spec"] == {"newer": True}


def test_what_was_deleted_is_gone_at_once_but_a_driver_is_not():
    """That its deletion was asked for says nothing of whether it still writes."""
    watched = Watched(FakeCluster(), {}, (copies(made("Service", "s", uid="a"), pod(name="p", uid="b")),), {})
    watched.deleted(KEY, "Service", "s", "a")
    watched.deleted(KEY, "Pod", "p", "b")
    assert [body["kind"] for body in watched.objects(KEY)] == ["Pod"]


def test_a_namesake_of_what_was_deleted_is_seen():
    watched = Watched(FakeCluster(), {}, (copies(made("Service", "s", uid="anew")),), {})
    watched.deleted(KEY, "Service", "s", "old")
    assert len(watched.objects(KEY)) == 1


def test_what_was_written_and_is_gone_does_not_come_back():
    watched = Watched(FakeCluster(), {}, ({},), {})
    watched.wrote(KEY, pod(name="p", uid="b", version=6))
    assert len(watched.objects(KEY)) == 1
    watched.gone(KEY, "Pod", "p", "b")
    assert watched.objects(KEY) == []


def job_body(name="atw", uid="uid-atw", created=NOW_STAMP, **spec):
    meta = {"name": name, "namespace": "default", "uid": uid, "resourceVersion": "3", "creationTimestamp": created}
    return {
        "apiVersion": names.API_VERSION,
        "kind": "StreamJob",
        "metadata": meta,
        "spec": {"tickers": ["ATW"], **spec},
    }


def test_of_two_owners_the_older_one_counts():
    output = "cassandra:9042/tickloom/ATW"
    mine, older = Claimant(NOW_STAMP, "uid-atw", KEY), Claimant(LONG_AGO, "uid-old", ("other", "old"))
    jobs = {KEY: [read.packed(job_body(), "atw")]}
    found = see(Watched(FakeCluster(), jobs, ({},), {output: [mine, older]}), KEY, HERE, None, NOW)
    assert found.owners == {"ATW": "other/old"}
    younger = replace(older, created="1970-01-13T00:00:00Z")
    found = see(Watched(FakeCluster(), jobs, ({},), {output: [mine, younger]}), KEY, HERE, None, NOW)
    assert found.owners == {}


def test_a_status_that_a_person_spoilt_is_begun_anew():
    body = {**job_body(), "status": {"phase": "Nonsense", "epoch": "many"}}
    found = see(Watched(FakeCluster(), {KEY: [read.packed(body, "atw")]}, ({},), {}), KEY, HERE, None, NOW)
    assert found.status == Status()


@pytest.fixture
def clock(monkeypatch):
    at = [100.0]
    monkeypatch.setattr("operators.streamjob.leader.time.monotonic", lambda: at[0])
    return at


def leader(cluster, identity):
    return Leader(cluster, "default", "lease", identity, 15)


def test_the_lease_has_one_holder_until_it_runs_out(cluster, clock):
    first, second = leader(cluster, "first"), leader(cluster, "second")
    assert first.try_once()
    assert not second.try_once()
    for _ in range(5):
        clock[0] += 10
        assert first.try_once()
        assert not second.try_once()
    clock[0] += 14
    assert not second.try_once(), "it was seen to change 14 s ago"
    clock[0] += 2
    assert second.try_once()
    assert not first.try_once()
    assert cluster.get("Lease", "default", "lease")["spec"]["leaseTransitions"] == 1


def test_a_lease_that_was_given_up_is_taken_at_once(cluster, clock):
    first, second = leader(cluster, "first"), leader(cluster, "second")
    assert first.try_once()
    first.release()
    assert second.try_once()


def test_an_operator_that_comes_back_under_its_name_goes_on(cluster, clock):
    assert leader(cluster, "same").try_once()
    assert leader(cluster, "same").try_once()


def test_a_holder_that_cannot_renew_acts_on_for_two_thirds_of_the_time_alone(cluster, clock):
    mine = leader(cluster, "mine")
    assert not mine.holds()
    assert mine.try_once()
    cluster.get = lambda *_: (_ for _ in ()).throw(Refused(0, "no answer"))
    clock[0] += 9
    assert mine.try_once()
    assert mine.holds()
    clock[0] += 2
    assert not mine.holds(), "also while a renewal waits for its answer"
    assert not mine.try_once()


def test_of_two_that_take_the_lease_at_once_one_gets_it(cluster, clock):
    first, second = leader(cluster, "first"), leader(cluster, "second")
    cluster.refusals = [Refused(409, "already exists")]
    assert not first.try_once()
    assert second.try_once()
    second.release()
    cluster.refusals = [Refused(409, "it was changed")]
    assert not first.try_once()


class Site:
    """A driver's progress address."""

    def __init__(self):
        site = self
        self.answer, self.status, self.asked = {"epoch": 1, "state": "running", "checks": 1}, 200, 0

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                site.asked += 1
                text = site.answer if isinstance(site.answer, str) else json.dumps(site.answer)
                self.send_response(site.status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://{{address}}:{self.server.server_port}/progress"


@pytest.fixture
def site():
    site = Site()
    yield site
    site.server.shutdown()
    site.server.server_close()


@pytest.fixture
def reconciler(watched, hand):
    reconciler = Reconciler(watched, hand, HERE, Metrics())
    reconciler.targets[KEY] = Pollable("127.0.0.1", 1, settled=False)
    return reconciler


async def poll(poller, until):
    task = asyncio.create_task(poller.run())
    for _ in range(100):
        if until():
            break
        await asyncio.sleep(0.05)
    task.cancel()
    assert until()


def test_a_report_asks_for_a_look_when_it_says_something_new(site, reconciler):
    poller = Poller(reconciler, site.url, 0.1, 0.1)
    asyncio.run(poll(poller, lambda: reconciler.reports.get(KEY)))
    assert reconciler.reports[KEY].state == "running"
    assert reconciler.queue.take() == KEY
    reconciler.queue.done(KEY)
    asked = site.asked
    asyncio.run(poll(poller, lambda: site.asked > asked + 1))
    assert reconciler.queue.depth() == 0, "it said the same"
    site.answer = {"epoch": 1, "state": "running", "checks": 2}
    asyncio.run(poll(poller, lambda: reconciler.queue.depth() == 1))
    assert reconciler.reports[KEY].checks == 2


@pytest.mark.parametrize(("status", "answer"), [(503, "{}"), (200, "<html>"), (200, "[1]")])
def test_what_is_no_report_is_forgotten_after_a_while(site, reconciler, status, answer):
    site.status, site.answer = status, answer
    reconciler.reports[KEY] = Report(epoch=1, state="running", at=time.time() - 1)
    asyncio.run(poll(Poller(reconciler, site.url, 0.1, 0.1), lambda: KEY not in reconciler.reports))
    assert reconciler.queue.take() == KEY


def test_a_driver_that_nobody_asks_for_is_left_alone(site, reconciler):
    reconciler.targets.clear()
    poller = Poller(reconciler, site.url, 0.1, 0.1)
    asyncio.run(_for_a_moment(poller))
    assert site.asked == 0


async def _for_a_moment(poller):
    task = asyncio.create_task(poller.run())
    await asyncio.sleep(0.5)
    task.cancel()


def test_a_look_that_fails_is_tried_again_after_growing_pauses(reconciler, monkeypatch):
    monkeypatch.setattr("operators.streamjob.reconcile.see", lambda *_: (_ for _ in ()).throw(KeyError("no")))
    with structlog.testing.capture_logs() as logs:
        pauses = [reconciler.look(KEY) for _ in range(12)]
    assert logs[0]["event"] == "look failed"
    assert pauses[0] == 1.0
    assert pauses == sorted(pauses)
    assert pauses[-1] == 60.0


def test_a_definition_of_an_older_release_is_told(reconciler, monkeypatch):
    text = "failed to create typed patch object: .status.newest: field not declared in schema"

    def refused(*_):
        raise LaterError(2.0, "WriteStatus") from Refused(500, text)

    monkeypatch.setattr("operators.streamjob.reconcile.see", refused)
    with structlog.testing.capture_logs() as logs:
        reconciler.look(KEY)
        reconciler.look(KEY)
    assert "apply manifests/crds" in reconciler.outdated
    assert sum("older than this operator" in line["event"] for line in logs) == 1


@pytest.mark.parametrize(("answer", "seconds"), [("7", 7.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("", None)])
def test_how_long_the_server_asks_to_wait(answer, seconds):
    assert wait_seconds(answer) == seconds


def test_a_job_that_is_gone_is_forgotten(reconciler):
    reconciler.reports[KEY] = Report(epoch=1, state="running", at=NOW)
    assert reconciler.look(KEY) is None
    assert KEY not in reconciler.reports
    assert KEY not in reconciler.targets


def test_a_shard_looks_after_its_own_namespaces_and_all_shards_after_all(watched, hand):
    shards = [Reconciler(watched, hand, HERE, Metrics(), shards=3, shard=number) for number in range(3)]
    for number in range(50):
        assert sum(shard.mine(f"namespace-{number}") for shard in shards) == 1
