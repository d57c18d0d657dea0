"""What stands around a step in its process, with steps that are made up here."""

import json
from importlib import import_module
from types import ModuleType

import pytest

from pipelines import ending, runtime
from tickloom.errors import TickloomError
from tickloom.settings import settings


@pytest.fixture
def steps(monkeypatch):
    """Put made-up steps in the place of those of a retraining."""
    module = ModuleType("made_up_steps")
    monkeypatch.setattr(runtime, "import_module", lambda name: module)
    return module


@pytest.fixture
def journal(monkeypatch, tmp_path):
    monkeypatch.setenv(runtime.WORK, str(tmp_path / "work"))
    monkeypatch.setenv(runtime.RUN, "r1")
    return tmp_path / "work" / "runs" / "r1"


def fails(*, out, **_):
    raise TickloomError("too few sessions")


def writes(*, out, ticker, model, value=1):
    facts = {"step": "train", "ticker": ticker, "model": model, "value": value}
    (out / runtime.RESULT).write_text(json.dumps(facts))
    return facts


PAIR = {"ticker": "AAPL", "model": "ridge"}


@pytest.mark.parametrize(("files", "kept"), [((), False), (("username", "password"), True), (("ca.crt",), True)])
def test_a_secret_that_is_missing_is_no_login(steps, monkeypatch, tmp_path, files, kept):
    folder = tmp_path / "login"
    folder.mkdir()
    for name in files:
        (folder / name).write_text("it")
    monkeypatch.setenv(runtime.LOGIN, str(folder))
    found = []
    steps.extract = lambda *, out: found.append(runtime.os.environ.get(runtime.LOGIN)) or {"step": "extract"}
    runtime.attempt("extract", str(tmp_path / "out"))
    assert found == [str(folder) if kept else None]


def test_each_step_is_where_it_is_looked_for():
    from tickloom.retrain import steps as all_of_them

    for name, module in runtime.STEPS.items():
        assert getattr(import_module(f"tickloom.retrain.{module}"), name) is getattr(all_of_them, name)
    assert set(runtime.STEPS) == set(all_of_them.__all__)


def test_a_step_is_done_and_its_facts_are_kept(steps, journal, tmp_path, capsys):
    steps.train = writes
    facts = runtime.attempt("train", str(tmp_path / "out"), **PAIR, value=None)
    assert facts == {"step": "train", **PAIR}  # None is no parameter of Kubeflow
    assert json.loads((journal / "train-AAPL-ridge.json").read_text())["value"] is None
    said = [json.loads(it.removeprefix(runtime.MARK)) for it in capsys.readouterr().out.splitlines()]
    assert [it["state"] for it in said] == ["begins", "done"]


def test_what_was_not_asked_for_or_went_on_from_a_checkpoint_is_told(steps, tmp_path, capsys):
    steps.tune = lambda **_: {"step": "tune", "ended": "not asked for"}
    steps.train = lambda **_: {"step": "train", "remark": "resumed from a checkpoint at epoch 4 of at most 9"}
    for name in ("tune", "train"):
        runtime.attempt(name, str(tmp_path / name), **PAIR)
    said = [json.loads(it.removeprefix(runtime.MARK)) for it in capsys.readouterr().out.splitlines()]
    assert [(it["state"], it.get("why", "")[:7]) for it in said[1::2]] == [("not asked for", ""), ("done", "resumed")]


def test_a_forgiven_failure_is_a_result_and_what_follows_is_left_out(steps, tmp_path):
    steps.tune, steps.train = fails, writes
    first, second = str(tmp_path / "tune"), str(tmp_path / "train")
    facts = runtime.attempt("tune", first, forgive=True, **PAIR)
    assert facts == {"step": "tune", **PAIR, "failed": "too few sessions"}
    assert runtime.attempt("train", second, after=[first], **PAIR) == facts
    assert runtime.failure([second]) == facts


