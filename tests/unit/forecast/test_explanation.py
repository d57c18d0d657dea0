"""What models go by: explained fold by fold on cutoffs of their own, and compared between the folds."""

import json

import numpy as np
import pandas as pd
import pytest

from tests.unit.forecast.series import frame, history
from tickloom.errors import TickloomError
from tickloom.forecast import report
from tickloom.forecast.evaluation import evaluate
from tickloom.forecast.explanation import COLUMNS, TOP, explained, summarise
from tickloom.forecast.folds import Fold, Plan
from tickloom.forecast.models import make
from tickloom.forecast.models.base import GRADIENTS, PERMUTATION
from tickloom.forecast.walk import walk_forward

TINY = {"window": 8, "width": 0.06, "epochs": 2, "device": "cpu"}
PLAN = Plan(folds=2, test=110, horizon=2)


@pytest.fixture(scope="module")
def found():
    options = {"lstm": {**TINY, "shrink": False}}
    return evaluate(
        [history(760, phi=0.6, close_only=True)],
        ["random_walk", "ridge", "lstm"],
        PLAN,
        seeds=(0, 1),
        options=options,
        explain=True,
    )


def fit(values, fold=1, seed=0, model="m"):
    """Return one fit's explanation of features that are named by their places."""
    names = [f"f{at}" for at in range(len(values))]
    table = pd.DataFrame({"feature": names, "value": np.asarray(values, float)})
    return table.assign(unique_id="T", model=model, method=PERMUTATION, fold=fold, seed=seed)[COLUMNS]


def only(fits):
    """Return the one row of their stability, and the one sentence."""
    made = summarise(fits)
    return made.stability.iloc[0], next(made.sentences())


def test_every_model_that_reads_features_is_explained_in_each_fold_and_seed(found):
    long = found.explanations.long
    fits = long.groupby(["model", "method"])[["fold", "seed"]].agg(lambda it: sorted(set(it)))
    assert fits.to_dict("index") == {
        ("lstm", GRADIENTS): {"fold": [1, 2], "seed": [0, 1]},
        ("lstm", PERMUTATION): {"fold": [1, 2], "seed": [0, 1]},
        ("ridge", PERMUTATION): {"fold": [1, 2], "seed": [0]},
    }
    assert len(long) == 32 * (4 + 4 + 2)
    # the series is an autoregression, so its last return is what a ridge must go by
    first = found.explanations.leading("AAPL", "ridge", PERMUTATION, 1).iloc[0]
    assert (first["feature"], first["rank"], first["leads"]) == ("ret_1", 1, 2)
    assert first["share_low"] < first["share"] < first["share_high"]


def test_explaining_changes_no_forecast_and_asks_nothing_after_the_fold(found):
    options = {"lstm": {**TINY, "shrink": False}}
    walk = frame(760, phi=0.6, close_only=True)
    plain = walk_forward(walk, ["random_walk", "ridge", "lstm"], PLAN, seeds=(0, 1), options=options)
    assert np.array_equal(plain["y_hat"], found.long["y_hat"])
    model, fold = make("ridge", 2).fit(walk.first(600)), Fold(1, 0, 600, np.arange(600, 700))
    whole, cut = (explained(model, it, fold, 0) for it in (walk, walk.first(702)))
    pd.testing.assert_frame_equal(whole, cut)


def test_a_way_that_a_model_does_not_have_is_a_sentence():
    walk = frame(600)
    ridge = make("ridge", 2).fit(walk)
    with pytest.raises(TickloomError, match="ridge: cannot be explained by 'integrated_gradients'; known: permutation"):
        ridge.explain(walk, np.arange(500, 520), GRADIENTS)
    drift = make("drift", 2).fit(walk)
    assert drift.explain(walk, np.arange(500, 520)) == {}
    with pytest.raises(TickloomError, match="drift: cannot be explained by 'x'; known: none, for it reads no features"):
        drift.explain(walk, np.arange(500, 520), "x")


def test_a_recursive_model_goes_by_what_the_model_below_does():
    walk = frame(600)
    model = make("ridge_recursive", 3).fit(walk.first(500))
    rows = np.arange(500, 560)
    assert model.explain(walk, rows, PERMUTATION) == model.one.explain(walk, rows)


