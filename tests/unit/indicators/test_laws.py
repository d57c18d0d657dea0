"""Laws that hold for every indicator and every series."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickloom.indicators import REGISTRY, resolve
from tickloom.indicators.engine import Engine

from .series import ALL, cut, rough, values_of, walk

ENGINE = Engine(ALL)
SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def splits(draw):
    rows = draw(st.integers(0, 400))
    cuts = draw(st.lists(st.integers(0, rows), max_size=8))
    return rows, sorted([0, *cuts, rows])


@settings(max_examples=60, deadline=None)
@given(splits(), SEEDS, st.data())
def test_any_split_with_the_state_saved_in_between_gives_the_same_bits(split, seed, data):
    rows, edges = split
    block = rough(rows, seed)
    _, whole = ENGINE.update(ENGINE.initial(), block)
    state = ENGINE.initial()
    parts = []
    for begin, end in pairwise(edges):
        state, values = ENGINE.update(state, cut(block, begin, end))
        parts.append(values)
        if data.draw(st.booleans()):
            state = ENGINE.load(ENGINE.dump(state))
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_row_by_row_gives_the_same_bits(seed):
    block = rough(450, seed)
    _, whole = ENGINE.update(ENGINE.initial(), block)
    state = ENGINE.initial()
    for i in range(450):
        state, values = ENGINE.update(state, cut(block, i, i + 1))
        np.testing.assert_array_equal(values, whole[i : i + 1])


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 300), SEEDS, st.data())
def test_no_value_depends_on_a_later_row(rows, seed, data):
    block = rough(rows, seed)
    _, before = ENGINE.update(ENGINE.initial(), block)
    at = data.draw(st.integers(0, rows - 1))
    changed = cut(block, 0, rows)
    for column in changed[2:]:
        column[at:] = np.random.default_rng(seed).normal(50, 40, rows - at)
    changed.day[at:] += 3
    _, after = ENGINE.update(ENGINE.initial(), changed)
    np.testing.assert_array_equal(after[:at], before[:at])


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_warm_up_is_nan_and_then_there_is_a_value(seed):
    _, values = ENGINE.update(ENGINE.initial(), walk(400, seed))
    for item, column in zip(ENGINE.indicators, values.T, strict=True):
        assert np.isnan(column[: item.warmup]).all(), item.name
        if item.family != "days_since_anomaly":
            assert not np.isnan(column[item.warmup :]).any(), item.name


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_values_are_finite_or_nan_and_bounded_ones_keep_their_bounds(seed):
    block = rough(300, seed)
    low = np.minimum(np.minimum(block.low, block.close), block.high)
    high = np.maximum(np.maximum(block.low, block.close), block.high)
    _, values = ENGINE.update(ENGINE.initial(), block._replace(low=low, high=high))
    assert not np.isinf(values).any()
    bounds = {"rsi": (0, 100), "stoch_k": (0, 100), "stoch_d": (0, 100), "williams_r": (-100, 0), "atr": (0, np.inf)}
    for item, column in zip(ENGINE.indicators, values.T, strict=True):
        least, most = bounds.get(item.family, (-np.inf, np.inf))
        known = column[~np.isnan(column)]
        assert (known >= least - 1e-9).all(), item.name
        assert (known <= most + 1e-9).all(), item.name


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_windowed_indicators_recover_from_unknown_values_exactly(seed):
    block = walk(500, seed)
    holes = cut(block, 0, 500)
    for column in holes[2:]:
        column[100:120] = np.nan
    names = [item.name for item in resolve(ALL) if item.unknown == "window" and item.family != "days_since_anomaly"]
    before, after = values_of(names, block), values_of(names, holes)
    np.testing.assert_array_equal(np.isnan(after[330:]), np.isnan(before[330:]))
    np.testing.assert_allclose(after[330:], before[330:], rtol=1e-11, atol=1e-11)
    assert np.isnan(after[119]).all()


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_recursive_indicators_leave_rows_with_an_unknown_input_out(seed):
    block = walk(300, seed)
    keep = np.ones(300, bool)
    keep[np.random.default_rng(seed).integers(0, 300, 20)] = False
    holes = cut(block, 0, 300)
    for column in holes[2:]:
        column[~keep] = np.nan
    names = [item.name for item in resolve(ALL) if item.unknown == "skip"]
    alone = values_of(names, type(block)(*(column[keep].copy() for column in block)))
    after = values_of(names, holes)
    np.testing.assert_array_equal(after[keep], alone)
    assert np.isnan(after[~keep]).all()


@pytest.mark.parametrize("name", [name for name, item in REGISTRY.items() if "volume" not in item.inputs])
def test_unknown_volume_touches_only_what_reads_volume(name):
    block = walk(300)
    without = block._replace(volume=np.full(300, np.nan))
    np.testing.assert_array_equal(values_of([name], without), values_of([name], block))


def test_sums_do_not_drift_over_ten_million_rows():
    rows = 10_000_000
    rng = np.random.default_rng(0)
    close = rng.uniform(1e9, 2e9, rows)
    close[rows // 2 :] /= 1e9
    days = np.zeros(rows, np.int32)
    engine = Engine(["sma_200", "volume_sma_20", "bb_middle", "std_20", "ultimate_oscillator"])
    block = engine_block(days, close)
    _, values = engine.update(engine.initial(), block)
    recent = engine_block(days[-2_003:], close[-2_003:])
    _, fresh = engine.update(engine.initial(), recent)
    np.testing.assert_allclose(values[-1_000:], fresh[-1_000:], rtol=1e-12)


def engine_block(days, close):
    from tickloom.indicators.engine import Block

    return Block(np.empty(0, np.int64), days, close, close * 1.01, close * 0.99, close, close)
