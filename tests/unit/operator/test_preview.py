"""What `tickloom plan` says of a manifest before it is applied."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

pytest.importorskip("kubernetes", reason="needs the package kubernetes: install tickloom[operator]")

from operators.streamjob import preview
from operators.streamjob.validate import read
from tests.unit.operator.world import World
from tickloom.cli.plan import app
from tickloom.errors import TickloomError

HEAD = "apiVersion: tickloom.dev/v1alpha1\nkind: StreamJob\nmetadata: {name: atw}\n"


def of(world):
    return preview.of(world.seen())


def test_nothing_is_to_do_for_what_runs():
    found = of(World().stable())
    assert (found.changes, found.problems, found.actions) == ([], [], [])


def test_a_change_is_named_with_its_class_and_the_next_step():
    world = World().stable()
    world.edit(tickers=["ATW", "IAM"])
    found = of(world)
    assert found.changes == [{"field": "tickers", "before": ["ATW"], "after": ["ATW", "IAM"], "class": "upgrade"}]
    assert not found.problems
    assert [line["action"] for line in found.actions] == ["status", "event", "delete"]


def test_a_new_default_image_is_a_change():
    world = World().stable()
    world.image = "stream:2"
    (change,) = of(world).changes
    assert (change["field"], change["before"], change["after"]) == ("runtime.image", "stream:1", "stream:2")


def test_what_would_lose_state_is_refused_and_what_begins_anew_says_so():
    world = World().stable()
    world.edit(runtime__statePartitions=4)
    found = of(world)
    assert [change["class"] for change in found.changes] == ["redeploy"]
    assert "cannot change without losing the checkpoint's state" in found.problems[0]
    world.edit(upgrade__mode="stateless")
    found = of(world)
    assert not found.problems
    assert any("with a new checkpoint, reading the topic anew" in line["why"] for line in found.actions)


def test_another_market_is_refused_in_every_mode_and_nothing_says_that_stateless_would_help():
    world = World().stable()
    world.edit(market="XNYS", tickers=["AAPL"])
    for mode in ("checkpoint", "stateless"):
        world.edit(upgrade__mode=mode)
        (problem,) = of(world).problems
        assert problem == (
            "spec.market: cannot change; put it back, or make another StreamJob for the other market "
            "(given: XNYS, was: XCAS)"
        )


def test_a_change_is_measured_against_the_manifest_in_the_cluster_too():
    """The API server does so, whatever runs: a job that never started may not change its market either."""
    seen = replace(World().seen(), replaced=read({"tickers": ["AAPL"], "market": "XNYS"}, "atw"))
    (problem,) = preview.of(seen).problems
    assert problem.endswith("(given: XCAS, was: XNYS)")


def test_several_taken_tickers_are_told_in_the_plural():
    world = World(owners={"ATW": "default/older", "IAM": "default/older"})
    (problem,) = of(world).problems
    assert problem.startswith("spec.tickers: 'ATW' and 1 more are owned by StreamJob default/older;")


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        (
            {"size": "5Gi"},
            "spec.checkpoint.claim.size: 5Gi, and claim 'atw-checkpoint' stays as it is (1Gi), for the operator only "
            "makes claims; where its storage class lets claims grow, expand it: kubectl patch pvc atw-checkpoint "
            """-n default --type=merge -p '{"spec": {"resources": {"requests": {"storage": "5Gi"}}}}'""",
        ),
        (
            {"storageClass": "fast"},
            "spec.checkpoint.claim.storageClass: fast, and claim 'atw-checkpoint' stays as it is",
        ),
        ({"size": "1Gi"}, None),
    ],
)
def test_a_claim_that_stays_as_it_is_is_told_with_what_to_do(claim, said):
    world = World().stable()
    world.edit(checkpoint__claim=claim)
    found = of(world)
    assert not found.problems
    assert [note[: len(said or "")] for note in found.notes] == ([said] if said else [])


def test_a_claim_that_was_expanded_or_is_a_persons_own_is_told_so():
    world = World().stable()
    world.edit(checkpoint__claim={"size": "5Gi"})
    there = world.children["PersistentVolumeClaim", "atw-checkpoint"]
    there.body["spec"]["resources"]["requests"]["storage"] = "5Gi"
    assert of(world).notes == []
    own = World()
    own.edit(checkpoint__claim={"name": "mine"})
    own.stable()
    assert of(own).notes == []
    own.edit(checkpoint__claim={"name": "mine", "size": "5Gi"})
    assert "claim 'mine' is your own" in of(own).notes[0]


def test_every_mistake_is_a_problem_of_its_own():
    world = World()
    world.edit(tickers=[], market="XPAR")
    assert len(of(world).problems) == 2


def test_a_runtime_that_the_cluster_lacks_is_a_problem_of_a_new_job_and_of_one_that_runs():
    new, there = World(), World().stable()
    for world in (new, there):
        world.edit(runtime__type="sparkOperator")
        (problem,) = of(world).problems
        assert "the cluster has no SparkApplication" in problem
    assert [change["field"] for change in of(there).changes] == ["runtime.type"]


def test_executors_that_the_autoscaler_decided_are_no_change():
    world = World(installed=frozenset({"SparkApplication"}))
    world.edit(autoscaling={"min": 2, "max": 4})
    world.stable()
    assert world.status.replicas == 2
    world.edit(tickers=["ATW", "IAM"])
    assert [change["field"] for change in of(world).changes] == ["tickers"]


def run(tmp_path, spec, *options):
    path = tmp_path / "job.yaml"
    path.write_text(HEAD + spec)
    return CliRunner().invoke(app, ["-f", str(path), "--offline", *options])


def test_the_command_shows_the_plan(tmp_path):
    done = run(tmp_path, "spec: {tickers: [ATW], market: XCAS}\n", "-n", "markets")
    assert done.exit_code == 0
    assert "StreamJob markets/atw" in done.stdout
    assert "Pod atw-e1" in done.stdout


def test_the_command_fails_for_a_manifest_that_would_be_refused(tmp_path):
    done = run(tmp_path, "spec: {tickers: [ATW], market: XPAR}\n")
    assert done.exit_code == 1
    assert "refused: StreamJob atw: spec.market" in done.stdout
    found = json.loads(run(tmp_path, "spec: {tickers: [ATW], market: XPAR}\n", "--json").stdout)
    assert found["streamjob"] == "default/atw"
    assert "XPAR" in found["problems"][0]


def test_what_only_a_cluster_knows_is_assumed_where_none_is_asked(tmp_path):
    spec = (
        "spec: {tickers: [ATW], market: XCAS, runtime: {type: sparkOperator}, "
        "source: {credentials: kafka-user, createTopics: {cluster: markets}}}\n"
    )
    done = run(tmp_path, spec, "-n", "markets")
    assert done.exit_code == 0, done.output
    assert "assumed: namespace markets has the Secret 'kafka-user', with its keys" in done.stdout
    assert "assumed: the cluster has kubeflow's spark-operator" in done.stdout
    assert "assumed: the cluster has Strimzi" in done.stdout
    assert "SparkApplication atw-e1" in done.stdout
    assert json.loads(run(tmp_path, "spec: {tickers: [ATW], market: XCAS}\n", "--json").stdout)["assumed"] == []


def test_what_the_manifest_itself_shows_to_be_wrong_is_refused_without_a_cluster(tmp_path):
    done = run(tmp_path, "spec: {tickers: [ATW], market: XCAS, source: {certificates: authority}}\n")
    assert done.exit_code == 1
    assert "refused: spec.source.certificates: goes with user name and password" in done.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no StreamJob"),
        ("kind: Pod\n", "holds something that is not a StreamJob"),
        ("apiVersion: tickloom.dev/v1alpha1\nkind: StreamJob\nmetadata: {}\n", "metadata.name is missing"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, text, said):
    path = tmp_path / "job.yaml"
    path.write_text(text)
    with pytest.raises(TickloomError, match=said):
        preview.documents(path)
