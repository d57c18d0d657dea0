"""What is planned, seen from outside: drivers, conditions, events."""

import json
from dataclasses import replace

import pytest

from operators.streamjob import names
from operators.streamjob.actions import Apply, Delete, SetFinalizer, Start, Tell, WriteStatus
from operators.streamjob.planner import plan
from operators.streamjob.seen import Child, Driver
from operators.streamjob.status import dump
from tests.unit.operator.world import Killed, World


def test_the_first_look_writes_its_intention_then_acts():
    world = World()
    actions = world.look()
    assert isinstance(actions[0], WriteStatus)
    assert (actions[0].status.epoch, actions[0].status.step) == (1, "Starting")
    assert isinstance(next(it for it in actions[1:] if not isinstance(it, Tell)), SetFinalizer)
    kinds = [it.manifest["kind"] for it in actions if isinstance(it, Apply)]
    assert kinds == ["ConfigMap", "Service", "PodDisruptionBudget", "PersistentVolumeClaim"]
    assert sum(isinstance(it, Start) for it in actions) == 1


def test_nothing_is_written_when_nothing_changes():
    world = World().stable()
    for _ in range(5):
        world.now += 100
        assert world.look() == ()


def test_ready_when_the_driver_reports_and_stable_after_enough_batches():
    world = World().settle()
    assert world.condition("Ready").status == "False"
    world.run(checks=1)
    world.settle()
    assert world.condition("Ready").status == "True"
    assert world.condition("Progressing").reason == "Settling"
    assert world.status.last_stable_spec is None
    world.run(checks=3, lag=2_000_000)
    world.settle()
    assert not world.status.stable, "lag is not bounded"
    world.run(checks=3, lag=10)
    world.settle()
    assert world.status.stable
    assert json.loads(world.status.last_stable_spec)["tickers"] == ["ATW"]


def test_a_driver_that_kubernetes_does_not_call_ready_is_not_ready():
    world = World().settle()
    world.run()
    world.change_driver(ready=False)
    world.settle()
    assert world.condition("Ready").status == "False"


def test_progress_is_written_every_thirty_seconds_at_most():
    world = World().stable()
    before = world.writes
    for second in range(60):
        world.now += 1
        world.run(checks=10 + second, lag=second)
        world.look()
    assert world.writes - before == 2
    assert world.status.progress.lag is not None


@pytest.mark.parametrize(
    ("change", "restarts"),
    [
        ({"tickers": ["ATW", "IAM"]}, True),
        ({"processors__bars__indicators": ["sma_5"]}, True),
        ({"runtime__driver__memory": "2g"}, True),
        ({"upgrade__stableBatches": 7}, False),
        ({"restart__limit": 3}, False),
        ({"retention__attempts": 3}, False),
    ],
)
def test_a_change_restarts_from_the_checkpoint_or_not_at_all(change, restarts):
    world = World().stable()
    world.edit(**change)
    world.settle()
    if not restarts:
        assert world.started == [1]
        return
    assert world.current.deleting
    assert world.started == [1], "the new one waits for the old one"
    assert world.condition("UpgradePending").reason == "OldEpochAlive"
    world.terminate()
    world.settle()
    assert world.started == [1, 2]
    assert world.status.checkpoint.series == 0
    world.run()
    world.settle()
    assert world.condition("Ready").status == "True"


def test_a_new_default_image_is_an_upgrade():
    world = World().stable()
    world.image = "stream:2"
    world.settle()
    world.terminate()
    world.settle()
    assert world.started == [1, 2]


@pytest.mark.parametrize(
    "change",
    [{"runtime__statePartitions": 4}, {"source__topic": "other"}, {"checkpoint__path": "/elsewhere"}],
)
def test_a_change_that_would_lose_state_is_refused_and_the_old_manifest_runs_on(change):
    world = World().stable()
    world.edit(**change)
    world.settle()
    assert world.started == [1]
    assert not world.current.deleting
    assert world.condition("Degraded").reason == "StateWouldBeLost"
    assert next(iter(change)).replace("__", ".") in world.condition("Degraded").message
    assert world.condition("Ready").status == "True"


