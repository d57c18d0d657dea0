"""Evidently's pages, their figures, and a run of MLflow that holds them."""

import json
import subprocess
import sys

import pytest

from tests.unit.monitor.made import history, returns
from tickloom.forecast.registry import Registry
from tickloom.monitor import reports
from tickloom.monitor.inspection import inspect


@pytest.fixture(scope="module")
def inspected():
    moves = returns(900, 5)
    moves[-20:] *= 3
    return inspect(history(moves), features=False)


@pytest.fixture(scope="module")
def written(inspected, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "made"
    names = ["ret_1", "rsi_14"]
    tables = [it[[*names, "target"]] for it in (inspected.reference, inspected.recent)]
    files = reports.write(folder, *tables, inspected.losses, inspected.findings, inspected.decision)
    return folder, files


def test_each_part_has_a_page_and_figures(written):
    folder, files = written
    wanted = {f"{name}.{kind}" for name in ("data", "target", "regression") for kind in ("html", "json")}
    assert {it.name for it in files} == wanted | {"findings.json"}
    assert all(it.stat().st_size > 300 for it in files)
    drift = json.loads((folder / "data.json").read_text())
    told = [it["metric_name"] for it in drift["metrics"]]
    assert any("ret_1" in it for it in told)
    errors = json.loads((folder / "regression.json").read_text())
    assert any("MAE" in it["metric_name"] for it in errors["metrics"])


def test_the_findings_stand_beside_them(written, inspected):
    told = json.loads((written[0] / "findings.json").read_text())
    assert told["decision"]["retrain"] is inspected.decision.retrain
    assert [it["subject"] for it in told["findings"]] == ["returns", "random_walk"]


def test_a_run_of_mlflow_holds_all_of_it(written, inspected, tmp_path):
    registry = Registry(f"sqlite:///{tmp_path / 'mlflow.db'}")
    run = reports.log(registry, "AAPL", "XNYS", written[0], inspected.findings, inspected.decision)
    from mlflow import MlflowClient

    client = MlflowClient(registry.uri)
    found = client.get_run(run)
    assert found.info.status == "FINISHED"
    assert found.data.tags["tickloom.retrain"] == "true"
    assert found.data.metrics["target.returns.p"] == inspected.findings[0].adjusted
    assert {it.path for it in client.list_artifacts(run)} == {it.name for it in written[1]}
    assert client.get_experiment(found.info.experiment_id).name == reports.EXPERIMENT


def test_evidently_tells_its_makers_nothing_and_pandas_is_as_it_was():
    program = (
        "import os, pandas.core.dtypes.common as common\n"
        "from tickloom.monitor import reports\n"
        "before = set(dir(common)); reports._evidently()\n"
        "from evidently.telemetry import event_logger\n"
        "assert not event_logger.enabled()\n"
        "assert os.environ['DO_NOT_TRACK'] == '1' and set(dir(common)) == before\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True)
