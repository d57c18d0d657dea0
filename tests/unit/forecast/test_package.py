"""Trained models in a folder: written and read back, refused where they are not whole."""

import json
import os
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from markdown_it import MarkdownIt

from tests.unit.forecast.series import frame
from tests.unit.forecast.small import small
from tickloom import __version__
from tickloom.errors import TickloomError
from tickloom.forecast import package
from tickloom.forecast.features import VERSION, feature_frame
from tickloom.forecast.models import make
from tickloom.forecast.package import CARD, MANIFEST, REQUIREMENTS, Manifest

NAN = float("nan")
ROOT = Path(__file__).parents[3]
SCORES = (
    {"model": "random_walk", "h": 1, "rmse": 1.5, "rmsse": 1.0, "direction": NAN, "verdict": "indistinguishable"},
    {
        "model": "ridge",
        "h": 1,
        "rmse": 1.25,
        "rmsse": 0.8333,
        "direction": 0.56,
        "base_rate": 0.5,
        "verdict": "beats_naive",
    },
    {"model": "ridge", "h": 2, "rmse": 2.0, "rmsse": 1.01, "direction": 0.5, "base_rate": 0.5, "verdict": "worse"},
    {"model": "drift", "h": 1, "rmse": 1.6, "rmsse": 1.1, "verdict": "worse"},
)


@pytest.fixture(scope="module")
def walk():
    return frame(600, phi=0.4)


@pytest.fixture
def written(walk, tmp_path):
    model = make("ridge", 2).fit(walk)
    package.write(tmp_path, model, Manifest.of(model, walk, seed=7, scores=SCORES))
    return tmp_path


def spoilt(folder, change):
    body = json.loads((folder / MANIFEST).read_text())
    change(body)
    (folder / MANIFEST).write_text(json.dumps(body))


@pytest.mark.parametrize("name", ["random_walk", "ar1", "ridge", "lstm"])
def test_a_model_is_read_back_with_what_is_known_of_it(name, walk, tmp_path):
    model = (small(name, epochs=1) if name == "lstm" else make(name, 2)).fit(walk)
    manifest = Manifest.of(model, walk, seed=3)
    package.write(tmp_path / "one", model, manifest)
    loaded, known = package.read(tmp_path / "one")
    np.testing.assert_allclose(loaded.predict(walk).mean, model.predict(walk).mean, atol=1e-7)
    package.write(tmp_path / "two", loaded, known)
    assert (tmp_path / "one" / MANIFEST).read_bytes() == (tmp_path / "two" / MANIFEST).read_bytes()
    assert (known.model, known.horizon, known.seed, known.verdict) == (name, 2, 3, "not evaluated")
    assert known.registered_name == "tickloom.XNYS.AAPL"
    assert (known.sessions, known.data_sha256) == (600, walk.history.sha256)
    assert known.features == (walk.names if name in ("ridge", "lstm") else ())
    assert {"python", "numpy", "tickloom"} <= known.environment.keys()


