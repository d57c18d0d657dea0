"""Values that can be checked by hand or against another definition."""

import statistics
from datetime import date, timedelta

import numpy as np
import pytest

from tickloom.indicators import compute

from .series import bars, values_of, walk

NAN = np.nan


def column(name, block):
    return values_of([name], block)[:, 0]


def test_moving_average_ratio_and_lag():
    block = bars([1, 2, 3, 4], volume=[10, 20, 30, 40])
    np.testing.assert_array_equal(column("sma_2", block), [NAN, 1.5, 2.5, 3.5])
    np.testing.assert_array_equal(column("volume_ratio_2", block), [NAN, 20 / 15, 30 / 25, 40 / 35])
    np.testing.assert_array_equal(column("close_lag_2", block), [NAN, NAN, 1, 2])
    np.testing.assert_array_equal(column("momentum_1", block), [NAN, 1, 1, 1])
    np.testing.assert_array_equal(column("roc_1", block), [NAN, 100, 50, 100 * (4 / 3 - 1)])


def test_width_is_the_distance_of_the_bands_over_the_middle():
    block = walk(60)
    upper, middle, lower, width = values_of(["bb_upper", "bb_middle", "bb_lower", "bb_width"], block)[-1]
    assert width == (upper - lower) / middle
    assert upper - middle == pytest.approx(2 * statistics.pstdev(block.close[-20:]))


def test_zscore_leaves_the_current_close_out_and_uses_the_sample_deviation():
    close = walk(40).close
    z = column("zscore_30", bars(close))
    before = close[9:39]
    assert z[39] == pytest.approx((close[39] - statistics.fmean(before)) / statistics.stdev(before), rel=1e-12)


def test_zscore_after_a_flat_window_is_unknown_however_far_the_close_jumps():
    assert np.isnan(column("zscore_30", bars([0.1] * 30 + [500.0])))[-1]


def test_days_since_anomaly_counts_calendar_days():
    close = [100.0, 101.0] * 15 + [200.0] + [100.0, 101.0] * 2
    day = [*range(30), 35, 38, 38, 39, 60]
    days = column("days_since_anomaly", bars(close, day=day))
    np.testing.assert_array_equal(days, [NAN] * 30 + [0, 3, 3, 4, 25])


def test_obv_starts_at_the_first_volume_and_ignores_equal_closes():
    block = bars([5, 6, 6, 4, 5], volume=[10, 20, 40, 80, 160])
    np.testing.assert_array_equal(column("obv", block), [10, 30, 30, -50, 110])


def test_vwap_begins_anew_each_day():
    block = bars([10, 20, 40, 80], high=[12, 22, 42, 80], low=[8, 18, 38, 80], volume=[1, 3, 2, 2], day=[1, 1, 2, 2])
    np.testing.assert_array_equal(column("vwap", block), [10, 17.5, 40, 60])


def test_zero_volume_gives_no_value():
    block = bars([10.0] * 30, volume=[0.0] * 25 + [5.0] * 5, day=[1] * 30)
    np.testing.assert_array_equal(np.isnan(column("vwap", block)), [True] * 25 + [False] * 5)
    np.testing.assert_array_equal(np.isnan(column("volume_ratio_20", block)), [True] * 25 + [False] * 5)


def test_a_ratio_is_unknown_as_soon_as_all_fractions_of_volume_have_left_the_window():
    ratio = column("volume_ratio_5", bars([1.0] * 13, volume=[0.1, 0.2, 0.3, 0.1, 0.7, 0.3, 0.1] + [0.0] * 6))
    assert ratio[10] == 0.0
    assert np.isnan(ratio[11:]).all()


def test_the_mean_of_a_window_without_volume_is_exactly_0():
    mean = column("volume_sma_5", bars([1.0] * 13, volume=[0.1, 0.2, 0.3, 0.1, 0.7, 0.3, 0.1] + [0.0] * 6))
    np.testing.assert_array_equal(mean[11:], 0.0)


def test_unknown_volume_breaks_the_session_vwap_and_no_more():
    volume = [1.0, NAN, 1.0, 1.0]
    block = bars([10, 20, 30, 40], volume=volume, day=[1, 1, 1, 2])
    np.testing.assert_array_equal(column("vwap", block), [10, NAN, NAN, 40])
    np.testing.assert_array_equal(column("obv", block), [1, NAN, 2, 3])
    np.testing.assert_array_equal(column("volume_sma_2", block), [NAN, NAN, NAN, 1])


def test_calendar_agrees_with_the_standard_library():
    first = date(1899, 12, 20)
    days = [first + timedelta(days=i) for i in range(0, 366 * 250, 3)]
    numbers = [(day - date(1970, 1, 1)).days for day in days]
    block = bars(np.ones(len(days)), day=numbers)
    expected = [(day.weekday(), day.month, (day.month + 2) // 3) for day in days]
    np.testing.assert_array_equal(values_of(["day_of_week", "month", "quarter"], block), expected)
    backwards = bars(np.ones(len(days)), day=numbers[::-1])
    np.testing.assert_array_equal(values_of(["month"], backwards)[::-1, 0], [row[1] for row in expected])


def test_a_frame_keeps_its_index_and_gives_the_same_values():
    block = walk(250)
    frame = frame_of(block)
    values = compute(frame, ["sma_20", "vwap"])
    assert values.index.equals(frame.index)
    np.testing.assert_array_equal(values.to_numpy(), values_of(["sma_20", "vwap"], block))
    assert compute(frame).shape == (250, 43)


def frame_of(block):
    import pandas as pd

    return pd.DataFrame(block._asdict(), index=pd.Index(np.arange(len(block.close)) * 7, name="row"))