def test_another_failure_goes_up_and_stays_in_the_journal(steps, journal, tmp_path):
    steps.compare = fails
    with pytest.raises(TickloomError, match="too few sessions"):
        runtime.attempt("compare", str(tmp_path / "out"), **PAIR)
    assert json.loads((journal / "compare-AAPL-ridge.json").read_text())["failed"] == "too few sessions"


def test_an_accident_is_never_forgiven(steps, tmp_path):
    def breaks(**_):
        raise MemoryError

    steps.train = breaks
    with pytest.raises(MemoryError):
        runtime.attempt("train", str(tmp_path / "out"), forgive=True, **PAIR)


def test_pairs_are_tickers_with_models():
    facts = {"ok": ["AAPL", "MSFT"], "skipped": {}}
    found = runtime.pairs(facts, ["lstm", "ridge"], {"lstm": {"epochs": 2.0}}, "d")
    assert [(it["ticker"], it["model"]) for it in found] == [
        ("AAPL", "lstm"), ("AAPL", "ridge"), ("MSFT", "lstm"), ("MSFT", "ridge"),
    ]  # fmt: skip
    assert {it["digest"] for it in found} == {"d"}
    assert [it["options"] for it in found[:2]] == ['{"epochs": 2}', "{}"]


@pytest.mark.parametrize(
    ("ok", "models", "said"),
    [
        ([], ["ridge"], "no ticker can be learned from: X: only 12 sessions"),
        (["A"], [], "models: none is named"),
        (["A"], ["ridge", "ridge"], "name each once"),
    ],
)
def test_without_pairs_a_run_ends_with_the_reason(ok, models, said):
    with pytest.raises(TickloomError, match=said):
        runtime.pairs({"ok": ok, "skipped": {"X": "only 12 sessions"}}, models, {}, "d")


def test_a_checkpoint_outlives_the_run_where_there_is_a_place_for_it(monkeypatch, tmp_path):
    monkeypatch.delenv(runtime.WORK, raising=False)
    assert runtime.checkpoint("checkpoints", "XNYS", "AAPL", "lstm") is None
    monkeypatch.setenv(runtime.WORK, str(tmp_path))
    first = runtime.checkpoint("checkpoints", "XNYS", "AAPL", "lstm")
    monkeypatch.setenv(runtime.RUN, "another")
    assert first == runtime.checkpoint("checkpoints", "XNYS", "AAPL", "lstm")
    assert first != runtime.checkpoint("checkpoints", "XNYS", "MSFT", "lstm")


def test_whole_numbers_come_back_from_kubeflow_as_they_were():
    assert runtime.whole({"epochs": 3.0, "rate": 0.5, "deep": [{"n": 2.0}, True, "x"]}) == {
        "epochs": 3,
        "rate": 0.5,
        "deep": [{"n": 2}, True, "x"],
    }
    assert type(runtime.whole(3.0)) is int


def test_metrics_are_all_numbers_by_their_path():
    assert runtime.numbers({"a": 1, "b": {"c": 0.5, "d": "x"}, "e": True, "f": [1]}) == {"a": 1.0, "b.c": 0.5, "e": 1.0}


def test_without_gpus_a_network_learns_on_the_processor():
    assert runtime.device("0") == runtime.device("") == "cpu"


def test_the_registry_is_the_one_given_or_that_of_the_environment(monkeypatch):
    monkeypatch.delenv("TICKLOOM_MLFLOW", raising=False)
    settings.cache_clear()
    assert runtime.registry("http://mlflow:5000") == "http://mlflow:5000"
    with pytest.raises(TickloomError, match="no MLflow is named"):
        runtime.registry("")
    monkeypatch.setenv("TICKLOOM_MLFLOW", "http://ours:5000")
    settings.cache_clear()
    assert runtime.registry("") == "http://ours:5000"
    settings.cache_clear()


def gate(ticker, model, passed=True):
    return {"step": "gate", "ticker": ticker, "model": model, "passed": passed}