def test_a_refused_manifest_is_told_once_whatever_else_it_lacks():
    world = World().stable()
    world.edit(runtime__statePartitions=4, replicas=3)
    before = len(world.events)
    for _ in range(3):
        world.look()
        world.now += 1.0
    assert world.reasons()[before:] == ["StateWouldBeLost"]
    assert world.condition("Degraded").reason == "StateWouldBeLost"


def test_what_kubectl_prints_of_a_job_is_why_it_is_degraded_and_nothing_where_it_is_not():
    world = World().stable()
    assert "degraded" not in dump(world.status)
    world.edit(runtime__statePartitions=4)
    world.settle()
    assert (world.status.phase, world.status.degraded) == ("Running", "StateWouldBeLost")
    world.edit(runtime__statePartitions=2)
    world.settle()
    assert "degraded" not in dump(world.status)


def test_stateless_mode_begins_a_new_checkpoint():
    world = World().stable()
    old = world.status.checkpoint.location
    world.edit(runtime__statePartitions=4, upgrade__mode="stateless")
    world.settle()
    world.terminate()
    world.settle()
    assert world.started == [1, 2]
    assert world.status.checkpoint.location == f"{old}-1"
    assert "NewCheckpoint" in world.reasons()
    config = world.children[("ConfigMap", names.config("atw", 2))].body["data"]["job.yaml"]
    assert f"{old}-1" in config
    world.run()
    world.settle()
    world.edit(tickers=["ATW", "IAM"])
    world.settle()
    world.terminate()
    world.settle()
    assert world.status.checkpoint.location == f"{old}-1", "the next upgrade keeps it"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"market": "XPAR"}, "spec.market: market 'XPAR' is unknown; known: XCAS, XNYS"),
        ({"tickers": []}, "spec.tickers"),
        ({"tickers": ["ATW", "ATW"]}, "listed twice"),
        ({"tickers": [f"T{i}" for i in range(2001)]}, "spec.tickers"),
        ({"processors": {"prices": {"threshold": -1}}}, "spec.processors.prices.threshold"),
        ({"replicas": 2, "runtime": {"type": "driverPod"}}, "spec.replicas"),
        ({"surprise": 1}, "spec.surprise is unknown"),
        ({"runtime": {"podTemplate": {"spec": {"x": "y" * 1_000_000}}}}, "bytes of JSON"),
    ],
)
def test_a_wrong_manifest_is_refused_with_path_value_and_fix(spec, words):
    world = World()
    world.spec = {**world.spec, **spec}
    world.settle()
    assert world.status.phase == "Refused"
    assert world.started == []
    assert words in world.condition("Degraded").message
    assert world.reasons().count("InvalidSpec") == 1, "said once"
    assert len(json.dumps(world.status.model_dump())) < 20_000


def test_a_wrong_change_leaves_the_last_good_manifest_running():
    world = World().stable()
    world.edit(market="XPAR")
    world.settle()
    assert world.started == [1]
    assert not world.current.deleting
    assert world.condition("Ready").status == "True"
    assert world.condition("Degraded").reason == "InvalidSpec"
    assert world.condition("UpgradePending").status == "True"
    world.edit(market="XCAS")
    world.settle()
    assert world.condition("Degraded").status == "False"
    assert world.started == [1]


def test_a_missing_secret_or_key_is_named():
    world = World()
    world.edit(source__credentials="kafka")
    world.secrets = {"kafka": None}
    world.settle()
    assert "no Secret 'kafka'" in world.condition("Degraded").message
    assert plan(world.seen()).again_s <= 15, "nothing tells when it comes"
    world.secrets = {"kafka": frozenset({"username"})}
    world.settle()
    assert "lacks the key 'password'" in world.condition("Degraded").message
    world.secrets = {"kafka": frozenset({"username", "password"})}
    world.settle()
    assert world.started == [1]


