"""The engine: shapes, states that are saved and carried over, and refusals."""

import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from tickloom.errors import TickloomError
from tickloom.indicators import DEFAULT_TWELVE, REGISTRY, compute
from tickloom.indicators.engine import Engine
from tickloom.indicators.saved import VERSION

from .series import cut, values_of, walk


def run_to(engine, block, rows):
    return engine.update(engine.initial(), cut(block, 0, rows))[0]


def test_columns_follow_the_order_of_the_names():
    block = walk(60)
    there, back = values_of(["obv", "sma_5"], block), values_of(["sma_5", "obv"], block)
    np.testing.assert_array_equal(there, back[:, ::-1])
    assert there.dtype == np.float64


def test_an_empty_block_changes_nothing():
    engine = Engine(DEFAULT_TWELVE)
    state = run_to(engine, walk(50), 50)
    after, values = engine.update(state, cut(walk(50), 0, 0))
    np.testing.assert_array_equal(after, state)
    assert values.shape == (0, 12)


def test_no_names_give_no_columns():
    assert values_of([], walk(5)).shape == (5, 0)


def test_update_leaves_its_arguments_as_they_are():
    engine = Engine(tuple(REGISTRY))
    block = walk(50)
    copy = cut(walk(50), 0, 50)
    state = engine.initial()
    before = state.copy()
    engine.update(state, block)
    np.testing.assert_array_equal(state, before)
    for column, same in zip(block, copy, strict=True):
        np.testing.assert_array_equal(column, same)


def test_other_kinds_of_arrays_are_converted():
    block = walk(120)
    odd = block._replace(
        day=block.day.astype(np.int64), close=np.repeat(block.close, 2)[::2], volume=block.volume.astype(np.int64)
    )
    odd.high.flags.writeable = False
    np.testing.assert_array_equal(values_of(tuple(REGISTRY), odd), values_of(tuple(REGISTRY), block))


def test_columns_of_different_length_are_refused():
    engine = Engine(["sma_5"])
    block = walk(10)
    with pytest.raises(TickloomError, match="10, 10, 10, 10, 9 rows"):
        engine.update(engine.initial(), block._replace(volume=block.volume[:9]))


def test_a_state_of_other_indicators_is_refused():
    with pytest.raises(TickloomError, match="dump and load"):
        Engine(["sma_5"]).update(Engine(["sma_10"]).initial(), walk(10))


def test_a_name_that_stands_twice_is_refused():
    with pytest.raises(TickloomError, match="sma_5 stand twice"):
        Engine(["sma_5", "obv", "sma_5"])


def test_a_state_of_fewer_indicators_carries_on_and_new_ones_start_fresh():
    block = walk(300)
    old, new = Engine(["ema_5", "sma_20"]), Engine(["rsi_14", "sma_20", "obv", "ema_5"])
    state = new.load(old.dump(run_to(old, block, 200)))
    rest = cut(block, 200, 300)
    _, values = new.update(state, rest)
    np.testing.assert_array_equal(values[:, [1, 3]], values_of(["sma_20", "ema_5"], block)[200:])
    np.testing.assert_array_equal(values[:, [0, 2]], values_of(["rsi_14", "obv"], rest))


def test_a_state_of_more_indicators_or_another_order_carries_on():
    block = walk(300)
    old, new = Engine(tuple(REGISTRY)), Engine(["vwap", "macd_hist", "sma_200"])
    _, values = new.update(new.load(old.dump(run_to(old, block, 250))), cut(block, 250, 300))
    np.testing.assert_array_equal(values, values_of(["vwap", "macd_hist", "sma_200"], block)[250:])


def test_other_parameters_start_fresh():
    block = walk(100)
    old, new = Engine(["sma_20"]), Engine(["sma_5"])
    np.testing.assert_array_equal(new.load(old.dump(run_to(old, block, 50))), new.initial())


def test_the_saved_state_names_what_it_holds():
    saved = Engine(["macd", "sma_20"]).dump(Engine(["macd", "sma_20"]).initial())
    body = json.loads(saved[10 : 10 + int.from_bytes(saved[6:10], "little")])
    assert body == {"names": ["macd", "sma_20"], "parts": [["macd(12,26,9)", 4], ["mean(20)", 25]]}


def test_an_engine_travels_to_another_process():
    engine = Engine(["obv", "sma_7"])
    assert pickle.loads(pickle.dumps(engine)).names == engine.names


def test_damaged_and_foreign_bytes_are_refused():
    engine = Engine(["sma_5"])
    saved = engine.dump(engine.initial())
    for bad, message in (
        (b"", "does not begin"),
        (b"PK\x03\x04 something else", "does not begin"),
        (saved[:-1], "bytes of values"),
        (saved[:20], "damaged"),
        (saved[:4] + (VERSION + 1).to_bytes(2, "little") + saved[6:], "version 2 is unknown"),
    ):
        with pytest.raises(TickloomError, match=message):
            engine.load(bad)


def test_a_frame_out_of_order_or_without_a_column_is_refused():
    import pandas as pd

    frame = pd.DataFrame(walk(10)._asdict())
    with pytest.raises(TickloomError, match="oldest first"):
        compute(frame[::-1])
    with pytest.raises(TickloomError, match="time_us does not rise"):
        compute(frame.assign(day=5, time_us=1))
    with pytest.raises(TickloomError, match="no column volume"):
        compute(frame.drop(columns="volume"))


WARM = """
import os, sys
from tickloom.indicators.engine import Engine
Engine(["sma_5"]).warm()
print(os.environ.get("NUMBA_CACHE_DIR"))
"""


def warm_in(environment):
    clean = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", WARM], env=clean | environment, capture_output=True, text=True, check=True, timeout=300
    )
    return done.stdout.strip()


def test_compiled_code_is_kept_in_the_cache_folder(tmp_path):
    assert warm_in({"TICKLOOM_CACHE": str(tmp_path)}) == str(tmp_path / "numba")
    assert list(tmp_path.rglob("*.nbc"))


def test_a_cache_folder_that_cannot_be_made_is_no_hindrance(tmp_path):
    (tmp_path / "file").touch()
    assert warm_in({"TICKLOOM_CACHE": str(tmp_path / "file" / "below")}) == "None"