def test_what_failed_takes_no_part_in_fairness():
    failed = {"step": "train", "ticker": "MSFT", "model": "lstm", "failed": "no"}
    parts = [[{"step": "train", **PAIR}, gate("AAPL", "ridge")], [failed]]
    assert ending.gates(parts) == [gate("AAPL", "ridge")]


def test_only_what_is_allowed_is_registered_each_with_its_own_folders(steps, tmp_path):
    asked = []
    steps.register = lambda **it: asked.append(it) or {"step": "register", "registered": True}
    found = ending.register_all(
        [{"ticker": "MSFT", "model": "ridge"}],
        [[gate("AAPL", "ridge")], [gate("MSFT", "ridge")]],
        ["p0", "p1"],
        ["j0", "j1"],
        ["g0", "g1"],
        str(tmp_path),
        market="XNYS",
        mlflow="sqlite:///x",
        arms={"ridge": "r"},
        run="run-1",
    )
    assert len(found) == 1
    (call,) = asked
    told = [str(call[it]) for it in ("ticker", "trained", "evaluated", "gated", "run", "arm")]
    assert told == ["MSFT", "p1", "j1", "g1", "run-1", "r"]


def test_a_run_with_a_failed_model_is_marked():
    ending.settle({"registered": 2.0, "skipped": 1.0})
    with pytest.raises(TickloomError, match="1 of 3 models failed"):
        ending.settle({"registered": 2.0, "skipped": 1.0, "failed": 1.0})


def test_the_report_links_the_page_of_each_walk_forward(journal, tmp_path):
    judged = tmp_path / "judged"
    judged.mkdir()
    (judged / "report.html").write_text("the walk-forward")
    facts = {"step": "evaluate", **PAIR, "verdict": "worse", "report": "report.html"}
    (judged / runtime.RESULT).write_text(json.dumps(facts))
    parts = ending.of_pair([str(judged)], {"step": "gate", **PAIR, "failed": "no"})
    ending.report_all([{"step": "train", **PAIR}, parts[0]], str(tmp_path / "out"), str(tmp_path / "page"))
    page = (journal / ending.PAGE).read_text()
    assert "<a href='evaluate-AAPL-ridge.html'>" in page
    assert (journal / "evaluate-AAPL-ridge.html").read_text() == "the walk-forward"


def test_a_run_that_made_features_of_no_ticker_is_marked():
    ending.settle_features({"ok": ["AAPL"], "skipped": {"CVX": "cannot be read"}})
    with pytest.raises(TickloomError, match="no ticker has features: CVX: cannot be read"):
        ending.settle_features({"ok": [], "skipped": {"CVX": "cannot be read"}})


def test_a_broken_run_still_has_a_report_of_what_it_did(journal, tmp_path):
    journal.mkdir(parents=True)
    (journal / "split.json").write_text(json.dumps({"step": "split", "skipped": {"X": "only 12 sessions"}}))
    (journal / "compare.json").write_text(json.dumps({"step": "compare", **PAIR, "failed": "MLflow is away"}))
    ending.conclusion("FAILED", "Task failed", "drift", "prod/aapl", str(tmp_path / "page"))
    page = (tmp_path / "page").read_text()
    assert "MLflow is away" in page
    assert "only 12 sessions" in page


def test_a_run_without_a_journal_says_how_it_ended_and_who_asked(monkeypatch, tmp_path):
    monkeypatch.delenv(runtime.WORK, raising=False)
    ending.conclusion("FAILED", "node was lost", "drift", "prod/aapl", str(tmp_path / "page"))
    page = (tmp_path / "page").read_text()
    assert "node was lost" in page
    assert "prod/aapl: drift" in page


def test_the_page_of_a_whole_run_is_its_report(journal, tmp_path):
    journal.mkdir(parents=True)
    (journal / ending.PAGE).write_text("the report")
    ending.conclusion("SUCCEEDED", "", "drift", "prod/aapl", str(tmp_path / "page"))
    assert (tmp_path / "page").read_text() == "the report"
