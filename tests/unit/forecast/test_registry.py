"""MLflow as the registry, with a database of its own: whole versions or none."""

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import urlparse
from urllib.request import url2pathname

import numpy as np
import onnxruntime
import pytest
from mlflow.entities import ViewType
from mlflow.environment_variables import MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT
from mlflow.exceptions import MlflowException
from mlflow.onnx import load_model

from tests.unit.forecast.series import history
from tests.unit.forecast.small import small
from tickloom.errors import TickloomError
from tickloom.forecast import package
from tickloom.forecast.database import changed
from tickloom.forecast.features import feature_frame
from tickloom.forecast.models import make
from tickloom.forecast.package import Manifest
from tickloom.forecast.reaching import reaching
from tickloom.forecast.registry import Registry
from tickloom.forecast.windows import windows_at

MARKET = "XNYS"


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """One database, for making one takes long; each test has a ticker of its own."""
    return Registry(f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}")


@pytest.fixture
def trained(tmp_path):
    """Write the trained model of a ticker into a folder."""

    def trained(ticker, name="drift", scores=()):
        frame = feature_frame(history(300 if name != "ridge" else 500, ticker=ticker), ["ret_1"])
        model = make(name, 2).fit(frame)
        folder = tmp_path / f"{ticker}-{name}"
        package.write(folder, model, Manifest.of(model, frame, scores=scores))
        return folder

    return trained


def runs(registry, ticker):
    """Names and states of a ticker's runs."""
    experiment = registry._client.get_experiment_by_name(f"tickloom/{MARKET}/{ticker}")
    found = registry._client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL)
    return sorted((it.info.run_name, it.info.status) for it in found)


def test_the_first_champion_is_the_random_walk_and_stays_it(registry, trained):
    scores = ({"model": "drift", "h": 1, "rmse": 1.5, "direction": float("nan"), "verdict": "worse"},)
    pushed = registry.push(trained("AAA", scores=scores))
    assert (pushed.number, pushed.model, pushed.verdict) == (2, "drift", "worse")
    again = registry.push(trained("AAA", "seasonal_naive"))
    found = registry.versions(MARKET, "AAA")
    assert [(it.number, it.model, it.aliases) for it in found] == [
        (again.number, "seasonal_naive", ()),
        (2, "drift", ()),
        (1, "random_walk", ("champion",)),
    ]
    assert runs(registry, "AAA") == [(it, "FINISHED") for it in ("drift", "random_walk", "seasonal_naive")]
    run = registry._client.get_run(pushed.run)
    assert (run.data.params["model"], run.data.params["horizon"]) == ("drift", "2")
    assert run.data.metrics == {"rmse": 1.5}
    assert "Verdict, one session ahead: worse" in run.data.tags["mlflow.note.content"]


def test_versions_are_pulled_by_alias_and_number(registry, trained, tmp_path, capfd):
    registry.push(trained("BBB"))
    for version, model in (("champion", "random_walk"), ("2", "drift")):
        found = registry.pull(MARKET, "BBB", tmp_path / version, version)
        loaded, manifest = package.read(tmp_path / version / "package")
        assert (found.model, loaded.name, manifest.ticker) == (model, model, "BBB")
    assert capfd.readouterr() == ("", "")


def test_an_evaluation_is_a_part_of_the_run_and_not_of_what_is_pulled(registry, trained, tmp_path):
    folder = trained("CCC")
    (folder / "evaluation" / "plots").mkdir(parents=True)
    for name in ("report.html", "plots/error.png"):
        (folder / "evaluation" / name).write_text("<p>")
    made = registry.push(folder)
    files = [
        it.path for place in ("", "/plots") for it in registry._client.list_artifacts(made.run, f"evaluation{place}")
    ]
    assert files == ["evaluation/plots", "evaluation/report.html", "evaluation/plots/error.png"]
    registry.pull(MARKET, "CCC", tmp_path / "pulled", "2")
    assert {it.name for it in (tmp_path / "pulled" / "package").iterdir()} == {
        "MLmodel", "card.md", "manifest.json", "model", "requirements.txt",
    }  # fmt: skip


def test_a_run_names_data_features_and_versions(registry, trained):
    folder = trained("JJJ", "ridge")
    manifest = package.read_manifest(folder)
    run = registry._client.get_run(registry.push(folder).run)
    (data,) = run.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("XNYS.JJJ", manifest.data_sha256[:36])
    assert json.loads(data.dataset.profile) == {
        "sessions": 500, "first_day": manifest.first_day, "last_day": manifest.last_day,
        "data_sha256": manifest.data_sha256,
    }  # fmt: skip
    assert [(it.key, it.value) for it in data.tags] == [("mlflow.data.context", "training")]
    assert run.data.tags["tickloom.features"] == "ret_1"
    assert run.data.params["version.numpy"] == np.__version__
    assert (run.data.params["first_day"], run.data.params["feature_version"]) == (manifest.first_day, "1")


