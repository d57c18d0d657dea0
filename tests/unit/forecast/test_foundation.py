"""Pretrained networks: read from a folder alone, asked with nothing after the cutoff, never without their remark."""

import hashlib
import json
import re
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tests.unit.forecast import made
from tests.unit.forecast.checkpoints import LONGEST, WRITERS
from tests.unit.forecast.series import frame
from tickloom.cli import audit as audit_verb
from tickloom.cli import evaluate as evaluate_verb
from tickloom.cli import forecast as forecast_verb
from tickloom.cli import train as train_verb
from tickloom.errors import TickloomError
from tickloom.forecast import package
from tickloom.forecast.audit import audit, small_models
from tickloom.forecast.evaluation import evaluate
from tickloom.forecast.features import FeatureFrame
from tickloom.forecast.folds import Plan
from tickloom.forecast.models import load, make, pretrained, remark
from tickloom.forecast.models.foundation import FLOOR, LEAST, LEVELS, Chronos, digest
from tickloom.forecast.package import Manifest
from tickloom.forecast.report import page
from tickloom.forecast.walk import walk_forward

SAID = "its training data may contain these sessions"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {kind: write(tmp_path_factory.mktemp(kind)) for kind, (_, write) in WRITERS.items()}


@pytest.fixture(scope="module")
def series():
    return frame(560)


@pytest.fixture
def bolt(folders, tmp_path):
    """A copy to be spoilt."""
    return shutil.copytree(folders["bolt"], tmp_path / "weights")


def fitted(kind, folders, series, horizon=3, seed=0, **more):
    return make(WRITERS[kind][0], horizon, weights=folders[kind], **more).fit(series, seed=seed)


def bare(inputs):
    """Return the sessions alone: all that is read here."""
    return FeatureFrame(inputs.history, (), np.empty((len(inputs.history), 0)))


