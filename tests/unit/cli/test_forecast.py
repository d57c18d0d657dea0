"""The next sessions of a ticker, by its champion, a version, or a folder."""

import numpy as np
import pytest

from tickloom.cli import forecast, train
from tickloom.errors import TickloomError

HORIZON = 3


@pytest.fixture
def learned(prices, mlflow, tmp_path, call):
    """A ridge of FOR that is registered; its prices and its folder."""

    def learned(ticker):
        file, out = prices(ticker), tmp_path / f"{ticker}-ridge"
        words = ("--model", "ridge", "--folds", 0, "--horizon", HORIZON, "--out", out, "--mlflow", mlflow)
        call(train.app, ticker, "--data", file, *words)
        return file, out

    return learned


def test_the_champion_a_version_and_a_folder_forecast(learned, mlflow, call, asked):
    file, folder = learned("FOA")
    words = (forecast.app, "FOA", "--data", file)
    champion = asked(*words, "--mlflow", mlflow)
    assert (champion["ticker"], champion["model"], champion["verdict"]) == ("FOA", "random_walk", "not evaluated")
    rows = champion["forecast"]
    assert [it["h"] for it in rows] == [1, 2, 3]
    assert len({it["y_hat"] for it in rows}) == 1
    assert rows[0]["cutoff"] == champion["last_day"] < rows[0]["ds"] < rows[1]["ds"] < rows[2]["ds"]
    numbered = asked(*words, "--mlflow", mlflow, "--version", 2)
    packaged = asked(*words, "--package", folder)
    assert numbered["model"] == "ridge"
    assert {"unique_id", "ds", "cutoff", "h", "model", "y_hat"} == set(numbered["forecast"][0])
    found, other = (np.array([it["y_hat"] for it in one["forecast"]]) for one in (numbered, packaged))
    np.testing.assert_array_equal(found, other)
    assert np.all(found != rows[0]["y_hat"])
    assert len(asked(*words, "--package", folder, "--horizon", 2)["forecast"]) == 2
    assert (champion["version"], numbered["version"], packaged["version"]) == (1, 2, None)
    shown = call(*words, "--package", folder).stdout
    assert "against the random walk: not evaluated" in " ".join(shown.split())


def test_what_does_not_fit_is_a_sentence(learned, mlflow, prices, call):
    file, folder = learned("FOB")
    with pytest.raises(TickloomError, match="ridge was trained for 3 sessions ahead, not 4; train it with --horizon 4"):
        call(forecast.app, "FOB", "--data", file, "--package", folder, "--horizon", 4)
    with pytest.raises(TickloomError, match="the model is of FOB on XNYS, the prices are of AAPL on XNYS"):
        call(forecast.app, "AAPL", "--data", prices("AAPL"), "--package", folder)
    with pytest.raises(TickloomError, match="FOB on XNYS has no version '9' in sqlite"):
        call(forecast.app, "FOB", "--data", file, "--version", 9, "--mlflow", mlflow)
    with pytest.raises(
        TickloomError, match=r"AAPL on XNYS has no version 'champion' in sqlite.*`tickloom train AAPL --model ridge`"
    ):
        call(forecast.app, "AAPL", "--data", prices("AAPL"), "--mlflow", mlflow)
    with pytest.raises(TickloomError, match="no trained model"):
        call(forecast.app, "FOB", "--data", file, "--package", folder / "model")


def test_prices_of_closes_alone_do_not_do_for_a_model_of_more(learned, prices, mlflow, call, asked):
    _, folder = learned("FOC")
    bare = prices("FOC", change=lambda table: [table.pop(it) for it in ("Open", "High", "Low", "Volume")])
    with pytest.raises(
        TickloomError,
        match=r"stoch_k, .* without open, high and low, and volume of every session, which FOC\.csv lacks",
    ):
        call(forecast.app, "FOC", "--data", bare, "--package", folder)
    assert len(asked(forecast.app, "FOC", "--data", bare, "--mlflow", mlflow)["forecast"]) == HORIZON


def test_prices_older_than_the_model_are_said(learned, prices, call):
    file, folder = learned("FOE")
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:-5]))
    said = call(forecast.app, "FOE", "--data", file, "--package", folder, "--market", "XNYS").stderr
    last, older = (lines[it].partition(",")[0] for it in (-1, -6))
    assert f"FOE: ridge learned from sessions to {last}, after the last close of {older}: it may know what it" in said


def test_forecasts_have_intervals_where_the_model_was_judged(prices, mlflow, tmp_path, call, asked):
    file, out = prices("FOD"), tmp_path / "judged"
    words = ("--model", "ridge", "--folds", 2, "--test", 60, "--horizon", 2, "--out", out, "--mlflow", mlflow)
    call(train.app, "FOD", "--data", file, *words)
    for where in (("--package", out), ("--mlflow", mlflow)):  # the ridge, and the champion that came before it
        for row in asked(forecast.app, "FOD", "--data", file, *where)["forecast"]:
            assert row["lo-95"] < row["lo-80"] < row["hi-80"] < row["hi-95"]
            assert row["lo-95"] < row["y_hat"] < row["hi-95"]
    assert "80 %" in call(forecast.app, "FOD", "--data", file, "--package", out).stdout


def test_few_forecasts_make_no_intervals(prices, tmp_path, call, asked):
    file, out = prices("FOE"), tmp_path / "few"
    words = ("--model", "drift", "--folds", 2, "--test", 30, "--horizon", 1, "--out", out, "--no-push")
    said = call(train.app, "FOE", "--data", file, *words)
    assert "60 forecasts are too few for intervals and a report, which need more than 100" in said.stderr
    assert "lo-80" not in asked(forecast.app, "FOE", "--data", file, "--package", out)["forecast"][0]