LOGIN = frozenset({"username", "password"})
AUTHORITY = frozenset({"ca.crt"})


@pytest.mark.parametrize(
    ("changes", "secrets", "said"),
    [
        (
            {"sinks__cassandra__credentials": "c"},
            {"c": None},
            "spec.sinks.cassandra.credentials: there is no Secret 'c' in namespace default; create it with "
            "username, password",
        ),
        (
            {"sinks__cassandra__credentials": "c"},
            {"c": frozenset({"password", "sasl.jaas.config"})},
            "spec.sinks.cassandra.credentials: Secret 'c' lacks the key 'username'; it needs username, password",
        ),
        (
            {"sinks__cassandra__credentials": "c", "sinks__cassandra__certificates": "t"},
            {"c": LOGIN, "t": frozenset({"tls.crt"})},
            "spec.sinks.cassandra.certificates: Secret 't' lacks the key 'ca.crt'; it needs ca.crt",
        ),
        ({"sinks__cassandra__certificates": "t"}, {"t": AUTHORITY}, None),
        (
            {"source__certificates": "t"},
            {"t": AUTHORITY},
            "spec.source.certificates: goes with user name and password; name their Secret in spec.source.credentials",
        ),
        (
            {"source__credentials": "user", "source__certificates": "t"},
            {"user": frozenset({"password", "sasl.jaas.config"}), "t": AUTHORITY},
            None,
        ),
    ],
)
def test_secrets_of_either_server_are_told_by_field_name_and_key(changes, secrets, said):
    world = World(secrets=secrets)
    world.edit(**changes)
    world.settle()
    assert world.started == ([] if said else [1])
    if said:
        assert world.condition("Degraded").message == said


def test_a_secret_of_the_operators_settings_that_is_missing_is_told_as_such():
    world = World(cassandra_secrets=("superuser", None), secrets={"superuser": None})
    world.settle()
    assert world.started == []
    assert world.condition("Degraded").reason == "SecretMissing"
    assert world.condition("Degraded").message == (
        "TICKLOOM_OPERATOR_CASSANDRA_CREDENTIALS of the operator: there is no Secret 'superuser' in namespace default; "
        "create it with username, password"
    )
    world.secrets = {"superuser": LOGIN}
    world.settle()
    assert world.started == [1]


def test_another_secret_of_the_operators_is_a_restart_and_what_ran_well_keeps_its_own():
    world = World(cassandra_secrets=("superuser", None), secrets={"superuser": LOGIN, "lesser": LOGIN})
    world.stable()
    world.cassandra_secrets = ("lesser", None)
    world.settle()
    world.terminate()
    world.settle()
    assert world.started == [1, 2]

    def mounted(epoch):
        (start,) = [it for it in world.log if isinstance(it, Start) and it.epoch == epoch]
        volumes = start.manifest["spec"]["volumes"]
        return next(it["secret"]["secretName"] for it in volumes if it["name"] == "cassandra")

    assert (mounted(1), mounted(2)) == ("superuser", "lesser")
    world.now += 700
    world.fail("BadConfiguration", "Cassandra refuses the credentials")
    world.settle()
    world.terminate()
    world.settle()
    assert mounted(world.started[-1]) == "superuser"
    assert world.condition("Degraded").reason == "RolledBack"


def test_a_ticker_of_another_job_is_refused():
    world = World(owners={"ATW": "default/older"})
    world.settle()
    assert world.started == []
    assert world.condition("Degraded").reason == "TickerTaken"
    assert "default/older" in world.condition("Degraded").message
    world.owners = {}
    world.settle()
    assert world.started == [1]


def test_suspend_and_resume_keep_the_checkpoint():
    world = World().stable()
    world.edit(state="suspended")
    world.settle()
    assert world.status.phase == "Suspending"
    world.terminate()
    world.settle()
    assert world.status.phase == "Suspended"
    assert world.condition("Suspended").status == "True"
    assert world.drivers == {}
    world.edit(state="running")
    world.settle()
    assert world.started == [1, 2]
    assert world.status.checkpoint.series == 0


