"""From bars to the plan: what is skipped and why, and that nothing of the gate is learned from."""

import json
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from tests.unit.forecast.series import history
from tests.unit.retrain.world import GATE, HORIZON, MARKET, SESSIONS, World, doubled, write_csv
from tickloom.errors import TickloomError
from tickloom.forecast import histories
from tickloom.forecast.features import feature_frame
from tickloom.market.sessions import days_of, session_table
from tickloom.retrain import age, extraction, steps
from tickloom.retrain.division import case


def test_bars_keep_every_bit(tmp_path, data):
    facts = steps.extract(tickers=["AAPL"], market=MARKET, out=tmp_path, data=data)
    given = histories.from_file(data / "AAPL.csv", market=MARKET, ticker="AAPL")
    assert facts["tickers"]["AAPL"]["sha256"] == given.sha256 == extraction.read(tmp_path, "AAPL", MARKET).sha256
    assert json.loads((tmp_path / "result.json").read_text()) == facts


def test_closes_alone_stay_closes_alone(tmp_path):
    made = history(300, close_only=True)
    table = pd.DataFrame({"Date": made.day.astype("datetime64[D]").astype(str), "Close": made.close})
    (tmp_path / "in").mkdir()
    table.to_csv(tmp_path / "in" / "AAPL.csv", index=False)
    steps.extract(tickers=["AAPL"], market=MARKET, out=tmp_path / "out", data=tmp_path / "in")
    assert extraction.read(tmp_path / "out", "AAPL", MARKET).sha256 == made.sha256


def test_real_bars_are_extracted(tmp_path, market_data):
    found = steps.extract(tickers=["AAPL", "CVX"], market=MARKET, out=tmp_path, data=market_data / "us_daily")
    assert {it["sessions"] for it in found["tickers"].values()} == {6084}


def test_a_row_of_a_saturday_is_left_out_and_said_by_the_validation(tmp_path):
    data = write_csv(tmp_path / "data", "AAPL")
    table = pd.read_csv(data / "AAPL.csv")
    friday = table.index[pd.to_datetime(table["Date"]).dt.day_of_week == 4][50]
    row = table.loc[[friday]].assign(Date=str((pd.Timestamp(table["Date"][friday]) + pd.Timedelta(days=1)).date()))
    pd.concat([table, row]).sort_values("Date").to_csv(data / "AAPL.csv", index=False)
    out = tmp_path / "out"
    steps.extract(tickers=["AAPL"], market=MARKET, out=out / "extract", data=data)
    valid = steps.validate(extracted=out / "extract", market=MARKET, out=out / "validate")
    said = f"1 row of a date without a session of {MARKET} ({row['Date'].iloc[0]}): left out"
    assert (valid["tickers"]["AAPL"]["sessions"], valid["tickers"]["AAPL"]["notes"]) == (SESSIONS, [said])
    assert said in (out / "validate" / "report.html").read_text()


def test_prices_that_ended_long_ago_are_named_and_learned_from(tmp_path):
    out, data = tmp_path / "out", write_csv(tmp_path / "data", "AAPL")
    table, days = pd.read_csv(data / "AAPL.csv"), session_table(MARKET).day
    end = np.searchsorted(days, days_of(date(2020, 3, 2)), side="right")
    old = days[end - len(table) : end].astype("datetime64[D]").astype(str)
    table.assign(Date=old).to_csv(data / "AAPL.csv", index=False)
    steps.extract(tickers=["AAPL"], market=MARKET, out=out / "extract", data=data)
    valid = steps.validate(extracted=out / "extract", market=MARKET, out=out / "validate")
    assert valid["ok"] == ["AAPL"]
    said = "AAPL: its prices end on 2020-03-02, "
    assert said in (out / "validate" / "report.html").read_text()
    (warning,) = steps.report(parts=[valid], out=out / "report")["warnings"]
    assert warning.startswith(said)
    assert warning in (out / "report" / "report.html").read_text()


def test_only_closed_sessions_count_for_the_age_of_prices():
    last = {"A": {"last_day": "2024-03-28"}, "B": {"last_day": date(2024, 4, 1)}}  # Good Friday is no session
    before, after = (datetime(2024, 4, 12, hour, tzinfo=UTC) for hour in (19, 21))
    assert [age.passed(date(2024, 3, 28), MARKET, it) for it in (before, after)] == [9, 10]
    assert age.warnings(last, MARKET, before) == []
    assert age.warnings(last, MARKET, after) == ["A: its prices end on 2024-03-28, 10 sessions of XNYS ago"]


