"""What holds for every model that is saved as an ONNX graph: networks, ridge and LightGBM."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from tests.unit.forecast.series import frame
from tests.unit.forecast.small import HORIZON, NAMES, WINDOW, small
from tickloom.errors import TickloomError
from tickloom.forecast.features import VERSION
from tickloom.forecast.models import graphs, load, make
from tickloom.forecast.models.graphs import GRAPH, TOLERANCE
from tickloom.forecast.models.networks import WEIGHTS, Lstm

ROOT = Path(__file__).parents[3]
ROWS = np.arange(560, 600)
KINDS = ("lstm", "ridge", "lightgbm")


def fresh(name):
    """A model that is not fitted yet."""
    return small(name) if name in NAMES else make(name, HORIZON)


@pytest.fixture(scope="module")
def walk():
    return frame(600, seed=3, phi=0.4)


@pytest.fixture(scope="module")
def models(walk):
    return {name: fresh(name).fit(walk.first(550), seed=0) for name in KINDS}


@pytest.fixture(params=KINDS)
def model(request, models):
    return models[request.param]


@pytest.fixture(scope="module")
def folders(models, tmp_path_factory):
    made = {name: tmp_path_factory.mktemp(name) for name in KINDS}
    for name, model in models.items():
        model.save(made[name])
    return made


@pytest.fixture
def folder(folders, model, tmp_path):
    """A copy of the model's folder, to be spoilt."""
    return Path(shutil.copytree(folders[model.name], tmp_path / "saved"))


def spread(walk):
    """Standard deviations of the returns that the models were fitted to."""
    return walk.targets(HORIZON)[walk.ready : 550 - HORIZON].std(axis=0)


@pytest.mark.parametrize("name", [*NAMES, "ridge", "lightgbm"])
def test_each_forecasts_the_same_when_loaded(name, walk, tmp_path):
    model = small(name, epochs=1, learning_rate=0.02) if name in NAMES else fresh(name)
    model.fit(walk.first(550), seed=0).save(tmp_path)
    loaded = load(tmp_path)
    expected = model.predict(walk, ROWS).mean
    assert np.abs(expected).max() > 1e-4
    assert (np.abs(loaded.predict(walk, ROWS).mean - expected) / spread(walk)).max() < TOLERANCE
    assert (np.abs(loaded.predict(walk, ROWS[:1]).mean - expected[:1]) / spread(walk)).max() < TOLERANCE
    assert loaded.predict(walk, []).mean.shape == (0, HORIZON)
    assert loaded.options() == model.options()
    assert loaded.parameters() == model.parameters()


def test_the_file_says_what_it_is(folder, model, walk):
    body = json.loads((folder / "parameters.json").read_text())
    assert (body["model"], body["horizon"], body["features"]) == (model.name, HORIZON, list(walk.names))
    assert (body["window"], body["features_version"]) == (model.window, VERSION)
    assert body["learned"] == model.learned
    assert body["onnx_difference"] <= TOLERANCE
    graph = onnx.load(folder / GRAPH)
    onnx.checker.check_model(graph)
    assert body["opset"] == {it.domain or "ai.onnx": it.version for it in graph.opset_import}
    shape = [it.dim_param or it.dim_value for it in graph.graph.input[0].type.tensor_type.shape.dim]
    assert shape[1:] == ([WINDOW] if model.window > 1 else []) + [len(walk.names)]
    assert not isinstance(shape[0], int) or shape[0] == 0


def test_what_a_network_learned_stands_beside_it(folders):
    body = json.loads((folders["lstm"] / "parameters.json").read_text())
    assert (body["learned"]["seed"], len(body["learned"]["epochs"])) == (0, 3)
    loaded = Lstm.load(folders["lstm"])
    assert loaded.parameters()["strategy"] == "direct"
    assert "epochs" not in loaded.parameters()