def test_stability_is_one_where_fits_agree_and_minus_one_where_they_turn():
    rising = np.arange(1.0, 31.0)
    alike, said = only([fit(rising), fit(100 * rising, fold=2), fit(rising**3, fold=2, seed=1)])
    assert alike[["fits", "silent", "pairs", "seed_pairs"]].tolist() == [3, 0, 3, 1]
    assert alike[["spearman", "overlap", "seed_spearman"]].tolist() == pytest.approx([1, 1, 1])
    assert said == (
        "T m, permutation importance: f29 3/3, f28 3/3, f27 3/3; stability 1.00 over 3 pairs of fits, "
        "leading 10 shared 1.00 (by chance 0.21)"
    )
    turned, said = only([fit(rising), fit(rising[::-1], fold=2)])
    assert turned[["spearman", "overlap"]].tolist() == pytest.approx([-1, 0])
    assert said.endswith("; low")


def test_chance_shares_as_much_as_is_said():
    rng = np.random.default_rng(0)
    row, _ = only([fit(rng.normal(size=44), fold=at) for at in range(40)])
    assert row["pairs"] == 780
    assert row["spearman"] == pytest.approx(0, abs=0.03)
    assert row["overlap"] == pytest.approx(row["overlap_chance"], abs=0.01)


def test_a_wild_fold_counts_no_more_than_a_calm_one():
    made = summarise([fit([1.0, 3.0, 0.0]), fit([9000.0, 0.0, -3000.0], fold=2)]).importance
    assert made["feature"].tolist() == ["f0", "f1", "f2"]
    assert made["share"].tolist() == pytest.approx([0.5, 0.375, -0.125])
    assert made["leads"].tolist() == [2, 1, 0]  # what is 0 or below leads nowhere


def test_fits_that_forecast_no_move_are_left_out_and_said():
    silent = np.zeros(30)
    row, said = only([fit(silent), fit(np.arange(30.0), fold=2), fit(np.arange(30.0), fold=3)])
    assert row[["fits", "silent", "pairs"]].tolist() == [3, 1, 1]
    assert row["spearman"] == pytest.approx(1)
    assert "; 1 of 3 fits forecast no move and are left out" in said
    row, said = only([fit(silent), fit(silent, fold=2)])
    assert np.isnan(row["spearman"])
    assert said == (
        "T m, permutation importance: no feature moves a forecast of its 2 fits (shrunk to no move), so stability is "
        "unknown"
    )
    assert only([fit(np.arange(30.0))])[1].endswith("stability is unknown, for fewer than two fits rank their features")


def test_a_network_that_was_shrunk_to_nothing_is_silent():
    walk = frame(600, seed=5)
    model = make("lstm", 2, **TINY).fit(walk.first(500))
    model._network.target.zero_()  # what a shrinkage of 0 leaves
    found = summarise([explained(model, walk, Fold(1, 0, 500, np.arange(500, 560)), seed) for seed in (0, 1)])
    assert found.stability["method"].tolist() == [GRADIENTS, PERMUTATION]
    assert (found.stability[["fits", "silent", "pairs"]] == [2, 2, 0]).all(axis=None)
    assert (found.long["value"] == 0).all()


def test_the_file_and_the_page_tell_it_without_nan(found, tmp_path):
    body = json.loads(found.write(tmp_path).read_text(), parse_constant=lambda name: 1 / 0)["explanations"]
    assert list(body["fits"]) == COLUMNS
    assert len(body["fits"]["value"]) == len(found.explanations.long)
    assert {row["method"] for row in body["stability"]} == {GRADIENTS, PERMUTATION} == set(body["methods"])
    assert next(row for row in body["stability"] if row["model"] == "ridge")["seed_spearman"] is None
    assert "never chooses features" in body["note"]
    page = report.page(found)
    section = page.partition("<h2>What the models go by</h2>")[2]
    assert section.count("<img") == 2
    assert f"leading {TOP} shared" in section
    assert "at most one that leads in every fit is worth a thought" in section


def test_models_without_features_are_said_to_have_none():
    made = evaluate([history(500)], ["random_walk", "drift"], Plan(folds=1, test=110, horizon=1), explain=True)
    assert made.summary()["explanations"]["stability"] == []
    assert "No model here reads features." in report.page(made)