@pytest.mark.parametrize("kind", WRITERS)
def test_it_forecasts_from_a_folder_and_touches_no_network(kind, folders, series, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the network was touched")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    pretrained.opened.cache_clear()
    rows = np.arange(520, 560)
    found = fitted(kind, folders, series).predict(series, rows)
    assert found.mean.shape == (40, 3)
    assert tuple(found.quantiles) == LEVELS
    stacked = np.stack(list(found.quantiles.values()))
    assert stacked.shape == (9, 40, 3)
    assert (np.diff(stacked, axis=0) >= 0).all()
    assert np.isfinite(found.mean).all()
    assert len(np.unique(found.mean)) > 40  # weights of chance, but no constant


@pytest.mark.parametrize("kind", WRITERS)
def test_the_same_seed_gives_the_same_forecast_whoever_is_asked_with_it(kind, folders, series):
    rows = np.arange(520, 560)
    first, again = (fitted(kind, folders, series, seed=3).predict(series, rows).mean for _ in range(2))
    np.testing.assert_array_equal(first, again)
    model = fitted(kind, folders, series, seed=3)
    alone = np.concatenate([model.predict(series, [row]).mean for row in rows[::13]])
    np.testing.assert_allclose(alone, first[::13], atol=1e-6)
    other = fitted(kind, folders, series, seed=4)
    assert other.random == (kind == "t5")
    assert np.array_equal(other.predict(series, rows).mean, first) == (not other.random)


def test_the_state_of_torch_is_left_as_it_was(folders, series):
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    fitted("t5", folders, series).predict(series)
    assert torch.equal(torch.rand(3), expected)
    assert not torch.are_deterministic_algorithms_enabled()


def test_chronos_says_what_the_library_says_of_the_closes_until_the_cutoff(folders, series):
    from chronos import BaseChronosPipeline

    row, closes = 540, series.history.close
    pipeline = BaseChronosPipeline.from_pretrained(folders["bolt"])
    context = torch.tensor(closes[row - 99 : row + 1], dtype=torch.float32)
    quantiles, median = pipeline.predict_quantiles(context[None], prediction_length=3, quantile_levels=list(LEVELS))
    found = fitted("bolt", folders, series, context=100).predict(series, [row])
    np.testing.assert_allclose(found.mean[0], np.log(median[0].numpy() / closes[row]), atol=1e-5)
    ordered = np.sort(quantiles[0].numpy(), axis=1)[:, 0]
    np.testing.assert_allclose(found.quantiles[0.1][0], np.log(ordered / closes[row]), atol=1e-5)


@pytest.mark.parametrize(("kind", "context"), [("timesfm25", 128), ("timesfm2", 256)])
def test_timesfm_says_what_transformers_says_of_whole_patches_until_the_cutoff(kind, context, folders, series):
    from transformers import TimesFm2_5ModelForPrediction, TimesFmModelForPrediction

    row, closes = 540, series.history.close
    class_ = TimesFm2_5ModelForPrediction if kind == "timesfm25" else TimesFmModelForPrediction
    model = class_.from_pretrained(folders[kind])
    past = [torch.tensor(closes[row + 1 - context : row + 1], dtype=torch.float32)]
    with torch.no_grad():
        found = model(past_values=past, forecast_context_len=context)
    ours = fitted(kind, folders, series, context=context + 20).predict(series, [row])
    np.testing.assert_allclose(ours.mean[0], np.log(found.mean_predictions[0, :3].numpy() / closes[row]), atol=1e-5)
    top = found.full_predictions[0, :3, 1:].max(dim=1).values.numpy()
    np.testing.assert_allclose(ours.quantiles[0.9][0], np.log(top / closes[row]), atol=1e-5)


def test_it_reads_as_many_closes_as_it_is_told_and_fewer_where_there_are_fewer(folders, series):
    rows = [300, 540]
    short, long = (fitted("bolt", folders, series, context=it).predict(series, rows).mean for it in (64, 128))
    assert (short != long).all()
    early = FeatureFrame(series.history.between(0, LEAST + 1), (), np.empty((LEAST + 1, 0)))
    assert fitted("bolt", folders, early).predict(early, [LEAST - 1, LEAST]).mean.shape == (2, 3)
    with pytest.raises(TickloomError, match=f"possible from {LEAST - 1} on"):
        fitted("bolt", folders, early).predict(early, [LEAST - 2])


def test_nothing_after_a_cutoff_changes_a_forecast(folders):
    names = {kind: (lambda kind=kind: make(WRITERS[kind][0], 1, weights=folders[kind])) for kind in WRITERS}
    asked = []
    assert audit(features=bare, models=names, walk=None, report=asked.append) == []
    assert set(asked) == {"features", *WRITERS}


def test_the_audit_would_see_one_that_reads_the_next_close(folders, monkeypatch):
    real = pretrained.ChronosNetwork.forecast

    def peek(self, contexts, *more):
        later = [it.base[: len(it) + 1] if it.base is not None else it for it in contexts]
        return real(self, later, *more)

    monkeypatch.setattr(pretrained.ChronosNetwork, "forecast", peek)
    maker = lambda: make("chronos", 2, weights=folders["bolt"], context=2000)  # noqa: E731
    found = audit(features=bare, models={"chronos": maker}, walk=None)
    assert {(it.check, it.subject) for it in found} >= {("forecast", "chronos")}


def test_the_audit_lists_it_where_weights_are_given(folders):
    left, notes = small_models()
    assert not {"chronos", "timesfm"} & set(left)
    assert sum("option weights is missing" in it for it in notes) == 2
    given, _ = small_models(given={"chronos": {"weights": str(folders["bolt"])}})
    assert "chronos" in given
    with pytest.raises(TickloomError, match="no folder"):
        small_models(given={"chronos": {"weights": "/away"}})
    options = ["leakage", "--model", "chronos", "--option", f"chronos.weights={folders['chronos2']}", "--json"]
    result = CliRunner().invoke(audit_verb.app, options, catch_exceptions=False)
    assert (json.loads(result.stdout)["models"], result.exit_code) == (["chronos"], 0)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (None, "option weights is missing; name a folder on this machine"),
        ("amazon/chronos-bolt-small", "no folder here; nothing is downloaded, so bring the files"),
        ("s3://bucket/chronos", "nothing is downloaded"),
        ("https://somewhere/chronos", "nothing is downloaded"),
        ("/nowhere/at/all", "'/nowhere/at/all' are no folder; name a folder on this machine"),
        (12, "'12' are no folder"),
    ],
)
def test_what_is_no_folder_is_refused_before_anything_is_read(weights, said):
    for name in ("chronos", "timesfm"):
        with pytest.raises(TickloomError, match=f"^{name}: .*{said}"):
            make(name, 2, weights=weights)