def source(registry, made):
    """Return the folder that MLflow has of a version."""
    return url2pathname(urlparse(registry._client.get_model_version(made.name, str(made.number)).source).path)


def described(registry, made):
    """Return MLflow's own description of a version, from where its pages take it."""
    from mlflow.models import Model

    return Model.load(source(registry, made))


@pytest.mark.parametrize(
    ("ticker", "name", "inputs", "output"),
    [
        ("SIA", "ridge", [("features", "float32", (-1, 44))], ("variable", "float32", (-1, 2))),
        ("SIB", "lstm", [("windows", "float32", (-1, 8, 44))], ("log_returns", "float32", (-1, 2))),
        ("SIC", "drift", [("close", "float64", (-1,))], ("log_returns", "float64", (-1, 2))),
        (
            "SID",
            "ridge_recursive",
            [(it, "float64", (-1,)) for it in ("open", "high", "low", "close", "volume")],
            ("log_returns", "float64", (-1, 2)),
        ),
    ],
)
def test_mlflow_knows_what_goes_in_and_what_comes_out(ticker, name, inputs, output, registry, tmp_path):
    frame = feature_frame(history(600, ticker=ticker))
    model = (small(name, epochs=1) if name == "lstm" else make(name, 2)).fit(frame)
    package.write(tmp_path, model, Manifest.of(model, frame))
    made = registry.push(tmp_path)
    found = described(registry, made)
    told = [
        [(it.name, it.type.name, it.shape) for it in side.inputs]
        for side in (found.signature.inputs, found.signature.outputs)
    ]
    assert told == [inputs, [output]]
    assert found.run_id == made.run
    assert found.metadata["features"] == list(() if name == "drift" else frame.names)
    assert found.flavors["tickloom"]["model"] == name
    if "onnx" not in found.flavors:
        return
    # what is promised can be called: MLflow's loader gives the model's own forecasts
    rows = np.arange(560, 600)
    given = windows_at(frame.values, rows, model.window)
    session = onnxruntime.InferenceSession(load_model(source(registry, made)).SerializeToString())
    (answered,) = session.run([output[0]], {inputs[0][0]: given if len(inputs[0][2]) == 3 else given[:, -1]})
    np.testing.assert_allclose(answered, model.predict(frame, rows).mean, atol=1e-7)


def test_the_random_walk_of_a_ticker_has_a_signature_too(registry, trained):
    registry.push(trained("KKK"))
    first = next(it for it in registry.versions(MARKET, "KKK") if it.model == "random_walk")
    assert described(registry, first).signature.inputs.input_names() == ["close"]


def test_an_unknown_version_is_a_sentence(registry, trained, tmp_path):
    registry.push(trained("DDD"))
    known = r"known: 2 \(drift\), 1 \(random_walk, champion\); name one of these"
    with pytest.raises(TickloomError, match=rf"DDD on XNYS has no version '7' in sqlite.*; {known}"):
        registry.pull(MARKET, "DDD", tmp_path, "7")
    known = "known: none; `tickloom train NOPE --model ridge` makes one"
    with pytest.raises(TickloomError, match=rf"NOPE on XNYS has no version 'champion' in sqlite.*; {known}"):
        registry.pull(MARKET, "NOPE", tmp_path)
    assert registry.versions(MARKET, "NOPE") == []


def test_a_database_is_there_whole_or_not_at_all(tmp_path, monkeypatch, trained):
    path = tmp_path / "new" / "mlflow.db"

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr("tickloom.forecast.database.os.link", killed)
        with pytest.raises(KeyboardInterrupt):
            Registry(f"sqlite:///{path}")
    assert not list(path.parent.iterdir())
    other = Registry(f"sqlite:///{tmp_path / 'other.db'}")
    other.push(trained("HHH"))
    link = os.link

    def late(part, wanted):
        link(tmp_path / "other.db", wanted)
        link(part, wanted)

    monkeypatch.setattr("tickloom.forecast.database.os.link", late)
    assert len(Registry(f"sqlite:///{path}").versions(MARKET, "HHH")) == 2


def test_a_database_that_is_none_is_a_sentence(tmp_path):
    path = tmp_path / "mlflow.db"
    path.write_text("no database, but long enough to be taken for one " * 10)
    with pytest.raises(TickloomError, match=r"MLflow at sqlite.*not a database.*; see that the file is MLflow's"):
        Registry(f"sqlite:///{path}").versions(MARKET, "AAPL")


def test_a_folder_that_is_not_whole_is_not_pushed(registry, tmp_path):
    with pytest.raises(TickloomError, match="no trained model"):
        registry.push(tmp_path)


