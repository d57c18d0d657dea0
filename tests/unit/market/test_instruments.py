import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickloom import settings as settings_module
from tickloom.errors import TickloomError
from tickloom.market.instruments import (
    SHIPPED,
    Instrument,
    find,
    instruments,
    isin_check_digit,
    read_instruments,
)

HEADER = "ticker,name,exchange,currency,sector,isin\n"


@pytest.fixture
def extra(tmp_path, monkeypatch):
    path = tmp_path / "mine.csv"
    monkeypatch.setenv("TICKLOOM_INSTRUMENTS", str(path))
    for cached in (settings_module.settings, instruments):
        cached.cache_clear()
    yield path
    monkeypatch.undo()
    for cached in (settings_module.settings, instruments):
        cached.cache_clear()


def test_the_shipped_list_has_the_large_listings_of_both_markets():
    assert {"AAPL", "MSFT", "SPY", "JPM", "TSLA", "CAT", "CVX"} <= set(instruments("XNYS"))
    assert {"ATW", "IAM", "BCP", "AKT"} <= set(instruments("XCAS"))
    assert len(instruments("XCAS")) >= 75
    assert {instrument.currency for instrument in instruments("XCAS").values()} == {"MAD"}
    assert len(instruments()) == len(instruments("XCAS")) + len(instruments("XNYS"))


def test_no_isin_stands_twice():
    isins = [instrument.isin for instrument in read_instruments(SHIPPED).values() if instrument.isin]
    assert len(isins) == len(set(isins))


def test_isins_agree_with_the_list_of_the_data(market_data):
    import csv

    with (market_data / "casablanca" / "companies_isin.csv").open(encoding="utf-8") as file:
        known = {row["ISIN code"] for row in csv.DictReader(file)}
    ours = {instrument.isin for instrument in instruments("XCAS").values() if instrument.isin}
    assert len(ours & known) >= 65
    assert ours - known <= {"MA0000012585", "MA0000012627", "MA0000012536"}  # listed after 2022: AKT, CFG, DYT


def test_an_unknown_ticker_names_close_ones():
    with pytest.raises(TickloomError, match=r"ticker 'AAPLE' is unknown; did you mean AAPL"):
        find("AAPLE")
    with pytest.raises(TickloomError, match="known: XCAS, XNYS"):
        instruments("XPAR")


@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=9, max_size=9), st.integers(1, 9))
def test_a_wrong_check_digit_is_refused(body, shift):
    stem = "US" + body
    right = isin_check_digit(stem)
    Instrument(ticker="X", name="X", exchange="XNYS", currency="USD", isin=f"{stem}{right}")
    with pytest.raises(ValueError, match=f"check digit must be {right}"):
        Instrument(ticker="X", name="X", exchange="XNYS", currency="USD", isin=f"{stem}{(right + shift) % 10}")


def test_check_digit_of_a_published_isin():
    assert isin_check_digit("US037833100") == 5


def test_the_users_file_adds_and_replaces(extra):
    extra.write_text(HEADER + "NEW,New Company,XCAS,MAD,,\nAAPL,Mine,XNYS,USD,Fruit,US0378331005\n")
    assert find("NEW").sector is None
    assert find("AAPL").name == "Mine"
    assert "MSFT" in instruments()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ticker,name\nA,B\n", r"line 1: lacks exchange, currency"),
        ("ticker,name,exchange,currency,colour\n", r"line 1: has unknown colour"),
        (HEADER + "AAA,A,XPAR,EUR,,\n", r"line 2: exchange 'XPAR'"),
        (HEADER + "AAA,A,XNYS,USD,,\naaa,A,XNYS,USD,,\n", r"line 3: ticker 'aaa'"),
        (HEADER + "AAA,A,XNYS,USD,,US0378331004\n", r"line 2: isin 'US0378331004'.*must be 5"),
        (HEADER + "AAA,A,XNYS,USD,,\nAAA,B,XNYS,USD,,\n", r"line 3: ticker 'AAA' stands twice"),
        (HEADER + "AAA,A,XNYS,USD,,,more\n", r"line 2: more cells"),
    ],
)
def test_a_malformed_file_is_refused_with_the_line(extra, text, message):
    extra.write_text(text)
    with pytest.raises(TickloomError, match=message):
        instruments()


def test_importing_the_list_loads_neither_numpy_nor_pandas():
    code = (
        "import sys; from tickloom.market.instruments import find; find('ATW');"
        "from tickloom.market.records import Tick;"
        "sys.exit(bool({'numpy', 'pandas', 'exchange_calendars'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