def test_deletion_stops_the_driver_first_and_keeps_the_checkpoint():
    world = World().stable()
    world.deleting = True
    world.settle()
    assert world.current.deleting
    assert ("Service", "atw-progress") in world.children, "not before the driver is gone"
    assert not world.gone
    world.terminate()
    world.settle()
    assert world.gone
    assert list(world.children) == [("PersistentVolumeClaim", "atw-checkpoint")]
    assert "CheckpointKept" in world.reasons()
    told = next(event.message for event in world.events if event.reason == "CheckpointKept")
    assert "atw-checkpoint" in told


def test_deletion_takes_the_checkpoint_along_when_the_annotation_says_so():
    world = World().stable()
    world.annotations = {names.KEEP_CHECKPOINT: "false"}
    world.deleting = True
    world.settle()
    world.terminate()
    world.settle()
    assert world.gone
    assert world.children == {}


def test_failures_are_retried_with_growing_pauses_and_given_up_at_the_limit():
    world = World()
    world.spec["restart"] = {"limit": 4, "initialBackoff": "10s", "maxBackoff": "30s"}
    pauses = []
    for attempt in range(1, 5):
        world.settle(seconds=0)
        assert world.started[-1] == attempt
        world.fail()
        world.settle(seconds=0)
        if attempt < 4:
            assert world.status.phase == "BackOff"
            pauses.append(world.status.failures.next_start - world.now)
            world.now = world.status.failures.next_start
    assert pauses == [10, 20, 30]
    assert world.status.phase == "Failed"
    assert world.condition("Ready").reason == "TooManyFailures"
    assert "ValueError: no" in world.condition("Degraded").message
    assert world.status.failures.total == 4
    world.now += 10_000
    world.settle()
    assert len(world.started) == 4
    world.edit(tickers=["IAM"])
    world.settle()
    assert len(world.started) == 5, "a changed manifest is tried"


def test_failures_are_forgotten_after_healthy_running():
    world = World().settle()
    world.fail()
    world.settle()
    world.now += 20
    world.settle()
    world.run()
    world.settle()
    assert world.status.failures.count == 1
    world.now += 601
    world.run(checks=9)
    world.settle()
    assert world.status.failures.count == 0
    assert world.status.failures.total == 1


def test_a_driver_that_vanished_is_replaced():
    world = World().stable()
    world.drivers.clear()
    world.settle()
    assert world.started == [1, 2]
    assert "Evicted" in world.reasons()


def test_a_driver_that_a_person_deleted_is_counted_once_and_replaced_at_once():
    world = World().stable()
    world.change_driver(phase="ended", deleting=True, ready=False)
    world.settle()
    assert world.started == [1, 2]
    world.terminate()
    world.settle()
    assert world.started == [1, 2]
    assert (world.status.failures.total, world.status.failures.count) == (1, 0)


def test_a_failed_driver_that_is_deleted_does_not_shorten_the_pause():
    world = World().settle()
    world.fail()
    world.settle(seconds=0)
    world.drivers.clear()
    world.settle(seconds=0)
    assert world.started == [1]
    assert world.status.phase == "BackOff"
    world.now += 11
    world.settle()
    assert world.started == [1, 2]


def test_an_upgrade_that_is_not_good_in_time_is_rolled_back():
    world = World().stable()
    good = world.status.spec_hash
    world.edit(runtime__image="stream:broken")
    world.settle()
    world.terminate()
    world.settle()
    world.change_driver(failure="BadConfiguration", message="ImagePullBackOff: no such image")
    world.settle()
    assert world.condition("Degraded").reason == "BadConfiguration"
    world.now += 601
    world.settle()
    world.terminate()
    world.settle()
    assert world.status.spec_hash == good
    assert world.started == [1, 2, 3]
    world.run()
    world.settle()
    assert world.condition("Ready").status == "True"
    assert world.condition("Degraded").reason == "RolledBack"
    assert world.started == [1, 2, 3], "the rejected one is not tried again"
    world.edit(runtime__image="stream:mended")
    world.settle()
    world.terminate()
    world.settle()
    assert world.started == [1, 2, 3, 4]
    assert world.condition("Degraded").status == "False"