def test_a_folder_that_has_the_form_of_a_hubs_name_is_a_folder(bolt, monkeypatch):
    monkeypatch.chdir(bolt.parent)
    bolt.rename(bolt.parent / "chronos")
    (bolt.parent / "amazon").mkdir()
    (bolt.parent / "chronos").rename("amazon/chronos")
    assert make("chronos", 2, weights="amazon/chronos").weights == (bolt.parent / "amazon" / "chronos").resolve()


def test_a_folder_that_lacks_a_file_is_refused(bolt):
    (bolt / "adapter_config.json").write_text("{}")
    with pytest.raises(TickloomError, match="holds an adapter"):
        make("chronos", 2, weights=bolt)
    (bolt / "adapter_config.json").unlink()
    (bolt / "model.safetensors").rename(bolt / "pytorch_model.bin")
    with pytest.raises(TickloomError, match=r"no \*\.safetensors, and pickled weights are not read"):
        make("chronos", 2, weights=bolt)
    (bolt / "config.json").write_text("{")
    (bolt / "pytorch_model.bin").rename(bolt / "model.safetensors")
    with pytest.raises(TickloomError, match=r"config\.json: no JSON \("):
        make("chronos", 2, weights=bolt)
    (bolt / "config.json").unlink()
    with pytest.raises(TickloomError, match=r"has no config\.json"):
        make("chronos", 2, weights=bolt)


def test_weights_of_another_model_are_refused(folders):
    with pytest.raises(TickloomError, match=r"not of Chronos: it has no chronos_config; it says model_type 'timesfm'"):
        make("chronos", 2, weights=folders["timesfm2"])
    with pytest.raises(TickloomError, match="says model_type 't5', not timesfm or timesfm2_5"):
        make("timesfm", 2, weights=folders["bolt"])


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("bolt", "output_patch_embedding.hidden_layer.weight"),  # which its library lets be missing
        ("t5", "decoder.final_layer_norm.weight"),
        ("chronos2", "input_patch_embedding.output_layer.bias"),
        ("timesfm25", "output_projection_point.output_layer.weight"),
    ],
)
def test_tensors_that_are_missing_are_not_filled_by_chance(kind, name, folders, series, tmp_path):
    from safetensors.torch import load_file, save_file

    spoilt = shutil.copytree(folders[kind], tmp_path / "weights")
    tensors = load_file(spoilt / "model.safetensors")
    del tensors[name]
    save_file(tensors, spoilt / "model.safetensors", {"format": "pt"})
    with pytest.raises(TickloomError, match=f"1 tensors are missing, such as {re.escape(name)}"):
        make(WRITERS[kind][0], 2, weights=spoilt).fit(series)


def test_a_torn_file_is_a_sentence(bolt, series):
    path = bolt / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(TickloomError, match=r"cannot be read as its weights \(.+\); take the folder from its source"):
        make("chronos", 2, weights=bolt).fit(series)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"context": LEAST - 1}, "context 31 must be 32 or more"),
        ({"context": 100.5}, "context 100.5 must be 32 or more"),
        ({"threads": 0}, "threads 0 must be 1 or more"),
        ({"samples": 3}, "option .*samples.* is unknown; known: weights, context, threads"),
    ],
)
def test_odd_options_are_refused(options, said, folders):
    with pytest.raises(TickloomError, match=said):
        make("chronos", 2, weights=folders["bolt"], **options)


