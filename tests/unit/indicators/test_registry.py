"""Names, parameters, and what the registry says about each."""

import subprocess
import sys

import pytest

from tickloom.errors import TickloomError
from tickloom.indicators import DEFAULT_TWELVE, REGISTRY, names, resolve
from tickloom.indicators.page import render
from tickloom.indicators.spec import UNKNOWN_RULES


def test_names_are_checked_without_numpy():
    script = (
        "import sys, tickloom.indicators.page; from tickloom.indicators import resolve; resolve(['macd']);"
        "print([name for name in ('numpy', 'numba', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_default_twelve_are_known():
    assert len(set(DEFAULT_TWELVE)) == 12
    assert [item.name for item in resolve(DEFAULT_TWELVE)] == list(DEFAULT_TWELVE)


@pytest.mark.parametrize("name", names())
def test_every_indicator_is_fully_described(name):
    item = REGISTRY[name]
    assert item.name == name
    assert item.outputs[item.output] == item.family
    assert item.inputs
    assert item.formula
    assert item.source
    assert item.unknown in UNKNOWN_RULES
    assert item.talib is not None or not item.differences
    assert f"`{name}`" in render()


def test_parameters_are_read_from_the_name():
    sma, macd, band = resolve(["sma_30", "macd_5_35_5", "bb_upper_20_2.5"])
    assert dict(sma.parameters) == {"n": 30}
    assert sma.warmup == 29
    assert dict(macd.parameters) == {"fast": 5, "slow": 35, "signal": 5}
    assert macd.warmup == 38
    assert dict(band.parameters) == {"n": 20, "sigmas": 2.5}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rsi_14x", "did you mean rsi_14"),
        ("macd_histogram", "did you mean macd_hist"),
        ("xyz", "known: sma_5, sma_10"),
        ("sma", "sma takes n, as in 'sma_5'"),
        ("sma_020", "'sma_020' is unknown"),
        ("sma_1", "whole number from 2 to 1000"),
        ("sma_1001", "whole number from 2 to 1000"),
        ("sma_2.5", "whole number"),
        ("macd_12_26", "macd takes fast, slow, signal, as in 'macd_12_26_9'"),
        ("macd_26_12_9", "must rise"),
        ("bb_upper_20_0", "above 0"),
        ("obv_3", "did you mean obv"),
        ("", "is unknown"),
    ],
)
def test_an_unknown_name_is_refused_with_what_would_be_right(name, message):
    with pytest.raises(TickloomError, match=message):
        resolve(["obv", name])
