"""Histories of a StreamJob's lake."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from tests.unit.forecast.series import history
from tickloom.errors import TickloomError
from tickloom.forecast.histories import from_lake
from tickloom.market.sessions import session_table
from tickloom.store import lake

FIRST, SECOND = "9f0c1d2e-0000-4000-8000-000000000001", "0a1b2c3d-0000-4000-8000-000000000002"


@pytest.fixture
def made():
    return history(40)


def summaries(made):
    """Return one tick for each session, which sums it up as a bar of the source does."""
    table = session_table(made.market)
    count = len(made)
    return pa.table(
        {
            "ticker": [made.ticker] * count,
            "day": pa.array(made.day).cast(pa.date32()),
            "bucket": [0] * count,
            "time_us": table.close_us[np.searchsorted(table.day, made.day)] - 60_000_000,
            "source": ["test"] * count,
            "sequence": [1] * count,
            "price": made.close,
            "open": made.open,
            "high": made.high,
            "low": made.low,
            "volume": pa.array(made.volume).cast(pa.int64()),
        }
    )


def opening(made):
    """Return one plain tick for each session, an hour before it is summed up; its volume is not known."""
    ticks = summaries(made)
    nothing = pa.nulls(len(made), pa.float64())
    for name, values in {
        "time_us": pa.array(ticks["time_us"].to_numpy() - 3_600_000_000),
        "price": pa.array(made.low - 1),
        **dict.fromkeys(("open", "high", "low"), nothing),
        "volume": nothing.cast(pa.int64()),
    }.items():
        ticks = ticks.set_column(ticks.column_names.index(name), name, values)
    return ticks


def test_bars_of_ticks_that_sum_up_bars_are_those_bars(tmp_path, made):
    lake.write(tmp_path, made.market, summaries(made), lake.Origin(FIRST, 0, 0, 0))
    found = from_lake(tmp_path, made.ticker, made.market)
    for name in ("day", "open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(getattr(found, name), getattr(made, name), err_msg=name)


def test_bars_are_made_of_all_ticks_of_a_session_and_an_unknown_volume_stays_unknown(tmp_path, made):
    lake.write(tmp_path, made.market, summaries(made), lake.Origin(FIRST, 0, 0, 0))
    lake.write(tmp_path, made.market, opening(made.between(10, 12)), lake.Origin(FIRST, 1, 1, 0))
    found = from_lake(tmp_path, made.ticker, made.market)
    np.testing.assert_array_equal(found.open[10:12], made.low[10:12] - 1)
    np.testing.assert_array_equal(found.low[9:13], made.low[9:13] - [0, 1, 1, 0])
    np.testing.assert_array_equal(found.high, made.high)
    np.testing.assert_array_equal(found.close, made.close)
    assert np.flatnonzero(np.isnan(found.volume)).tolist() == [10, 11]


def test_sessions_that_a_new_checkpoint_went_through_again_count_once(tmp_path, made):
    again = made.between(20, 40)
    moved = dataclasses.replace(again, close=again.close * 1.001)
    lake.write(tmp_path, made.market, summaries(moved), lake.Origin(SECOND, 0, 1, 0))
    lake.write(tmp_path, made.market, summaries(made), lake.Origin(FIRST, 3, 0, 0))
    found = from_lake(tmp_path, made.ticker, made.market)
    np.testing.assert_array_equal(found.volume, made.volume)
    np.testing.assert_array_equal(found.close, np.append(made.close[:20], moved.close))


def test_a_ticker_that_the_lake_lacks_is_named(tmp_path, made):
    lake.write(tmp_path, made.market, summaries(made), lake.Origin(FIRST, 0, 0, 0))
    with pytest.raises(TickloomError, match=r"NONE has no ticks in .*market=XNYS; name another ticker"):
        from_lake(tmp_path, "NONE", made.market)