def test_it_forecasts_no_further_than_it_was_trained_to(folders, series):
    for kind in ("bolt", "timesfm25"):
        assert fitted(kind, folders, series, horizon=LONGEST).predict(series).mean.shape == (1, LONGEST)
        with pytest.raises(TickloomError, match=f"forecasts {LONGEST} sessions ahead, not {LONGEST + 1}"):
            fitted(kind, folders, series, horizon=LONGEST + 1)


def test_a_price_of_zero_has_a_floor_and_one_that_is_no_number_is_refused(folders, series, monkeypatch):
    class Given:
        longest, samples = 5, False

        def __init__(self, price):
            self.price = price

        def forecast(self, contexts, horizon, levels, *_):
            return np.full((1, horizon), self.price), np.full((1, horizon, len(levels)), self.price)

    model = fitted("bolt", folders, series)
    monkeypatch.setattr(pretrained, "opened", lambda *_: Given(0.0))
    found = model.predict(series)
    assert (found.mean == np.log(FLOOR)).all()
    assert (found.quantiles[0.5] == np.log(FLOOR)).all()
    monkeypatch.setattr(pretrained, "opened", lambda *_: Given(np.nan))
    with pytest.raises(TickloomError, match="forecasts that are no numbers"):
        model.predict(series)


def test_a_library_that_is_missing_is_a_sentence(folders, series, monkeypatch):
    model = fitted("bolt", folders, series)
    pretrained.opened.cache_clear()
    monkeypatch.setitem(sys.modules, "chronos", None)
    with pytest.raises(TickloomError, match=r"chronos needs chronos: pip install 'tickloom\[foundation\]'"):
        model.predict(series)


def test_it_is_found_and_read_without_torch():
    code = "import sys, tickloom.forecast.models.foundation; assert not {'torch', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_hash_is_that_of_the_hashes(folders):
    names = ("config.json", "generation_config.json", "model.safetensors")
    lines = [f"{hashlib.sha256((folders['t5'] / it).read_bytes()).hexdigest()}  {it}\n" for it in names]
    assert digest(folders["t5"]) == hashlib.sha256("".join(lines).encode()).hexdigest()


@pytest.mark.parametrize("kind", ["t5", "timesfm25"])
def test_what_was_saved_names_the_weights_and_forecasts_the_same(kind, folders, series, tmp_path):
    model = fitted(kind, folders, series, seed=7, context=96)
    model.save(tmp_path)
    assert [it.name for it in tmp_path.iterdir()] == ["parameters.json"]
    loaded = load(tmp_path)
    assert loaded.parameters() == model.parameters()
    assert (loaded.parameters()["sha256"], loaded.seed, loaded.context) == (digest(folders[kind]), 7, 96)
    np.testing.assert_array_equal(loaded.predict(series).mean, model.predict(series).mean)


def test_a_model_that_was_not_fitted_is_not_saved(folders, series, tmp_path):
    model = make("chronos", 2, weights=folders["bolt"])
    for ask in (lambda: model.save(tmp_path), lambda: model.predict(series)):
        with pytest.raises(TickloomError, match="chronos is not fitted yet"):
            ask()
    assert list(tmp_path.iterdir()) == []


def test_other_weights_than_it_was_judged_with_are_refused(bolt, series, tmp_path):
    make("chronos", 2, weights=bolt).fit(series).save(tmp_path / "model")
    path = bolt / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(TickloomError, match=r"are others than it was judged with: their SHA-256 is \w{64}, not \w{64}"):
        load(tmp_path / "model")
    shutil.rmtree(bolt)
    with pytest.raises(TickloomError, match=r"its weights are not at .+ on this machine, and are not saved with"):
        load(tmp_path / "model")
    saved = tmp_path / "model" / "parameters.json"
    saved.write_text('{"model": "chronos", "horizon": 2}')
    with pytest.raises(TickloomError, match=r"parameters\.json: not what a model writes"):
        load(tmp_path / "model")
    saved.write_text('{"model": "timesfm", "horizon": 2}')
    with pytest.raises(TickloomError, match="holds the model 'timesfm', not 'chronos'"):
        Chronos.load(tmp_path / "model")


