"""The verb watch: where it takes prices from."""

import json
import shutil

import pytest

from tests.unit.monitor.made import history as made
from tests.unit.monitor.made import returns
from tickloom.cli import watch
from tickloom.errors import TickloomError


def write(folder, ticker, seed, leave_out=slice(0, 0)):
    import numpy as np
    import pandas as pd

    its = made(returns(700, seed))
    table = pd.DataFrame({"Date": its.day.astype("datetime64[D]").astype(str), "Close": np.round(its.close, 4)})
    table.drop(index=table.index[leave_out]).to_csv(folder / f"{ticker}.csv", index=False)
    return folder


def test_each_ticker_has_its_own_file_in_a_folder(tmp_path, call):
    write(write(tmp_path, "AAPL", 1), "MSFT", 2)
    words = ("AAPL", "MSFT", "CVX", "--data", tmp_path, "--no-features", "--json")
    told = json.loads(call(watch.app, *words).stdout.splitlines()[-1])["tickers"]
    assert told["AAPL"]["looked"] == told["MSFT"]["looked"]
    assert "holds neither CVX.csv nor a StreamJob's lake" in told["CVX"]["problem"]


def test_a_folder_with_a_market_is_a_lake(tmp_path, call):
    write(tmp_path, "AAPL", 1)
    (tmp_path / "market=XCAS").mkdir()
    with pytest.raises(TickloomError, match="holds no lake of XNYS"):
        call(watch.app, "AAPL", "--data", tmp_path, "--no-features")
    shutil.rmtree(tmp_path / "market=XCAS")
    assert call(watch.app, "AAPL", "--data", tmp_path, "--no-features").exit_code == 0


def test_one_file_is_not_taken_for_two_tickers(tmp_path, call):
    file = write(tmp_path, "AAPL", 1) / "AAPL.csv"
    with pytest.raises(TickloomError, match="one file is of one ticker, and AAPL, MSFT are 2"):
        call(watch.app, "AAPL", "MSFT", "--data", file)


def test_a_refusal_names_the_options_that_the_verb_has(tmp_path, call):
    gaps = write(tmp_path, "AAPL", 1, slice(600, 620))
    with pytest.raises(TickloomError, match=r"20 sessions are missing .*, or allow them \(--max-gap\)$"):
        call(watch.app, "AAPL", "--data", gaps, "--no-features")
