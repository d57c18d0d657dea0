"""What the state machine makes of records: scores, bars, repeats, lateness, and the same in any split."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.stream.helpers import CLOSE, MINUTE, OPEN, pick, records, spec
from tickloom.stream.machine import Clock, Machine, vwap
from tickloom.stream.rows import DAY_S, UNKNOWN_VOLUME
from tickloom.stream.state import TickerState


@pytest.fixture(scope="module")
def machine():
    return Machine(spec())


def walk(count, seed=1, step_us=7_000_000):
    generator = np.random.default_rng(seed)
    price = np.round(100 * np.exp(np.cumsum(generator.normal(0, 1e-3, count))), 2)
    return records(OPEN + np.arange(count) * step_us, price, volume=generator.integers(1, 500, count))


NO_EVENT = Clock()


def run(machine, batches, clock=NO_EVENT):
    state = TickerState()
    effects = []
    for batch in batches:
        effects.append(machine.apply(state, batch, Clock()))
        state = TickerState.from_bytes(state.to_bytes())
    if clock != NO_EVENT:
        effects.append(machine.apply(state, records([], []), clock))
    return effects, state


def ticks_of(effects):
    return np.concatenate([item.ticks for item in effects])


def final_bars(effects):
    bars = np.concatenate([item.bars for item in effects])
    values = np.concatenate([item.values for item in effects])
    done = bars["final"] == 1
    order = np.lexsort((bars["start_us"][done], bars["interval_s"][done]))
    return bars[done][order], values[done][order]


def test_z_score_is_against_the_thirty_prices_before(machine):
    series = walk(200)
    (effects,), _ = run(machine, [series])
    for i in range(200):
        row = effects.ticks[i]
        if i < 30:
            assert np.isnan(row["z_score"])
            assert row["anomaly"] == -1
            continue
        window = series.price[i - 30 : i]
        assert row["mean"] == pytest.approx(window.mean(), rel=1e-12)
        assert row["deviation"] == pytest.approx(window.std(ddof=1), rel=1e-9)
        assert row["z_score"] == pytest.approx(
            (series.price[i] - window.mean()) / window.std(ddof=1), rel=1e-6, abs=1e-9
        )
        assert row["anomaly"] == (abs(row["z_score"]) > 2)


def test_flat_window_has_a_mean_and_no_score(machine):
    prices = np.full(40, 0.1)
    prices[35] = 0.2
    (effects,), _ = run(machine, [records(OPEN + np.arange(40) * 1_000_000, prices)])
    assert effects.ticks["deviation"][34] == 0.0
    assert np.isnan(effects.ticks["z_score"][35])
    assert effects.ticks["anomaly"][35] == -1
    assert effects.ticks["anomaly"][36] == 0


def assert_same_rows(one, other):
    for name in one.dtype.names:
        if name != "dirty":
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(0, 400), max_size=8), seed=st.integers(0, 5))
def test_any_split_gives_the_same_bits(cuts, seed):
    machine = Machine(spec())
    series = walk(400, seed, step_us=20_000_000)
    bounds = [0, *sorted(cuts), 400]
    whole, _ = run(machine, [series], Clock(flush=True))
    parts = [pick(series, slice(a, b)) for a, b in pairwise(bounds)]
    split, _ = run(machine, parts, Clock(flush=True))
    assert_same_rows(ticks_of(whole), ticks_of(split))
    (bars, values), (bars_split, values_split) = final_bars(whole), final_bars(split)
    assert_same_rows(bars, bars_split)
    np.testing.assert_array_equal(values, values_split)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_record_is_a_tick_a_repeat_or_too_late(data):
    machine = Machine(spec())
    state = TickerState()
    for _ in range(data.draw(st.integers(1, 4))):
        count = data.draw(st.integers(0, 30))
        minutes = data.draw(st.lists(st.integers(0, 40), min_size=count, max_size=count))
        sequence = data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
        names = data.draw(st.lists(st.sampled_from(["b", "a", "c"]), min_size=count, max_size=count))
        given_records = records(OPEN + np.array(minutes, np.int64) * MINUTE, 100.0, sequence=sequence, source=names)
        effects = machine.apply(state, given_records, Clock())
        assert len(effects.ticks) + effects.duplicates + len(effects.too_late) == count
        keys = [(t["time_us"], effects.sources[t["source"]], t["sequence"]) for t in effects.ticks]
        assert keys == sorted(set(keys))
        state = TickerState.from_bytes(state.to_bytes())


def test_repeats_are_left_out_inside_and_across_batches(machine):
    series = walk(50)
    twice = pick(series, np.concatenate([np.arange(50), np.arange(10, 20)]))
    effects, _ = run(machine, [twice, pick(series, slice(30, 50))])
    assert [item.duplicates for item in effects] == [10, 20]
    assert len(ticks_of(effects)) == 50


def test_same_time_and_sequence_from_another_source_is_no_repeat(machine):
    effects, state = run(machine, [records([OPEN], 10.0, source="b"), records([OPEN], 11.0, source="a")])
    assert [len(item.ticks) for item in effects] == [1, 1]
    assert state.sources == ["b", "a"]
    assert effects[1].ticks["late"][0] == 1  # 'a' comes before 'b' at the same time


def test_late_tick_corrects_its_unfinished_bar_and_nothing_given(machine):
    first = records([OPEN + MINUTE, OPEN + 4 * MINUTE], [10.0, 12.0], volume=[1, 1], sequence=[1, 4])
    late = records([OPEN + 30_000_000], [9.0], volume=5, sequence=[0])
    effects, state = run(machine, [first, late])
    assert effects[1].ticks["late"].tolist() == [1]
    assert np.isnan(effects[1].ticks["z_score"][0])
    bar = state.intervals[300].bars[0]
    assert (bar["open"], bar["high"], bar["low"], bar["close"], bar["volume"]) == (9.0, 12.0, 9.0, 12.0, 7)
    assert state.prices.tolist() == [10.0, 12.0]


def test_late_tick_does_not_touch_a_final_bar():
    machine = Machine(spec(prices={"watermark": "20m"}))
    series = records([OPEN + MINUTE, OPEN + 30 * MINUTE], [10.0, 12.0], sequence=[1, 2])
    state = TickerState()
    effects = machine.apply(state, series, Clock())
    assert effects.bars["final"].tolist() == [1, 0, 0]
    late = machine.apply(state, records([OPEN + 11 * MINUTE], [1.0], sequence=[0]), Clock())
    assert late.ticks["late"].tolist() == [1]
    changed = late.bars[late.bars["interval_s"] == 300]
    assert changed["start_us"].tolist() == [OPEN + 10 * MINUTE]  # a bar of its own, after the final one
    flushed = machine.apply(state, records([OPEN + 12 * MINUTE], [50.0], sequence=[9]), Clock(flush=True))
    again = machine.apply(state, records([OPEN + 13 * MINUTE], [99.0], sequence=[10]), Clock(flush=True))
    assert flushed.bars["high"].max() == 50.0
    assert not len(again.bars)


def test_behind_the_watermark_is_refused(machine):
    effects, _ = run(
        machine, [records([OPEN + 20 * MINUTE], 10.0), records([OPEN + 9 * MINUTE, OPEN + 10 * MINUTE], 10.0)]
    )
    assert effects[1].too_late.tolist() == [0]
    assert effects[1].ticks["time_us"].tolist() == [OPEN + 10 * MINUTE]


def test_bars_are_told_while_open_and_made_final_by_the_watermark(machine):
    state = TickerState()
    first = machine.apply(state, records([OPEN + MINUTE], 10.0), Clock())
    assert sorted(first.bars["interval_s"].tolist()) == [300, DAY_S]
    assert not first.bars["final"].any()
    quiet = machine.apply(state, records([], []), Clock())
    assert not len(quiet.bars)
    passed = machine.apply(state, records([OPEN + 15 * MINUTE], 11.0, sequence=[9]), Clock())
    final = passed.bars[passed.bars["final"] == 1]
    assert final["start_us"].tolist() == [OPEN]
    assert final["close"].tolist() == [10.0]


def test_session_close_makes_only_its_own_session_final(machine):
    yesterday = CLOSE - 24 * 60 * MINUTE
    state = TickerState()
    machine.apply(state, records([CLOSE - MINUTE], 10.0), Clock())
    assert not len(machine.apply(state, records([], []), Clock(closed=(yesterday,))).bars)
    closed = machine.apply(state, records([], []), Clock(closed=(CLOSE,)))
    assert closed.bars["final"].tolist() == [1, 1]


def test_session_close_is_no_event_for_a_session_that_is_replayed(machine):
    state = TickerState()
    machine.apply(state, records([CLOSE - 20 * MINUTE], 10.0, delay_us=24 * 60 * MINUTE), Clock())
    assert not len(machine.apply(state, records([], []), Clock(closed=(CLOSE,))).bars)
    more = machine.apply(state, records([CLOSE - MINUTE], 12.0, sequence=[7], delay_us=24 * 60 * MINUTE), Clock())
    session = more.bars[more.bars["interval_s"] == 86_400][0]
    assert (session["close"], session["ticks"], session["final"]) == (12.0, 2, 0)


def test_trade_at_the_close_belongs_to_the_last_bar(machine):
    state = TickerState()
    effects = machine.apply(state, records([CLOSE], 10.0), Clock(flush=True))
    five, session = effects.bars
    assert (five["start_us"], five["end_us"]) == (CLOSE - 5 * MINUTE, CLOSE)
    assert (session["start_us"], session["end_us"]) == (OPEN, CLOSE)


def test_off_session_ticks_build_no_regular_bars_but_build_bars_of_all_hours():
    early = records([OPEN - 60 * MINUTE], 10.0)
    assert not len(Machine(spec()).apply(TickerState(), early, Clock(flush=True)).bars)
    everywhere = Machine(spec(bars={"hours": "all"})).apply(TickerState(), early, Clock(flush=True))
    assert everywhere.bars["start_us"].tolist()[0] == OPEN - 60 * MINUTE


def test_a_replayed_bar_keeps_its_own_values(machine):
    bar = records([OPEN + 5 * MINUTE], 11.0, volume=700, interval_s=300, opened=10.0, high=12.0, low=9.0)
    effects = machine.apply(TickerState(), bar, Clock(flush=True))
    five = effects.bars[effects.bars["interval_s"] == 300][0]
    assert five["start_us"] == OPEN
    assert [five[name] for name in ("open", "high", "low", "close", "volume")] == [10.0, 12.0, 9.0, 11.0, 700]


def test_a_session_record_makes_a_session_bar_only(machine):
    record = records([CLOSE], 11.0, volume=700, interval_s=DAY_S, opened=10.0, high=12.0, low=9.0)
    effects = machine.apply(TickerState(), record, Clock(flush=True))
    assert effects.bars["interval_s"].tolist() == [DAY_S]
    assert effects.bars["start_us"].tolist() == [OPEN]
    assert effects.bars["open"].tolist() == [10.0]


def test_vwap_and_unknown_volume(machine):
    state = TickerState()
    effects = machine.apply(state, records([OPEN, OPEN + 1], [10.0, 20.0], volume=[1, 3]), Clock(flush=True))
    assert vwap(effects.bars).tolist() == [17.5, 17.5]
    silent = machine.apply(TickerState(), records([OPEN], 10.0), Clock(flush=True))
    assert silent.bars["volume"].tolist() == [UNKNOWN_VOLUME] * 2
    assert np.isnan(vwap(silent.bars)).all()


def test_buckets_grow_with_the_rows_of_a_day(machine, monkeypatch):
    monkeypatch.setattr("tickloom.stream.machine.BUCKET_ROWS", 100)
    effects, _ = run(
        machine, [walk(150), records(OPEN + 2_000_000_000 + np.arange(100), 1.0, sequence=range(1000, 1100))]
    )
    assert np.bincount(ticks_of(effects)["bucket"]).tolist() == [100, 100, 50]


def test_indicators_run_on_final_bars_and_are_nan_in_warm_up():
    machine = Machine(spec(bars={"indicators": ["close_lag_1", "sma_5"], "intervals": ["5m"]}))
    prices = np.arange(1.0, 11.0)
    series = records(OPEN + np.arange(10) * 5 * MINUTE, prices)
    effects, _ = run(machine, [series], Clock(flush=True))
    bars, values = final_bars(effects)
    assert bars["close"].tolist() == prices.tolist()
    np.testing.assert_array_equal(values[:, 0], [np.nan, *prices[:-1]])
    np.testing.assert_allclose(values[:, 1], [np.nan] * 4 + [prices[i - 4 : i + 1].mean() for i in range(4, 10)])


def test_an_indicator_added_over_old_state_starts_fresh_and_leaves_the_others():
    before = Machine(spec(bars={"indicators": ["sma_5"], "intervals": ["5m"]}))
    after = Machine(spec(bars={"indicators": ["close_lag_1", "sma_5"], "intervals": ["5m"]}))
    prices = np.arange(1.0, 21.0)
    series = records(OPEN + np.arange(20) * 5 * MINUTE, prices)
    state = TickerState()
    before.apply(state, pick(series, slice(0, 10)), Clock())
    effects = [after.apply(state, pick(series, slice(10, 20)), Clock(flush=True))]
    bars, values = final_bars(effects)
    first = int(bars["close"][0])
    assert np.isnan(values[0, 0])
    assert values[1, 0] == first
    assert values[0, 1] == np.mean(prices[first - 5 : first])


def test_a_longer_window_over_old_state_fills_up_first():
    state = TickerState()
    Machine(spec(prices={"window": 10})).apply(state, walk(50), Clock())
    assert len(state.prices) == 10
    later = pick(walk(80), slice(50, 80))
    effects = Machine(spec(prices={"window": 20})).apply(state, later, Clock())
    assert np.isnan(effects.ticks["z_score"][:10]).all()
    assert not np.isnan(effects.ticks["z_score"][10:]).any()


def test_an_interval_that_is_new_to_old_state_begins_with_a_whole_bar():
    state = TickerState()
    Machine(spec(bars={"intervals": ["5m"]})).apply(
        state, records(OPEN + np.arange(8) * MINUTE, np.arange(8) + 1.0), Clock()
    )
    machine = Machine(spec(bars={"intervals": ["15m"]}))
    effects = machine.apply(state, records(OPEN + np.arange(8, 50) * MINUTE, np.arange(8, 50) + 1.0), Clock(flush=True))
    assert [(bar["start_us"] - OPEN) // MINUTE for bar in effects.bars] == [15, 30, 45]
    assert [bar["open"] for bar in effects.bars] == [16.0, 31.0, 46.0]
    assert set(state.intervals) == {900}


def test_an_interval_that_went_and_came_back_starts_fresh():
    state = TickerState()
    for minutes, intervals in ((range(8), ["5m"]), (range(8, 21), ["15m"]), (range(21, 40), ["5m"])):
        times = OPEN + np.array(minutes) * MINUTE
        effects = Machine(spec(bars={"intervals": intervals})).apply(
            state, records(times, np.array(minutes) + 1.0), Clock(flush=minutes[-1] == 39)
        )
    assert [(bar["start_us"] - OPEN) // MINUTE for bar in effects.bars] == [25, 30, 35]
