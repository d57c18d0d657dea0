"""Values beside TA-Lib's: random series, random parameters, and real prices."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickloom.indicators import REGISTRY, compute, resolve

from .series import bars, values_of, walk

talib = pytest.importorskip("talib")
COMPARED = [name for name, item in REGISTRY.items() if item.talib]


def reference(item, block):
    names = {name: getattr(block, name) for name in ("high", "low", "close", "volume")}
    return eval(item.talib, {"talib": talib, **names})


def assert_like_talib(item, values, block):
    """Compare to 1e-9 of the level: of volume, of 100 for percentages, else of the price."""
    expected = reference(item, block)
    np.testing.assert_array_equal(np.isnan(values), np.isnan(expected), err_msg=item.name)
    if "volume" in item.inputs:
        level = np.max(block.volume)
    elif item.family in ("rsi", "stoch_k", "stoch_d", "roc", "williams_r", "ultimate_oscillator"):
        level = 100.0
    else:
        level = np.max(block.close)
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-9 * level, err_msg=item.name)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 600))
def test_registry_matches_on_random_walks(seed, rows):
    block = walk(rows, seed)
    values = values_of(COMPARED, block)
    for item, column in zip(resolve(COMPARED), values.T, strict=True):
        assert_like_talib(item, column, block)


PERIOD = st.integers(2, 60)
NAMES = st.one_of(
    st.builds(
        "{}_{}".format,
        st.sampled_from(["sma", "ema", "rsi", "roc", "momentum", "atr", "std", "volume_sma", "williams_r"]),
        PERIOD,
    ),
    st.builds("stoch_{}_{}_{}".format, st.sampled_from("kd"), PERIOD, st.integers(1, 10)),
    st.builds("bb_{}_{}_{:g}".format, st.sampled_from(["upper", "middle", "lower"]), PERIOD, st.sampled_from([1, 2.5])),
    st.builds(
        lambda which, fast, more, signal: f"macd{which}_{fast}_{fast + more}_{signal}",
        st.sampled_from(["", "_signal", "_hist"]),
        PERIOD,
        st.integers(1, 30),
        PERIOD,
    ),
    st.builds(
        lambda a, b, c: f"ultimate_oscillator_{a}_{a + b}_{a + b + c}", PERIOD, st.integers(1, 30), st.integers(1, 30)
    ),
)


@settings(max_examples=100, deadline=None)
@given(NAMES, st.integers(0, 2**32 - 1))
def test_other_parameters_match_too(name, seed):
    block = walk(250, seed)
    assert_like_talib(resolve([name])[0], values_of([name], block)[:, 0], block)


@pytest.mark.parametrize("ticker", ["AAPL", "MSFT", "CAT", "CVX"])
def test_registry_matches_on_real_prices(ticker, market_data):
    path = market_data / "us_daily" / f"{ticker}.csv"
    frame = pd.read_csv(path).rename(columns=str.lower)
    frame["day"] = pd.to_datetime(frame["date"]).to_numpy().astype("datetime64[D]").astype(np.int32)
    values = compute(frame, COMPARED)
    block = frame[["high", "low", "close", "volume"]].astype(float)
    columns = {name: block[name].to_numpy().copy() for name in block}
    for item in resolve(COMPARED):
        assert_like_talib(item, values[item.name].to_numpy(), pd.Series(columns))


def talib_and_ours(name, block):
    return reference(REGISTRY[name], block)[-1], values_of([name], block)[-1, 0]


@pytest.mark.parametrize("name", ["rsi_14", "stoch_k", "stoch_d", "williams_r_14", "ultimate_oscillator"])
def test_a_flat_series_has_no_value_where_talib_says_0(name):
    theirs, ours = talib_and_ours(name, bars(np.full(100, 50.0)))
    assert theirs == 0.0
    assert np.isnan(ours)
    assert REGISTRY[name].differences


def test_an_earlier_close_of_0_has_no_rate_of_change_where_talib_says_0():
    theirs, ours = talib_and_ours("roc_10", bars([0.0] * 5 + [1.0] * 10))
    assert theirs == 0.0
    assert np.isnan(ours)
    assert REGISTRY["roc_10"].differences


def test_one_flat_window_of_the_ultimate_oscillator_is_enough_to_have_no_value():
    """Also where the fall from a high price leaves rounding in the sums."""
    for rows in range(30, 80):
        moving = walk(rows, rows).close
        moving[:-3] *= 1e9
        theirs, ours = talib_and_ours("ultimate_oscillator", bars([*moving, *[moving[-1]] * 7]))
        assert np.isfinite(theirs)
        assert np.isnan(ours)


def test_where_no_difference_is_documented_flat_series_agree():
    block = bars(np.full(300, 0.1))
    for item in (REGISTRY[name] for name in COMPARED):
        if not item.differences:
            assert_like_talib(item, values_of([item.name], block)[:, 0], block)