def test_a_default_image_that_is_not_good_in_time_is_rolled_back():
    world = World().stable()
    good = world.status.spec_hash
    world.image = "stream:broken"
    world.settle()
    world.terminate()
    world.settle()
    world.change_driver(failure="BadConfiguration", message="ImagePullBackOff: no such image")
    world.now += 601
    world.settle()
    world.terminate()
    world.settle()
    world.run()
    world.settle()
    assert world.status.spec_hash == good
    assert world.started == [1, 2, 3]
    assert json.loads(world.status.last_reconciled_spec)["runtime"]["image"] == "stream:1"
    world.image = "stream:mended"
    world.settle()
    world.terminate()
    world.settle()
    assert world.started == [1, 2, 3, 4]


def test_a_refused_manifest_goes_on_with_the_image_that_runs():
    world = World().stable()
    world.edit(tickers=["ATW", "ATW"])
    world.image = "stream:2"
    world.settle()
    assert world.started == [1]


def test_an_upgrade_that_crashes_is_rolled_back_too():
    world = World().stable()
    world.edit(tickers=["ATW", "IAM"])
    world.settle()
    world.terminate()
    for _ in range(20):
        world.settle(seconds=0)
        if world.status.rejected_hash:
            break
        world.fail()
        world.settle(seconds=0)
        world.now += 61
    world.settle()
    assert json.loads(world.status.last_reconciled_spec)["tickers"] == ["ATW"]
    assert "RolledBack" in world.reasons()


def test_no_rollback_where_the_manifest_says_so():
    world = World().stable()
    world.edit(tickers=["ATW", "IAM"], upgrade__rollback=False)
    world.settle()
    world.terminate()
    world.settle()
    world.now += 10_000
    world.settle()
    assert world.started == [1, 2]
    assert world.condition("Degraded").status == "True"


def test_an_unreachable_driver_counts_as_alive_until_a_person_says_otherwise():
    world = World().stable()
    world.change_driver(phase="unknown", deleting=True)
    world.edit(tickers=["ATW", "IAM"])
    world.settle()
    world.now += 100_000
    world.settle()
    assert world.started == [1]
    assert world.condition("UpgradePending").reason == "OldEpochAlive"
    world.annotations = {names.FORCE_EPOCH: "2"}
    world.settle()
    assert world.started == [1, 2]


def test_a_deleted_or_changed_child_is_brought_back():
    world = World().stable()
    del world.children[("Service", "atw-progress")]
    key = ("PodDisruptionBudget", "atw-driver")
    changed = json.loads(json.dumps(world.children[key].body))
    changed["spec"]["minAvailable"] = 0
    world.children[key] = replace(world.children[key], body=changed)
    actions = world.look()
    assert {it.manifest["kind"] for it in actions if isinstance(it, Apply)} == {"Service", "PodDisruptionBudget"}
    assert all("absent" in it.why or "spec.minAvailable" in it.why for it in actions)
    world.settle()
    assert world.look() == ()


def test_fields_that_the_cluster_adds_are_no_drift():
    world = World().stable()
    for key, child in list(world.children.items()):
        body = json.loads(json.dumps(child.body))
        body["status"] = {"phase": "Bound"}
        body["metadata"]["resourceVersion"] = "17"
        world.children[key] = Child(child.kind, child.name, child.uid, body)
    assert world.look() == ()


def test_a_larger_claim_is_told_once_for_the_operator_does_not_make_it():
    world = World().stable()
    world.edit(checkpoint__claim={"size": "5Gi"})
    world.settle()
    assert world.reasons().count("ClaimStays") == 1
    assert world.started == [1]
    assert world.condition("Degraded").status == "False"


