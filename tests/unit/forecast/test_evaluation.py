"""A whole evaluation, the file of it, and what others read of it."""

import json

import numpy as np
import pandas as pd
import pytest
from utilsforecast import losses
from utilsforecast.evaluation import evaluate as peers_evaluate

from tickloom.errors import TickloomError
from tickloom.forecast.evaluation import COLUMNS, evaluate, read_forecasts, to_utilsforecast
from tickloom.forecast.folds import Plan
from tickloom.forecast.plain import plain, shortened
from tickloom.forecast.strategy import hold, sign_strategy

from . import made

PLAN = Plan(folds=4, test=60, horizon=2, holdout=50)
MODELS = ["random_walk", "drift", "ar1"]


@pytest.fixture(scope="module")
def found():
    tickers = [made.history(620, seed, ticker=f"T{seed}") for seed in (1, 2)]
    return evaluate(tickers, MODELS, PLAN, final=True)


def test_the_last_block_is_touched_only_when_asked_for(found):
    assert set(found.scores["block"]) == {"folds", "last"}
    last = found.long[found.long["fold"] == 5]
    assert set(found.long["fold"]) == {1, 2, 3, 4, 5}
    assert found.long[found.long["fold"] < 5]["ds"].max() < last["ds"].min()
    assert last["lo-95"].notna().all()  # calibrated by the folds before
    without = evaluate(found.histories[:1], MODELS, PLAN)
    assert set(without.scores["block"]) == {"folds"}
    assert without.long["ds"].max() < last["ds"].min()


def test_the_file_holds_the_long_frame_without_nan(found, tmp_path):
    path = found.write(tmp_path)
    assert "NaN" not in path.read_text()
    assert "Infinity" not in path.read_text()
    body = json.loads(path.read_text())
    assert list(body["forecasts"]) == COLUMNS
    assert body["forecasts"]["lo-80"][0] is None  # burn-in
    assert body["histories"][0]["sha256"] == found.histories[0].sha256
    assert body["plan"]["folds"] == 4
    assert {"numpy", "mapie", "python"} <= set(body["versions"])
    assert body["misleading"] == ["r2_price"]
    assert {"verdict", "rmse", "crps", "block"} <= set(body["scores"][0])
    assert body["explanations"] is None
    read, whole = read_forecasts(path), found.long[COLUMNS].astype({"h": int})
    pd.testing.assert_frame_equal(read, whole, rtol=5e-9, atol=0)
    moves, exact = (np.log(it["y_hat"] / it["y"]) for it in (read, whole))
    np.testing.assert_allclose(moves, exact, atol=1e-8)


def test_utilsforecast_reads_the_pivot_and_agrees(found):
    # One horizon, and all its cutoffs together: theirs are then our figures.
    long = found.long[(found.long["fold"] < 5) & (found.long["h"] == 1)]
    scores = peers_evaluate(to_utilsforecast(long).drop(columns="cutoff"), [losses.rmse, losses.mae], models=MODELS)
    mine = found.scores.query("h == 1 and block == 'folds'").set_index(["unique_id", "model"])
    for row in scores.to_dict("records"):
        for model in MODELS:
            assert row[model] == pytest.approx(mine.loc[(row["unique_id"], model), row["metric"]])
    given = long[long["lo-80"].notna()]
    theirs = losses.coverage(to_utilsforecast(given).drop(columns="cutoff"), MODELS, level=95).set_index("unique_id")
    held = given["y"].between(given["lo-95"], given["hi-95"])
    ours = held.groupby([given["unique_id"], given["model"]]).mean().unstack()[MODELS]
    np.testing.assert_allclose(theirs, ours)


def test_utilsforecast_takes_intervals_by_cutoff(found):
    wide = to_utilsforecast(found.long[found.long["lo-80"].notna()])
    scores = peers_evaluate(wide, [losses.coverage, losses.mqloss], models=MODELS, level=[80, 95])
    assert set(scores["metric"]) == {"coverage_level80", "coverage_level95", "mqloss"}
    assert scores[MODELS].notna().all().all()


def test_one_seed_is_taken_of_a_model_that_has_several():
    history = made.history(420)
    long = pd.concat(
        [
            made.forecasts(history, {"random_walk": made.still}),
            *(made.forecasts(history, {"noise": made.noise(seed=it)}, seeds=(it,)) for it in (0, 1)),
        ]
    )
    first, second = to_utilsforecast(long), to_utilsforecast(long, seed=1)
    assert list(first.columns) == ["unique_id", "ds", "cutoff", "y", "random_walk", "noise"]
    assert not np.allclose(first["noise"], second["noise"])
    np.testing.assert_array_equal(first["random_walk"], second["random_walk"])


def test_a_strategy_pays_for_what_it_trades():
    history = made.history(400)
    long = made.forecasts(history, {"seer": made.seer(), "random_walk": made.still})
    seer, still = (long[long["model"] == it] for it in ("seer", "random_walk"))
    rich = sign_strategy(seer, cost=0.0)
    moves = (seer["y"] / seer["y_cutoff"] - 1).abs()
    assert rich.figures["net"] == pytest.approx((1 + moves).prod() - 1)
    dear = sign_strategy(seer, cost=20.0)
    assert dear.figures["net"] < rich.figures["net"]
    assert dear.figures["sides"] < rich.figures["sides"]  # small moves are not worth the cost
    assert sign_strategy(still, cost=5.0).figures == {"net": 0, "gross": 0, "drawdown": 0, "sides": 0}
    held = hold(seer, cost=10.0)
    expected = seer["y"].iloc[-1] / seer["y_cutoff"].iloc[0] * (1 - 0.001) ** 2 - 1
    assert held.figures["net"] == pytest.approx(expected)
    assert held.figures["sides"] == 2


def test_a_ticker_twice_is_refused():
    one = made.history(400)
    with pytest.raises(TickloomError, match="one comes twice; give each a file of its own"):
        evaluate([one, one], MODELS, PLAN)


def test_prices_have_nine_digits_whatever_their_size():
    found = shortened(np.array([0.0, -1234.56789123, 1.00000000049e-7, 98765432109.0, np.nan]))
    assert found.tolist()[:4] == [0.0, -1234.56789, 1e-7, 98765432100.0]
    assert np.isnan(found[4])


def test_plain_has_no_number_that_json_lacks():
    assert plain({"a": [np.float64("nan"), np.int16(3), float("inf"), pd.Timestamp("2024-01-02")]}) == {
        "a": [None, 3, None, "2024-01-02T00:00:00"]
    }