def test_a_loaded_one_needs_onnxruntime_alone(folders, models, walk, tmp_path):
    script = (
        "import sys\n"
        "class Blocked:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'captum', 'sklearn', 'lightgbm', 'onnx', 'skl2onnx'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Blocked())\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from tests.unit.forecast.series import frame\n"
        "from tickloom.forecast.models import graphs, load, make\n"
        "walk, out = frame(600, seed=3, phi=0.4), Path(sys.argv[1])\n"
        "for folder in sys.argv[2:]:\n"
        "    model = load(Path(folder))\n"
        "    np.save(out / model.name, model.predict(walk, np.arange(560, 600)).mean)\n"
        "    if model.name == 'lstm':\n"
        "        network = model\n"
        "for use in (lambda: make('lstm', 2).fit(walk), lambda: network.explain(walk, np.array([450]))):\n"
        "    try:\n"
        "        use()\n"
        "    except Exception as error:\n"
        "        print(type(error).__name__, error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), *map(str, folders.values())],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.splitlines() == [
        "TickloomError training lstm needs torch: pip install 'tickloom[train]'",
        "TickloomError explaining lstm needs torch: pip install 'tickloom[train]'",
    ]
    for name, model in models.items():
        off = np.abs(np.load(tmp_path / f"{name}.npy") - model.predict(walk, ROWS).mean)
        assert (off / spread(walk)).max() < TOLERANCE


def test_a_loaded_one_needs_its_folder_no_more(folder, folders, model, walk, tmp_path):
    loaded = type(model).load(folder)
    shutil.rmtree(folder)
    expected = model.explain(walk, ROWS[:8])
    assert loaded.explain(walk, ROWS[:8]) == pytest.approx(dict(expected), abs=1e-9, rel=1e-3)
    loaded.save(tmp_path / "copy")
    names = {it.name for it in folders[model.name].iterdir()}
    assert names == {GRAPH, "parameters.json", *model.beside}
    assert {it.name for it in (tmp_path / "copy").iterdir()} == names
    assert all((tmp_path / "copy" / it).read_bytes() == (folders[model.name] / it).read_bytes() for it in names)
    again = loaded.fit(walk.first(550), seed=0).predict(walk, ROWS)
    assert np.array_equal(again.mean, model.predict(walk, ROWS).mean)


def test_shuffling_is_offered_for_windows_too(models, walk):
    rows = np.arange(300, 600)
    found = models["lstm"].permutation_importance(walk, rows)
    assert list(found) == list(walk.names)
    assert max(np.abs(list(found.values()))) > 0
    # a feature that does not differ between rows cannot matter
    flat = replace(walk, values=np.where(np.array(walk.names) == "ret_1", 0.0, walk.values))
    assert models["lstm"].permutation_importance(flat, rows)["ret_1"] == 0
    with pytest.raises(TickloomError, match="of 1 rows none has 2 later sessions in the frame"):
        models["lstm"].permutation_importance(walk, np.array([599]))
    with pytest.raises(TickloomError, match="cannot forecast from session 3"):
        models["ridge"].explain(walk, np.array([3]))


def test_other_features_are_refused(folder, model, walk):
    loaded = type(model).load(folder)
    for it in (loaded, model):
        fewer = replace(walk, names=walk.names[:-1], values=walk.values[:, :-1])
        with pytest.raises(
            TickloomError,
            match=r"trained on 44 features and the frame has 43, without days_to_session\. Make the frame",
        ):
            it.predict(fewer)
        with pytest.raises(TickloomError, match="without ret_1 and with other"):
            it.explain(replace(walk, names=tuple("other" if one == "ret_1" else one for one in walk.names)), ROWS)
        turned = replace(walk, names=walk.names[::-1], values=walk.values[:, ::-1])
        with pytest.raises(TickloomError, match="the frame has 44, in another order"):
            it.predict(turned)
        with pytest.raises(TickloomError, match="version 1 of the features and the frame has 2; train it again"):
            it.predict(replace(walk, version=2))