@pytest.mark.parametrize(
    "call", ["log_artifacts", "log_artifact", "log_batch", "log_inputs", "log_text", "create_model_version"]
)
def test_a_push_that_breaks_off_leaves_no_version(call, registry, trained, monkeypatch):
    ticker = f"E{call.upper().replace('_', '')}"
    folder = trained(ticker)

    def fail(*_, **__):
        raise MlflowException("the disk is full\nand more")

    with monkeypatch.context() as broken:
        broken.setattr(registry._client, call, fail)
        words = rf"the disk is full; .*is whole; register it later with `tickloom models {ticker} --push {folder}`"
        with pytest.raises(TickloomError, match=words):
            registry.push(folder)
    assert runs(registry, ticker) == [("random_walk", "FAILED")]
    assert registry.versions(MARKET, ticker) == []
    assert registry._client.search_registered_models(f"name='tickloom.{MARKET}.{ticker}'") == []
    assert package.read(folder)[1].ticker == ticker
    # the same folder can be pushed when MLflow is well again
    assert registry.push(folder).number == 2


def test_the_champion_is_kept_where_a_later_push_breaks_off(registry, trained, monkeypatch):
    registry.push(trained("FFF"))
    with monkeypatch.context() as broken:
        broken.setattr(
            registry._client, "create_model_version", lambda *_, **__: (_ for _ in ()).throw(OSError("gone"))
        )
        with pytest.raises(TickloomError, match="gone; "):
            registry.push(trained("FFF", "seasonal_naive"))
    assert runs(registry, "FFF") == [("drift", "FINISHED"), ("random_walk", "FINISHED"), ("seasonal_naive", "FAILED")]
    assert [it.aliases for it in registry.versions(MARKET, "FFF")] == [(), ("champion",)]


def test_a_random_walk_without_its_alias_becomes_the_champion(registry, trained, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(
            registry._client, "set_registered_model_alias", lambda *_: (_ for _ in ()).throw(OSError("gone"))
        )
        with pytest.raises(TickloomError, match="register it later"):
            registry.push(trained("GGG"))
    registry.push(trained("GGG", "seasonal_naive"))
    found = [(it.model, it.aliases) for it in registry.versions(MARKET, "GGG")]
    assert found == [("seasonal_naive", ()), ("random_walk", ("champion",))]


@pytest.fixture
def unwell():
    """An MLflow that answers nothing but 503, and counts how often it is asked."""

    class Handler(BaseHTTPRequestHandler):
        asked: ClassVar[list[str]] = []

        def do_GET(self):
            self.asked.append(self.path)
            self.send_response(503)
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *_):
            pass

    Handler.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", Handler.asked
        server.shutdown()


def test_an_mlflow_that_is_unwell_is_asked_three_times(unwell, trained):
    uri, asked = unwell
    folder = trained("HHH")
    with pytest.raises(TickloomError, match=rf"MLflow at {uri}: .*`tickloom models HHH --push {folder}`"):
        Registry(uri).push(folder)
    assert len(asked) == 3
    assert package.read(folder)[1].model == "drift"


def test_the_users_own_patience_holds_and_the_environment_stays(unwell, monkeypatch):
    uri, asked = unwell
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    before = dict(os.environ)
    with pytest.raises(TickloomError, match="see that it runs, and that TICKLOOM_MLFLOW and"):
        Registry(uri).versions(MARKET, "HHH")
    assert len(asked) == 1
    assert dict(os.environ) == before


def test_an_mlflow_that_is_away_is_a_sentence(trained):
    folder = trained("III")
    with pytest.raises(TickloomError, match=rf"MLflow at http://127\.0\.0\.1:9: .*tickloom models III --push {folder}"):
        Registry("http://127.0.0.1:9").push(folder)


def test_mlflow_prints_no_addresses_of_runs(registry):
    # with a server it would, on standard output, before the object of --json
    assert not MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.get()
    with reaching(registry.uri):
        assert MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.get()


def test_a_database_in_a_file_is_listed_again_once_it_has_changed(registry, trained, monkeypatch):
    registry.push(trained("LST"))
    stamps = iter([((1,),), ((1,),), ((2,),), None, None])
    monkeypatch.setattr("tickloom.forecast.registry.changed", lambda _: next(stamps))
    first = registry.listing()
    assert first.aliases[MARKET, "LST"] == {"champion": 1}
    registry.move_alias(MARKET, "LST", "champion", 2)
    registry._client.set_registered_model_tag(f"tickloom.{MARKET}.LST", "note", "x")
    assert registry.listing() is first
    again = registry.listing()
    assert again.aliases[MARKET, "LST"] == {"champion": 2}
    assert again.tags == {f"tickloom.{MARKET}.LST": {"note": "x"}}
    assert registry.listing() is not registry.listing()


def test_a_file_that_was_just_written_to_may_have_changed(tmp_path):
    path = tmp_path / "some.db"
    assert changed(path) is None
    path.write_text("a")
    assert changed(path) is None
    os.utime(path, (1e9, 1e9))
    before = changed(path)
    assert before is not None
    assert changed(path) == before
    log = tmp_path / "some.db-wal"
    log.write_text("b")
    os.utime(log, (1e9, 1e9))
    assert changed(path) not in (before, None)
