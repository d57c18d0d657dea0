"""Tuning: what it may see, that it goes on where it was broken off, and that its trials are counted."""

import numpy as np
import optuna
import pytest

from tests.unit.retrain.world import MARKET, SMALL, World, doubled, write_csv
from tickloom.errors import TickloomError
from tickloom.retrain import steps, tuning
from tickloom.retrain.division import case
from tickloom.retrain.usual import PATIENCE

GIVEN = {"epochs": 1, "width": 0.06}


def tune(world, out, **more):
    given = {"ticker": "AAPL", "model": "lstm", "options": GIVEN, "trials": 3, **more}
    return steps.tune(**world.bars, out=out, **given)


def test_without_trials_or_choices_options_stay_as_they_are_given(world, tmp_path):
    found = tune(world, tmp_path, trials=0)
    assert (found["options"], found["trials"], found["why"]) == (
        {**GIVEN, "patience": PATIENCE},
        0,
        "no trials were asked for",
    )
    assert tune(world, tmp_path, trials=0, options={"patience": 9})["options"] == {"patience": 9}
    found = tune(world, tmp_path, model="ridge", options=None)
    assert (found["options"], found["trials"], found["why"]) == ({}, 0, "ridge has no options to try")


def test_an_unknown_option_is_said_before_anything_is_tried(world, tmp_path):
    with pytest.raises(TickloomError, match="option 'depth' is unknown"):
        tune(world, tmp_path, options={"depth": 3})


def test_folds_are_purged_and_end_before_the_walk_forward(world):
    found = case("AAPL", world.root / "extract", world.root / "split", MARKET)
    folds = tuning.folds_of(found, "lstm")
    assert len(folds) == tuning.FOLDS
    for fold in folds:
        learned = found.frame.between(fold.start, fold.stop)
        targets = fold.start + np.flatnonzero(~np.isnan(learned.targets(found.horizon)).any(axis=1))
        assert fold.rows[0] - targets[-1] > found.horizon  # so many sessions are between them
    assert folds[-1].rows[-1] + found.horizon < found.tune


def test_trials_are_counted_and_the_best_is_no_worse_than_the_defaults(world, tmp_path):
    found = tune(world, tmp_path)
    assert found["trials"] == len(found["sharpes"]) == 3
    assert set(found["options"]) == {*GIVEN, "patience", "window", "batch", "learning_rate"}
    assert {name: found["options"][name] for name in GIVEN} == GIVEN
    assert 0 <= found["deflated_sharpe"] <= 1
    (name,) = optuna.get_all_study_names(f"sqlite:///{tmp_path / 'study.db'}")
    trials = optuna.load_study(study_name=name, storage=f"sqlite:///{tmp_path / 'study.db'}").trials
    assert trials[0].params == {"window": 60, "batch": 32, "learning_rate": 1e-3}
    assert found["value"] == min(it.value for it in trials if it.value is not None) <= trials[0].value


def test_a_study_that_was_killed_goes_on_to_the_same_end(world, tmp_path, monkeypatch):
    whole = tune(world, tmp_path / "whole", trials=4)
    storage, run, count = str(tmp_path / "kept" / "study.db"), tuning._run, []

    def killed(*given):
        count.append(1)
        if len(count) == 3:
            raise KeyboardInterrupt
        return run(*given)

    with monkeypatch.context() as broken:
        broken.setattr(tuning, "_run", killed)
        with pytest.raises(KeyboardInterrupt):
            tune(world, tmp_path / "one", trials=4, storage=storage)
    resumed = tune(world, tmp_path / "two", trials=4, storage=storage)
    same = ("options", "trials", "value", "sharpes", "deflated_sharpe")
    assert {it: resumed[it] for it in same} == {it: whole[it] for it in same}
    with monkeypatch.context() as unused:
        unused.setattr(tuning, "_run", None)
        assert tune(world, tmp_path / "three", trials=4, storage=storage)["value"] == whole["value"]


def test_nothing_after_the_first_fold_of_the_walk_forward_is_seen(world, tmp_path):
    plan = case("AAPL", world.root / "extract", world.root / "split", MARKET)
    data = write_csv(tmp_path / "data", "AAPL", until=plan.tune, change=doubled)
    other = World(tmp_path / "other").prepared(["AAPL"], data)
    given = {"trials": 2, "options": {**GIVEN, "shrink": False}}
    first, second = (tune(it, tmp_path / name, **given) for name, it in (("one", world), ("two", other)))
    assert (first["options"], first["value"]) == (second["options"], second["value"])
    seen = write_csv(tmp_path / "seen", "AAPL", until=plan.tune - 1, change=lambda prices: prices * 1.01)
    third = tune(World(tmp_path / "third").prepared(["AAPL"], seen), tmp_path / "three", **given)
    assert third["value"] != first["value"]


def test_what_is_much_worse_is_given_up_after_a_fold(world, tmp_path, monkeypatch):
    from tickloom.retrain import spaces

    rates = iter([1e-3, 1.1e-3, 1.2e-3, 1.3e-3, 1.0])

    def suggest(trial, model, given):
        return {"window": 20, "batch": 32, "learning_rate": trial.suggest_float("learning_rate", *[next(rates)] * 2)}

    monkeypatch.setattr(spaces, "usual", lambda model, given: {"learning_rate": 1e-3})
    monkeypatch.setattr(spaces, "suggest", suggest)
    found = tune(world, tmp_path, trials=5, options={**GIVEN, "shrink": False})
    assert (found["trials"], found["pruned"], len(found["sharpes"])) == (5, 1, 5)


def test_a_file_that_holds_no_studies_is_a_sentence(world, tmp_path):
    (tmp_path / "study.db").write_text("no database, but text of some length")
    with pytest.raises(TickloomError, match="holds no studies"):
        tune(world, tmp_path)


def test_options_come_to_the_model(world, tmp_path):
    made = World(world.root)
    made.tuned("MSFT", "stacked_lstm", options={**SMALL, "epochs": 1})
    found = made.trained("MSFT", "stacked_lstm")
    assert found["options"] == {**SMALL, "epochs": 1, "patience": PATIENCE}
    assert len(found["epochs"]) == 1
    assert found["tuning"] == {"trials": 0, "deflated_sharpe": None, "why": "no trials were asked for"}