def test_code_that_is_not_installed_tells_its_version_all_the_same(tmp_path):
    # a copy of the code with the libraries of this environment, and no distribution of its own: as in an image
    (tmp_path / "tickloom").symlink_to(ROOT / "tickloom")
    told = (
        "import importlib.metadata as m; real = m.version\n"
        "def version(name):\n"
        "    if name == 'tickloom': raise m.PackageNotFoundError(name)\n"
        "    return real(name)\n"
        "m.version = version\n"
        "from tickloom.forecast.package import environment; print(environment()['tickloom'])"
    )
    done = subprocess.run([sys.executable, "-c", told], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == __version__


def test_what_reads_closes_alone_needs_no_features(walk, tmp_path):
    model = make("ar1", 2).fit(walk)
    package.write(tmp_path, model, Manifest.of(model, walk))
    spoilt(tmp_path, lambda body: body.update(feature_version=VERSION + 1))
    loaded, known = package.read(tmp_path)
    bare = feature_frame(walk.history, known.features)
    np.testing.assert_array_equal(loaded.predict(bare).mean, model.predict(walk).mean)


def test_the_manifest_is_json_without_what_json_does_not_have(written, walk, tmp_path):
    def no_constant(name):
        raise AssertionError(name)

    for path in (written, tmp_path / "fresh"):
        if path != written:
            package.write(path, make("random_walk", 1), Manifest.of(small("lstm"), walk, scores=SCORES))
        body = json.loads((path / MANIFEST).read_text(), parse_constant=no_constant)
        assert [it.get("direction") for it in body["scores"]] == [None, 0.56, 0.5, None]
        assert "direction" not in body["scores"][0]


def test_a_fresh_networks_choices_are_json(walk):
    manifest = Manifest.of(small("lstm"), walk)
    assert json.loads(json.dumps(manifest.parameters, allow_nan=False))["strategy"] == "direct"


def test_the_verdict_is_of_one_session_ahead_and_comes_first(written):
    manifest = package.read_manifest(written)
    assert manifest.verdict == "beats_naive"
    text = (written / CARD).read_text()
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    kinds = [it.type for it in tokens]
    assert kinds[:2] == ["heading_open", "inline"]
    assert tokens[1].content == "tickloom.XNYS.AAPL: ridge"
    first = tokens[kinds.index("paragraph_open") + 1]
    assert first.content.startswith("**Verdict, one session ahead: beats_naive.**")
    assert (kinds.count("table_open"), kinds.count("tr_open")) == (1, 4)
    cells = [tokens[at + 1].content for at, kind in enumerate(kinds) if kind == "td_open"]
    assert cells[:7] == ["random_walk", "1", "1.5", "1.0000", "", "", "indistinguishable"]
    assert cells[7:14] == ["ridge", "1", "1.25", "0.8333", "56.0%", "50.0%", "beats_naive"]
    assert "drift" not in cells


def test_a_card_without_evaluation_says_so(walk):
    text = package.card(Manifest.of(make("drift", 1).fit(walk), walk))
    assert "one session ahead: not evaluated" in text
    assert "|" not in text


def test_the_random_walk_is_described_by_the_same_data(written):
    manifest = package.read_manifest(written)
    found = manifest.of_reference(make("random_walk", 2))
    assert (found.model, found.verdict, found.features) == ("random_walk", "indistinguishable", ())
    assert (found.data_sha256, found.last_day) == (manifest.data_sha256, manifest.last_day)
    assert found.parameters == {"horizon": 2}


def test_a_folder_without_manifest_is_not_whole(written):
    (written / MANIFEST).unlink()
    with pytest.raises(TickloomError, match=r"no manifest\.json, so no trained model; name the folder"):
        package.read(written)


def test_a_write_that_breaks_off_leaves_no_manifest(walk, tmp_path, monkeypatch):
    model = make("drift", 1).fit(walk)
    monkeypatch.setattr(package, "card", lambda manifest: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        package.write(tmp_path, model, Manifest.of(model, walk))
    with pytest.raises(TickloomError, match="no trained model"):
        package.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda body: body.update(schema=9), "schema 9 is not 1; train it with this release"),
        (lambda body: body.pop("schema"), "schema None is not 1"),
        (lambda body: body.pop("seed"), r"fields are missing or unknown \(seed\); take the folder"),
        (lambda body: body.update(more=1), r"fields are missing or unknown \(more\)"),
        (lambda body: body.update(feature_version=VERSION + 1), "features of version 2, and this release makes those"),
    ],
)
def test_what_another_release_wrote_is_a_sentence(written, change, said):
    spoilt(written, change)
    with pytest.raises(TickloomError, match=said):
        package.read(written)


@pytest.mark.parametrize(("text", "said"), [("{", r"no JSON \("), ("[]", "schema None is not 1"), ("\xff", "no JSON")])
def test_broken_json_is_a_sentence(written, text, said):
    (written / MANIFEST).write_bytes(text.encode("latin-1"))
    with pytest.raises(TickloomError, match=said):
        package.read(written)


def test_a_model_that_is_missing_is_a_sentence(written):
    (written / "model" / "parameters.json").unlink()
    with pytest.raises(TickloomError, match=r"no parameters\.json, so no model"):
        package.read(written)


def test_scores_may_be_of_this_model_alone(walk):
    manifest = replace(Manifest.of(make("drift", 1).fit(walk), walk), scores=SCORES[3:])
    assert "| drift | 1 | 1.6 | 1.1000 |" in package.card(manifest)


SERVE = """
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from packaging.requirements import Requirement

class Needless:
    def find_spec(self, name, path=None, target=None):
        found = owners.get(name.split(".")[0])
        if found and not found & needed and not name.startswith("tests"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

def normal(name):
    return name.lower().replace("_", "-").replace(".", "-")

def reach(name):
    if normal(name) in needed:
        return
    needed.add(normal(name))
    try:
        wanted = [Requirement(it) for it in requires(name) or ()]
    except PackageNotFoundError:
        return
    for it in wanted:
        if it.marker is None or it.marker.evaluate({"extra": ""}):
            reach(it.name)

folder, needed = Path(sys.argv[1]), set()
for line in (folder / "requirements.txt").read_text().splitlines():
    if not line.startswith("#"):
        reach(Requirement(line).name)
owners = {module: {normal(it) for it in names} for module, names in packages_distributions().items()}
sys.meta_path.insert(0, Needless())
assert not needed & {"torch", "scikit-learn", "lightgbm", "statsforecast", "mlflow"}
from tests.unit.forecast.series import frame
from tickloom.forecast import package
model, manifest = package.read(folder)
print(model.predict(frame(600, phi=0.4)).mean.tolist())
"""


@pytest.mark.parametrize("name", ["ets", "lightgbm", "lstm", "ridge_recursive"])
def test_what_requirements_name_is_enough_to_forecast(name, walk, tmp_path):
    model = (small(name, epochs=1) if name == "lstm" else make(name, 2)).fit(walk)
    package.write(tmp_path, model, Manifest.of(model, walk))
    lines = (tmp_path / REQUIREMENTS).read_text().splitlines()
    assert lines[0] == f"# Python {platform.python_version()}"
    assert f"numpy=={np.__version__}" in lines
    assert any(it.startswith("onnxruntime==") for it in lines) == (name != "ets")
    run = subprocess.run(
        [sys.executable, "-c", SERVE, tmp_path], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    np.testing.assert_allclose(json.loads(run.stdout), model.predict(walk).mean, atol=1e-7)