def test_it_walks_beside_the_others_with_as_many_seeds_as_it_has_chance(folders, series):
    plan = Plan(1, 20, 2)
    names, seeds = ["random_walk", "chronos", "timesfm"], (0, 1)
    for kind, runs in (("t5", 2), ("bolt", 1)):
        options = {"chronos": {"weights": str(folders[kind])}, "timesfm": {"weights": folders["timesfm25"]}}
        long = walk_forward(series, names, plan, seeds=seeds, options=options)
        assert long.groupby("model")["seed"].nunique().to_dict() == {"chronos": runs, "random_walk": 1, "timesfm": 1}
        mine = long[long["model"] == "chronos"]
        assert mine[[f"q{it:g}" for it in LEVELS]].notna().all().all()
        assert len(mine) == runs * 20 * 2


def test_no_verdict_stands_without_the_remark(folders, capsys):
    histories = [made.history(700, seed=2)]
    options = {"chronos": {"weights": str(folders["bolt"])}}
    found = evaluate(
        histories, ["random_walk", "drift", "chronos"], Plan(2, 60, 2), options=options, smooth=["chronos"]
    )
    assert set(found.remarks) == {"chronos", "chronos_smoothed"}
    assert SAID in found.summary()["remarks"]["chronos"]
    assert page(found).count(SAID) == 2
    evaluate_verb._print(found, None)
    shown = " ".join(capsys.readouterr().out.split())
    assert f"chronos: it was pretrained elsewhere, and {SAID}" in shown
    assert shown.count(SAID) == 2
    assert {remark(it) for it in ("random_walk", "drift", "lstm", "ridge")} == {""}


def test_the_card_says_that_it_may_have_seen_the_sessions(folders, series, tmp_path):
    model = fitted("bolt", folders, series)
    scores = ({"model": "chronos", "h": 1, "rmse": 1.0, "verdict": "beats_naive"},)
    package.write(tmp_path, model, Manifest.of(model, series, scores=scores))
    loaded, manifest = package.read(tmp_path)
    assert (manifest.verdict, SAID in manifest.remark, manifest.features) == ("beats_naive", True, ())
    assert manifest.parameters["sha256"] == digest(folders["bolt"])
    assert {"transformers", "chronos-forecasting"} <= manifest.environment.keys()
    card = (tmp_path / "card.md").read_text()
    assert f"one session ahead: beats_naive, but it was pretrained elsewhere, and {SAID}." in card
    assert "learned nothing from 560 sessions" in card
    assert "nothing else" not in card
    assert str(folders["bolt"]) in card
    assert manifest.of_reference(make("random_walk", 3)).remark == ""
    np.testing.assert_array_equal(loaded.predict(series).mean, model.predict(series).mean)


def test_the_verbs_take_the_weights_and_give_the_remark(folders, tmp_path):
    history = frame(560, ticker="AAPL").history
    file = tmp_path / "AAPL.csv"
    days = history.day.astype("datetime64[D]")
    file.write_text(
        "Date,Close\n" + "".join(f"{day},{close}\n" for day, close in zip(days, history.close, strict=True))
    )
    weights, out = f"chronos.weights={folders['bolt']}", tmp_path / "model"

    def run(app, *arguments):
        result = CliRunner().invoke(app, [str(it) for it in arguments], catch_exceptions=False)
        assert result.exit_code == 0
        return " ".join(result.stdout.split())

    common = ("--option", weights, "--horizon", 2)
    told = run(
        train_verb.app, "AAPL", "--model", "chronos", "--data", file, "--folds", 0, "--no-push",
        "--out", out, *common,
    )  # fmt: skip
    assert SAID in told
    shown = run(forecast_verb.app, "AAPL", "--data", file, "--package", out, "--json")
    assert SAID in json.loads(shown[shown.index("{") :])["remark"]
    assert SAID in run(forecast_verb.app, "AAPL", "--data", file, "--package", out)
    shutil.move(folders["bolt"], tmp_path / "away")
    try:
        with pytest.raises(TickloomError, match="its weights are not at"):
            run(forecast_verb.app, "AAPL", "--data", file, "--package", out)
    finally:
        shutil.move(tmp_path / "away", folders["bolt"])
