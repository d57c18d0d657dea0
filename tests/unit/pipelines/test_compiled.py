"""What the compiled pipelines promise a cluster: read from the files that Kubeflow takes."""

import json
import subprocess

import pytest
import yaml

from tests.pipelining import ROOT, pipelines, require_environment

COMPILED = ROOT / "pipelines" / "compiled"
FILES = ("retrain", "retrain-on-volume", "backfill", "evaluate-only")
LOOP, HANDLER = "comp-for-loop-2", "comp-exit-handler-1"
SPOT = {"tune", "train"}


class Compiled:
    """One compiled pipeline: tasks by name, wherever they stand, executors, and what Kubernetes is told of each."""

    def __init__(self, path):
        self.spec, self.platform = yaml.safe_load_all(path.read_text(encoding="utf-8"))
        self.tasks = {}
        for dag in (self.spec["root"], *self.spec["components"].values()):
            self.tasks |= dag.get("dag", {}).get("tasks", {})
        self.steps = {
            name: task for name, task in self.tasks.items() if not name.startswith(("for-loop", "exit-handler"))
        }
        self.executors = self.spec["deploymentSpec"]["executors"]
        self.kubernetes = self.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]

    def container(self, step):
        return self.executors[f"exec-{step}"]["container"]

    def pod(self, step):
        return self.kubernetes[f"exec-{step}"]


@pytest.fixture(scope="module")
def compiled():
    return {name: Compiled(COMPILED / f"{name}.yaml") for name in FILES}


@pytest.fixture(scope="module")
def retrain(compiled):
    return compiled["retrain"]