def test_what_is_not_fitted_is_a_sentence(model, walk, tmp_path):
    blank = fresh(model.name)
    for use in (
        lambda: blank.save(tmp_path / "nothing"),
        lambda: blank.predict(walk),
        lambda: blank.explain(walk, ROWS),
    ):
        with pytest.raises(TickloomError, match=f"{model.name}: was neither fitted nor loaded"):
            use()
    assert not (tmp_path / "nothing").exists()


def test_a_file_from_elsewhere_is_refused(folder, model):
    graph = onnx.load(folder / GRAPH)
    graph.ClearField("metadata_props")
    onnx.save(graph, folder / GRAPH)
    with pytest.raises(TickloomError, match=rf"model.onnx: comes from elsewhere.*train --model {model.name}"):
        load(folder)


def test_a_file_of_another_folder_is_refused(folder, model, walk, tmp_path):
    fresh(model.name).fit(walk.first(500), seed=9).save(tmp_path / "other")
    (folder / GRAPH).write_bytes((tmp_path / "other" / GRAPH).read_bytes())
    with pytest.raises(TickloomError, match=r"does not belong to parameters\.json beside it"):
        load(folder)


def test_older_features_are_refused(folder, monkeypatch):
    monkeypatch.setattr("tickloom.forecast.models.graphs.VERSION", VERSION + 1)
    with pytest.raises(TickloomError, match=f"was trained on version {VERSION} of the features, and this is"):
        load(folder)


@pytest.fixture
def put_back():
    yield
    graphs.compute_on("cpu")


@pytest.mark.usefixtures("put_back")
def test_where_it_is_computed_is_said_and_must_be_there(folder, model, monkeypatch):
    available = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    if available[0] not in onnxruntime.get_available_providers():
        with pytest.raises(TickloomError, match="not on CUDAExecutionProvider; install onnxruntime-gpu"):
            graphs.compute_on("cuda")
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
        graphs.compute_on("cuda")
        # as with onnxruntime-gpu where there is no GPU: a session is made all the same
        with pytest.raises(
            TickloomError, match="could not begin to compute on CUDAExecutionProvider; see that there is"
        ):
            load(folder)
        graphs.compute_on("cpu")
    assert load(folder).features


def test_what_is_no_graph_or_missing_is_said(folder, model):
    class_ = type(model)
    (folder / GRAPH).write_bytes(b"no graph")
    with pytest.raises(TickloomError, match="onnxruntime cannot read it"):
        load(folder)
    (folder / GRAPH).unlink()
    with pytest.raises(TickloomError, match=r"has no model\.onnx; give the whole folder"):
        class_.load(folder)
    (folder / "parameters.json").write_text(f'{{"model": "{model.name}"}}')
    (folder / GRAPH).write_bytes(b"no graph")
    with pytest.raises(TickloomError, match="is not what a model with a graph writes"):
        class_.load(folder)


def test_another_models_folder_is_refused(folder, model):
    with pytest.raises(TickloomError, match=f"holds the model '{model.name}', not 'bilstm'"):
        type(make("bilstm", 1)).load(folder)


def test_a_network_without_its_weights_forecasts_and_does_not_explain(folders, walk, tmp_path):
    shutil.copytree(folders["lstm"], tmp_path / "bare", ignore=shutil.ignore_patterns(WEIGHTS))
    bare = load(tmp_path / "bare")
    assert np.isfinite(bare.predict(walk, ROWS).mean).all()
    with pytest.raises(TickloomError, match=r"folder without weights\.pt, which explaining it needs"):
        bare.explain(walk, ROWS[:1])


def test_a_graph_that_forecasts_otherwise_is_not_written(model, walk, tmp_path, monkeypatch):
    plain = model._fitted
    monkeypatch.setattr(model, "_fitted", lambda windows: plain(windows) + 2 * TOLERANCE * spread(walk))
    with pytest.raises(TickloomError, match="differ by 2e-05 standard deviations of the returns from the model's"):
        model.save(tmp_path)
    assert list(tmp_path.iterdir()) == []