def test_what_cannot_be_learned_from_is_skipped_and_others_go_on(tmp_path):
    data = write_csv(tmp_path / "data", "AAPL")
    write_csv(data, "MSFT", 700)
    write_csv(data, "CAT", until=500, change=lambda prices: prices / 2)
    (data / "CVX.csv").write_text("Date,Close\n2020-01-02,nonsense\n")
    out = tmp_path / "out"
    tickers = ["AAPL", "MSFT", "CAT", "CVX", "JPM"]
    facts = steps.extract(tickers=tickers, market=MARKET, out=out / "extract", data=data)
    assert "has no JPM.csv" in facts["tickers"]["JPM"]["skipped"]
    valid = steps.validate(extracted=out / "extract", market=MARKET, out=out / "validate")
    assert valid["ok"] == ["AAPL"]
    assert valid["skipped"]["MSFT"] == "only 700 sessions; 750 are needed"
    assert "looks like a split of 2" in valid["skipped"]["CAT"]
    assert "--" not in valid["skipped"]["CAT"]  # the pipelines have no option for it
    assert "nonsense" in valid["skipped"]["CVX"]
    page = (out / "validate" / "report.html").read_text()
    assert all(ticker in page for ticker in tickers)
    assert json.loads((out / "validate" / "validation.json").read_text()) == valid
    found = steps.features(extracted=out / "extract", validated=out / "validate", market=MARKET, out=out / "features")
    planned = steps.split(featured=out / "features", market=MARKET, out=out / "split", folds=1)
    assert found["ok"] == planned["ok"] == ["AAPL"]
    assert found["skipped"] == planned["skipped"] == valid["skipped"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"tickers": []}, "none is named"),
        ({"tickers": ["AAPL", "AAPL"]}, "AAPL is named twice"),
        ({"tickers": ["AAPL"], "market": "XPAR"}, "XPAR"),
        ({"tickers": ["AAPL"], "data": "nowhere"}, "nowhere: is no folder"),
        ({"tickers": ["AAPL"], "data": None}, "set TICKLOOM_CASSANDRA, or give a folder"),
    ],
)
def test_what_no_ticker_can_be_had_from_is_an_error(given, said, tmp_path, data, monkeypatch):
    from tickloom.settings import settings

    monkeypatch.delenv("TICKLOOM_CASSANDRA", raising=False)
    settings.cache_clear()
    folder = data if "data" not in given else given["data"] and tmp_path / given["data"]
    with pytest.raises(TickloomError, match=said):
        steps.extract(**{"market": MARKET, **given, "out": tmp_path, "data": folder})
    settings.cache_clear()


def test_features_are_those_that_models_read(world):
    table = pd.read_parquet(world.root / "features" / "AAPL.parquet")
    frame = feature_frame(extraction.read(world.root / "extract", "AAPL", MARKET))
    assert list(table.columns) == ["day", *frame.names]
    np.testing.assert_array_equal(table[list(frame.names)].to_numpy(), frame.values)


def test_the_gate_is_held_back_and_tuning_ends_before_the_walk_forward(world):
    plan = json.loads((world.root / "split" / "plan.json").read_text())["tickers"]["AAPL"]
    assert plan["learn"] == SESSIONS - GATE
    first, last = plan["folds"][0], plan["folds"][-1]
    assert plan["tune"] == first["stop"] <= first["first"]
    assert last["last"] + HORIZON < plan["learn"]  # all outcomes of the walk-forward are before the gate
    found = case("AAPL", world.root / "extract", world.root / "split", MARKET)
    assert len(found.learned) == plan["learn"]
    assert found.last_learned == np.datetime_as_string(found.learned.history.day[-1].astype("datetime64[D]"))


def test_a_ticker_too_short_for_the_folds_is_skipped_with_what_is_missing(tmp_path, data):
    made = World(tmp_path).prepared(["AAPL"], data, folds=4, test=125)
    found = json.loads((made.root / "split" / "result.json").read_text())
    assert found["ok"] == []
    assert "without the last 60, held back" not in found["skipped"]["AAPL"]
    assert found["skipped"]["AAPL"].startswith("without the last 60 sessions, which the gate holds back, 840 sessions")
    with pytest.raises(TickloomError, match="AAPL: was skipped: without the last 60"):
        case("AAPL", tmp_path / "extract", tmp_path / "split", MARKET)


def test_a_gate_without_enough_cutoffs_is_refused(world, tmp_path):
    with pytest.raises(TickloomError, match="gate 20 must be 24 or more"):
        steps.split(featured=world.root / "features", market=MARKET, out=tmp_path, gate=20)


def test_a_plan_of_other_bars_is_refused(world, tmp_path):
    write_csv(tmp_path / "data", "AAPL", until=800, change=doubled)
    steps.extract(tickers=["AAPL"], market=MARKET, out=tmp_path / "extract", data=tmp_path / "data")
    with pytest.raises(TickloomError, match="holds other bars than the plan was made for"):
        case("AAPL", tmp_path / "extract", world.root / "split", MARKET)
    with pytest.raises(TickloomError, match="knows nothing of it; known: AAPL, MSFT"):
        case("JPM", world.root / "extract", world.root / "split", MARKET)


def test_a_folder_of_another_step_is_a_sentence(world, tmp_path):
    with pytest.raises(TickloomError, match="so the step extract has not ended here"):
        steps.validate(extracted=tmp_path, market=MARKET, out=tmp_path / "out")
    with pytest.raises(TickloomError, match="holds what the step 'split' found, not 'extract'"):
        steps.validate(extracted=world.root / "split", market=MARKET, out=tmp_path / "out")


def test_bars_that_can_be_learned_from_say_how_good_they_are(tmp_path):
    data = write_csv(tmp_path / "data", "AAPL")
    write_csv(data, "MSFT", until=SESSIONS - 30, change=lambda prices: np.full(len(prices), prices[0]))
    lines = (data / "AAPL.csv").read_text().splitlines()
    (data / "CAT.csv").write_text("\n".join([*lines[:200], *lines[209:-6]]) + "\n")
    steps.extract(tickers=["AAPL", "MSFT", "CAT"], market=MARKET, out=tmp_path / "extract", data=data)
    found = steps.validate(extracted=tmp_path / "extract", market=MARKET, out=tmp_path / "out")["tickers"]
    told = {name: [it[key] for key in ("missing_share", "still", "behind")] for name, it in found.items()}
    assert told == {"AAPL": [0, 0, 0], "MSFT": [0, 29, 0], "CAT": [pytest.approx(9 / 894), 0, 6]}