def test_the_claim_is_never_changed_back():
    world = World().stable()
    key = ("PersistentVolumeClaim", "atw-checkpoint")
    body = json.loads(json.dumps(world.children[key].body))
    body["spec"]["resources"]["requests"]["storage"] = "5Gi"
    world.children[key] = replace(world.children[key], body=body)
    assert world.look() == ()


def test_a_configuration_that_another_release_wrote_in_other_words_is_left_alone():
    world = World().stable()
    config = world.children[("ConfigMap", names.config("atw", 1))].body
    config["data"] = {"job.yaml": "{}"}
    assert not world.look(), "nobody can have changed it: it is immutable"
    config["immutable"] = False
    assert [type(action) for action in world.look()] == [Delete]


def test_ended_drivers_and_their_configuration_are_tidied_up():
    world = World()
    for _ in range(4):
        world.settle()
        world.fail()
        world.settle()
        world.now += 400
    world.settle()
    world.run()
    world.settle()
    assert len([it for it in world.drivers.values() if not it.alive]) == 1
    assert len([key for key in world.children if key[0] == "ConfigMap"]) == 2


def test_executors_need_the_crd():
    world = World()
    world.edit(replicas=3)
    world.settle()
    assert world.current.kind == "Pod"
    assert world.status.replicas == 1
    assert world.condition("Degraded").reason == "NoExecutors"
    other = World(installed=frozenset({"SparkApplication"}))
    other.edit(replicas=3)
    other.settle()
    assert other.current.kind == "SparkApplication"
    assert other.status.replicas == 3


def test_scaling_is_a_graceful_restart_capped_by_partitions():
    world = World(installed=frozenset({"SparkApplication"}))
    world.edit(replicas=2)
    world.stable()
    world.edit(replicas=9)
    world.settle()
    assert any("3 executors" in event.message for event in world.events)
    world.terminate()
    world.settle()
    assert world.status.replicas == 3
    assert world.condition("Degraded").reason == "ScaleCapped"
    world.edit(source__minPartitions=12)
    world.settle()
    world.terminate()
    world.settle()
    assert world.status.replicas == 9


def _upgrade_then_fail_then_suspend(world, look):
    """Walk through a life; ``look`` may die at any action."""
    look(4)
    world.run()
    look(3)
    world.edit(tickers=["ATW", "IAM"])
    look(3)
    world.terminate()
    look(3)
    world.run()
    look(3)
    world.fail()
    look(2)
    world.now += 400
    look(4)
    world.run()
    look(3)
    world.edit(state="suspended")
    look(3)
    world.terminate()
    look(3)


@pytest.mark.parametrize("die_at", range(60))
def test_an_operator_killed_between_any_two_actions_carries_on(die_at):
    """World refuses two drivers at once; here the end must also be the same as without a kill."""
    plain, world = World(), World()
    _upgrade_then_fail_then_suspend(plain, lambda times: [plain.look() for _ in range(times)])
    done = 0

    def look(times):
        nonlocal done
        for _ in range(times):
            before = len(world.log)
            try:
                world.look(die_after=die_at - done if die_at - done >= 0 else None)
            except Killed:
                done = die_at + 1
                world.look()
            else:
                done += len(world.log) - before if done <= die_at else 0

    _upgrade_then_fail_then_suspend(world, look)
    assert world.started == plain.started == [1, 2, 3]
    assert world.status.phase == plain.status.phase == "Suspended"
    assert set(world.children) == set(plain.children)
    assert world.status.checkpoint == plain.status.checkpoint


def test_an_older_driver_beside_the_current_one_is_removed_before_anything_starts():
    world = World().settle()
    world.drivers["stray"] = Driver("Pod", "stray", "uid-stray", 0, phase="running")
    world.drivers.pop(world.current.name)
    world.status = world.status.model_copy(update={"step": "None"})
    world.settle()
    assert any(isinstance(it, Delete) and it.name == "stray" for it in world.log)
    assert world.started == [1]
    world.terminate()
    world.settle()
    assert world.started == [1, 2]