def test_on_one_machine_a_login_of_a_cluster_is_not_looked_for():
    code = """
from pipelines import catalogue, local
for name in ("retrain", "backfill", "evaluate-only"):
    assert "TICKLOOM_CASSANDRA_CREDENTIALS" not in str(catalogue.build(name, local.SETTINGS).pipeline_spec), name
"""
    done = subprocess.run([require_environment(), "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def parameter(name):
    return f"{{{{$.inputs.parameters['pipelinechannel--{name}']}}}}"


def test_the_operator_finds_the_pipeline_and_its_parameters(retrain):
    assert retrain.spec["pipelineInfo"]["name"] == "tickloom-retrain"
    taken = retrain.spec["root"]["inputDefinitions"]["parameters"]
    sent = {
        "tickers", "market", "models", "horizon", "folds", "test", "gate", "trials", "seed", "mlflow", "trigger",
        "policy", "cpu", "memory", "gpus", "accelerator", "node_selector", "tolerations",
    }  # fmt: skip
    assert sent <= set(taken)
    assert [name for name, it in taken.items() if "defaultValue" not in it and not it.get("isOptional")] == ["tickers"]
    # the driver reads a number here as nothing, and the training would go on without a GPU
    assert {taken[name]["parameterType"] for name in ("cpu", "memory", "gpus", "accelerator")} == {"STRING"}
    assert taken["gpus"]["defaultValue"] == "0"
    assert taken["models"]["defaultValue"] == ["lstm", "ridge"]


def test_training_asks_for_the_gpus_and_nodes_of_the_run(retrain):
    resources = retrain.container("train")["resources"]
    assert resources["accelerator"] == {
        "resourceType": parameter("accelerator"),
        "resourceCount": parameter("gpus"),
    }
    pod = retrain.pod("train")
    assert pod["nodeSelector"] == {"nodeSelectorJson": {"componentInputParameter": "pipelinechannel--node_selector"}}
    assert pod["tolerations"] == [{"tolerationJson": {"componentInputParameter": "pipelinechannel--tolerations"}}]


def test_no_other_step_takes_a_gpu(compiled):
    for file in compiled.values():
        asking = {name for name in file.steps if "accelerator" in file.container(name).get("resources", {})}
        placed = {name for name in file.steps if {"nodeSelector", "tolerations"} & set(file.kubernetes[f"exec-{name}"])}
        assert asking == placed == ({"train"} & set(file.steps))


@pytest.mark.parametrize("file", ["retrain", "evaluate-only"])
def test_sizes_of_long_steps_are_parameters_and_reach_the_loop(compiled, file):
    found = compiled[file]
    for step in {"tune", "train", "evaluate"} & set(found.steps):
        resources = found.container(step)["resources"]
        assert (resources["resourceCpuLimit"], resources["resourceMemoryLimit"]) == (
            parameter("cpu"),
            parameter("memory"),
        )
    for component in (HANDLER, LOOP):
        handed = set(found.spec["components"][component]["inputDefinitions"]["parameters"])
        assert {"pipelinechannel--cpu", "pipelinechannel--memory"} <= handed


def test_what_places_the_training_reaches_the_loop(retrain):
    wanted = {f"pipelinechannel--{it}" for it in ("accelerator", "gpus", "node_selector", "tolerations")}
    for component in (HANDLER, LOOP):
        assert wanted <= set(retrain.spec["components"][component]["inputDefinitions"]["parameters"])
    task = retrain.spec["components"][HANDLER]["dag"]["tasks"]["for-loop-2"]
    assert wanted <= set(task["inputs"]["parameters"])


def test_small_steps_have_a_size_of_their_own(compiled):
    for file in compiled.values():
        for step in set(file.steps) - {"tune", "train", "evaluate"}:
            resources = file.container(step)["resources"]
            assert (resources["resourceCpuLimit"], resources["resourceMemoryLimit"]) == ("1", "2Gi")


def test_steps_are_tried_again_and_those_on_spot_nodes_more_often(compiled):
    for file in compiled.values():
        for name, task in file.steps.items():
            if name in ("settle", "settle-features"):
                assert "retryPolicy" not in task
                continue
            policy = task["retryPolicy"]
            assert policy["maxRetryCount"] == (5 if name in SPOT else 2), name
            assert (policy["backoffDuration"], policy["backoffFactor"]) == ("30s", 2.0)


def test_what_depends_on_the_world_is_never_taken_from_the_cache(compiled):
    for file in compiled.values():
        cached = {name for name, it in file.steps.items() if it["cachingOptions"].get("enableCache")}
        always = {
            "look",
            "pair",
            "compare",
            "gate",
            "fair",
            "register",
            "report",
            "settle",
            "settle-features",
            "conclude",
        }
        assert cached == set(file.steps) - always


def test_what_is_cached_is_cached_by_the_bars(compiled):
    for file in compiled.values():
        for name, task in file.steps.items():
            if task["cachingOptions"].get("enableCache"):
                assert "digest" in task["inputs"]["parameters"], name


def test_the_registry_is_asked_with_the_secret_and_the_store_with_its_own(retrain):
    with_secret = {name for name in retrain.steps if "secretAsEnv" in retrain.kubernetes[f"exec-{name}"]}
    assert with_secret == {"compare", "register"}
    (secret,) = retrain.pod("compare")["secretAsEnv"]
    assert (secret["secretName"], secret["optional"]) == ("tickloom-mlflow", True)
    assert {(it["secretKey"], it["envVar"]) for it in secret["keyToEnv"]} == {
        ("username", "MLFLOW_TRACKING_USERNAME"),
        ("password", "MLFLOW_TRACKING_PASSWORD"),
    }
    for step in ("look", "extract", "register"):
        (secret,) = retrain.pod(step)["secretAsVolume"]
        assert (secret["secretName"], secret["optional"]) == ("tickloom-cassandra", True)
        assert {"name": "TICKLOOM_CASSANDRA_CREDENTIALS", "value": secret["mountPath"]} in retrain.container(step)[
            "env"
        ]
    (addresses,) = retrain.pod("look")["configMapAsEnv"]
    assert (addresses["configMapName"], addresses["optional"]) == ("tickloom-retrain", True)


def test_every_step_has_the_volume_where_one_is_named_and_none_elsewhere(compiled):
    plain, mounted = compiled["retrain"], compiled["retrain-on-volume"]
    for step in plain.steps:
        assert "pvcMount" not in plain.kubernetes[f"exec-{step}"]
        (mount,) = mounted.pod(step)["pvcMount"]
        assert (mount["constant"], mount["mountPath"]) == ("tickloom-retrain", "/var/lib/tickloom")
        work = {"name": "TICKLOOM_RETRAIN_WORK", "value": "/var/lib/tickloom/retrain"}
        assert work in mounted.container(step)["env"]
        (run,) = mounted.pod(step)["fieldPathAsEnv"]
        assert run == {"name": "TICKLOOM_RETRAIN_RUN", "fieldPath": "metadata.labels['pipeline/runid']"}


def test_the_exit_handler_runs_in_any_case(compiled):
    for file in compiled.values():
        last = file.spec["root"]["dag"]["tasks"]["conclude"]
        assert last["triggerPolicy"] == {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
        assert last["dependentTasks"] == ["exit-handler-1"]
        assert last["inputs"]["parameters"]["status"] == {"taskFinalStatus": {"producerTask": "exit-handler-1"}}


def test_kubeflow_draws_what_steps_make(retrain):
    kinds = {
        (step, name): it["artifactType"]["schemaTitle"]
        for step in retrain.steps
        for name, it in retrain.spec["components"][f"comp-{step}"]
        .get("outputDefinitions", {})
        .get("artifacts", {})
        .items()
    }
    assert kinds["validate", "page"] == kinds["evaluate", "page"] == kinds["report", "page"] == "system.HTML"
    assert kinds["evaluate", "directions"] == "system.ClassificationMetrics"
    assert kinds["train", "package"] == "system.Model"
    assert kinds["gate", "metrics"] == "system.Metrics"
    assert kinds["extract", "bars"] == "system.Dataset"


def test_nothing_is_installed_when_a_step_begins(compiled):
    for file in compiled.values():
        for step in file.steps:
            container = file.container(step)
            assert container["image"] == "tickloom/retrain:0.1.0"
            assert "pip install" not in json.dumps(container["command"])


def test_a_challenger_is_registered_after_fairness_alone(retrain):
    handler = retrain.spec["components"][HANDLER]["dag"]["tasks"]
    assert {"fair", "for-loop-2"} <= set(handler["register"]["dependentTasks"])
    assert "register" not in retrain.spec["components"][LOOP]["dag"]["tasks"]


def test_the_compiled_files_are_current():
    require_environment()
    done = pipelines("compile", "--check", "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["current"]) == len(FILES)


def test_settings_of_a_user_are_compiled_in(tmp_path):
    require_environment()
    settings = tmp_path / "ours.yaml"
    settings.write_text("image: registry.example.com/retrain:7\nvolume: shared\nretries: 0\nimagePullSecrets: [ours]\n")
    done = pipelines("compile", "--settings", settings, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    found = Compiled(tmp_path / "backfill.yaml")
    assert found.container("look")["image"] == "registry.example.com/retrain:7"
    assert found.pod("look")["pvcMount"][0]["constant"] == "shared"
    assert found.pod("look")["imagePullSecret"][0]["secretName"] == "ours"
    assert "retryPolicy" not in found.tasks["look"]
    assert pipelines("compile", "--settings", settings, "--out", tmp_path, "--check").returncode == 0


def test_a_file_that_is_not_current_is_named(tmp_path):
    require_environment()
    (tmp_path / "retrain.yaml").write_text("old\n")
    done = pipelines("compile", "--check", "--out", tmp_path)
    assert done.returncode == 1
    assert f"{tmp_path}/retrain.yaml" in done.stderr
    assert (tmp_path / "retrain.yaml").read_text() == "old\n"
