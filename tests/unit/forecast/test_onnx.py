import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.unit.forecast.series import frame
from tests.unit.forecast.small import HORIZON, NAMES, WINDOW, small
from tickloom.errors import TickloomError
from tickloom.forecast.features import VERSION
from tickloom.forecast.models import load, make
from tickloom.forecast.models.networks import Lstm
from tickloom.forecast.models.onnx import GRAPH, TOLERANCE, write
from tickloom.forecast.windows import windows_at

ROOT = Path(__file__).parents[3]
ROWS = np.arange(440, 500)


@pytest.fixture(scope="module")
def walk():
    return frame(500, seed=3)


@pytest.fixture(scope="module")
def fitted(walk):
    return small().fit(walk.first(450), seed=0)


@pytest.fixture
def folder(fitted, tmp_path):
    fitted.save(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_each_forecasts_the_same_when_loaded(name, walk, tmp_path):
    model = small(name, epochs=1, learning_rate=0.02).fit(walk.first(450), seed=0)
    model.save(tmp_path)
    loaded = load(tmp_path)
    expected = model.predict(walk, ROWS).mean
    assert np.abs(expected).max() > 1e-4
    assert np.abs(loaded.predict(walk, ROWS).mean - expected).max() < TOLERANCE
    assert np.abs(loaded.predict(walk, ROWS[:1]).mean - expected[:1]).max() < TOLERANCE
    assert loaded.options() == model.options()


def test_the_file_says_what_it_is(folder, fitted, walk):
    body = json.loads((folder / "parameters.json").read_text())
    assert body["model"] == "lstm"
    assert (body["horizon"], body["window"], body["features"]) == (HORIZON, WINDOW, list(walk.names))
    assert body["features_version"] == VERSION
    assert (body["seed"], body["strategy"], len(body["epochs"])) == (0, "direct", 3)
    assert body["onnx_difference"] <= TOLERANCE
    graph = onnx.load(folder / GRAPH)
    onnx.checker.check_model(graph)
    assert [it.version for it in graph.opset_import] == [17]
    shape = [it.dim_param or it.dim_value for it in graph.graph.input[0].type.tensor_type.shape.dim]
    assert shape == ["batch", WINDOW, len(walk.names)]


def test_a_loaded_one_needs_no_torch(folder, fitted, walk, tmp_path):
    np.save(tmp_path / "values.npy", walk.values)
    script = (
        "import sys\n"
        "class Blocked:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'captum', 'sklearn', 'onnx'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Blocked())\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from tests.unit.forecast.series import frame\n"
        "from tickloom.forecast.models import load, make\n"
        "model, walk = load(Path(sys.argv[1])), frame(500, seed=3)\n"
        "np.save(Path(sys.argv[1]) / 'found.npy', model.predict(walk, np.arange(440, 500)).mean)\n"
        "print(model.parameters()['seed'], model.epochs[-1]['epoch'])\n"
        "for use in (lambda: make('lstm', 2).fit(walk.first(480)), lambda: model.explain(walk, np.array([450]))):\n"
        "    try:\n"
        "        use()\n"
        "    except Exception as error:\n"
        "        print(type(error).__name__, error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.splitlines() == [
        "0 3.0",
        "TickloomError training lstm needs torch: pip install 'tickloom[train]'",
        "TickloomError explaining lstm needs torch: pip install 'tickloom[train]'",
    ]
    assert np.abs(np.load(folder / "found.npy") - fitted.predict(walk, ROWS).mean).max() < TOLERANCE


def test_a_loaded_one_explains_as_the_fitted_does(folder, fitted, walk):
    found = Lstm.load(folder).explain(walk, ROWS[:8])
    assert found == pytest.approx(dict(fitted.explain(walk, ROWS[:8])), abs=1e-9)


def test_a_loaded_one_can_be_saved_and_fitted_again(folder, fitted, walk, tmp_path):
    loaded = Lstm.load(folder)
    loaded.save(tmp_path / "copy")
    names = {GRAPH, "parameters.json", "weights.pt"}
    assert {it.name for it in (tmp_path / "copy").iterdir()} == names
    assert all((tmp_path / "copy" / it).read_bytes() == (folder / it).read_bytes() for it in names)
    again = loaded.fit(walk.first(450), seed=0).predict(walk, ROWS)
    assert np.array_equal(again.mean, fitted.predict(walk, ROWS).mean)


def test_other_features_are_refused(folder, walk):
    loaded = Lstm.load(folder)
    fewer = replace(walk, names=walk.names[:-1], values=walk.values[:, :-1])
    with pytest.raises(
        TickloomError, match=r"trained on 44 features and the frame has 43; differing: days_to_session\."
    ):
        loaded.predict(fewer)
    turned = replace(walk, names=walk.names[::-1], values=walk.values[:, ::-1])
    with pytest.raises(TickloomError, match="differing: their order"):
        loaded.predict(turned)
    with pytest.raises(TickloomError, match="version 1 of the features and the frame has 2; train it again"):
        loaded.predict(replace(walk, version=2))


def _restamp(folder, change):
    graph = onnx.load(folder / GRAPH)
    change(graph)
    onnx.save(graph, folder / GRAPH)


def test_a_file_from_elsewhere_is_refused(folder):
    _restamp(folder, lambda graph: graph.ClearField("metadata_props"))
    with pytest.raises(TickloomError, match=r"model.onnx: comes from elsewhere.*train --model lstm"):
        load(folder)


def test_a_file_of_another_folder_is_refused(folder, walk, tmp_path):
    small().fit(walk.first(440), seed=9).save(tmp_path / "other")
    (folder / GRAPH).write_bytes((tmp_path / "other" / GRAPH).read_bytes())
    with pytest.raises(TickloomError, match=r"does not belong to parameters\.json beside it"):
        load(folder)


def test_older_features_are_refused(folder, monkeypatch):
    monkeypatch.setattr("tickloom.forecast.models.onnx.VERSION", VERSION + 1)
    with pytest.raises(TickloomError, match=f"was trained on version {VERSION} of the features, and this is"):
        load(folder)


def test_what_is_no_graph_or_missing_is_said(folder):
    (folder / GRAPH).write_bytes(b"no graph")
    with pytest.raises(TickloomError, match="onnxruntime cannot read it"):
        load(folder)
    (folder / GRAPH).unlink()
    with pytest.raises(TickloomError, match=r"has no model\.onnx; give the folder"):
        Lstm.load(folder)
    (folder / "parameters.json").write_text('{"model": "lstm"}')
    (folder / GRAPH).write_bytes(b"no graph")
    with pytest.raises(TickloomError, match="is not what a model with a graph writes"):
        Lstm.load(folder)


def test_another_models_folder_is_refused(folder):
    with pytest.raises(TickloomError, match="holds the model 'lstm', not 'bilstm'"):
        type(make("bilstm", 1)).load(folder)


def test_a_graph_that_forecasts_otherwise_is_not_written(fitted, walk, tmp_path):
    from tickloom.forecast.models.export import graph_of

    sample = windows_at(walk.values, ROWS, WINDOW)
    expected = fitted.predict(walk, ROWS).mean + 2 * TOLERANCE
    with pytest.raises(TickloomError, match="differ by 2e-05 from the model's"):
        write(tmp_path, graph_of(fitted._trained.network, WINDOW), fitted.contract, sample, expected, {})
    assert list(tmp_path.iterdir()) == []
