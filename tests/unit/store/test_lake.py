"""The lake: files that replace themselves and no others, and a reader that takes each tick once."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tickloom.errors import TickloomError
from tickloom.store import lake

OPEN = pd.Timestamp("2019-02-15T14:30Z")
FIRST, SECOND = "9f0c1d2e-0000-4000-8000-000000000001", "0a1b2c3d-0000-4000-8000-000000000002"
PLANNED = 1_550_243_000_007


def ticks(minutes, price=100.0, *, ticker="AAPL", source="test", sequences=None):
    """Return ticks, one for each minute after the open; 1440 minutes are a day."""
    times = [OPEN + pd.Timedelta(minutes=minute) for minute in minutes]
    count = len(times)
    return pa.table(
        {
            "ticker": pa.array([ticker] * count).dictionary_encode(),
            "day": pa.array([time.date() for time in times], pa.date32()),
            "bucket": pa.array([0] * count, pa.int32()),
            "time_us": pa.array([time.value // 1000 for time in times], pa.int64()),
            "source": pa.array([source] * count).dictionary_encode(),
            "sequence": pa.array(sequences or list(range(count)), pa.int64()),
            "price": pa.array([price] * count, pa.float64()),
        }
    )


def origin(checkpoint=FIRST, batch=0, planned_ms=PLANNED, partition=1):
    return lake.Origin(checkpoint, batch, planned_ms, partition)


def write(root, rows, **of):
    return lake.write(root, "XNYS", rows, origin(**of))


def read(root, ticker="AAPL"):
    """Return (minutes after the open, price) of a ticker's ticks."""
    found = lake.read(root, "XNYS", ticker, ["time_us", "price"])
    return [((time - OPEN.value // 1000) // 60_000_000, price) for time, price in found.itertuples(index=False)]


def test_files_lie_by_market_and_day_and_are_named_by_where_they_come_from(tmp_path):
    files = write(tmp_path, ticks([0, 1, 1440]), batch=12, partition=3)
    name = f"ticks-20190215T150320.007Z-{FIRST}-000000012-0003.parquet"
    assert [str(file.relative_to(tmp_path)) for file in files] == [
        f"market=XNYS/day=2019-02-15/{name}",
        f"market=XNYS/day=2019-02-16/{name}",
    ]
    stored = [pq.read_table(file, partitioning=None) for file in files]
    assert [table.num_rows for table in stored] == [2, 1]
    assert stored[0].column_names == ["ticker", "time_us", "source", "sequence", "price"]


def test_a_micro_batch_that_is_done_again_replaces_its_files(tmp_path):
    files = write(tmp_path, ticks([0, 1, 1440], 1.0))
    assert write(tmp_path, ticks([0, 1, 1440], 2.0)) == files
    assert sorted(tmp_path.rglob("*.*")) == sorted(files)
    assert read(tmp_path) == [(0, 2.0), (1, 2.0), (1440, 2.0)]


def test_another_checkpoint_replaces_nothing(tmp_path):
    write(tmp_path, ticks([0, 1], 1.0))
    write(tmp_path, ticks([5], 2.0), checkpoint=SECOND)  # in the same millisecond, as two jobs of one lake may
    assert read(tmp_path) == [(0, 1.0), (1, 1.0), (5, 2.0)]


@pytest.mark.parametrize("newest_first", [False, True], ids=["in turn", "the other way round"])
def test_a_tick_of_two_checkpoints_is_read_once_as_the_later_one_has_it(tmp_path, newest_first):
    # the later checkpoint's id sorts first, and its micro-batch has the lower number
    earlier = (ticks([0, 1, 2], 1.0), {"batch": 7})
    later = (ticks([1], 2.0, sequences=[1]), {"checkpoint": SECOND, "planned_ms": PLANNED + 1})
    for rows, of in [later, earlier] if newest_first else [earlier, later]:
        write(tmp_path, rows, **of)
    assert read(tmp_path) == [(0, 1.0), (1, 2.0), (2, 1.0)]


def test_files_of_the_older_name_are_read_and_give_way(tmp_path):
    old = tmp_path / "market=XNYS" / "day=2019-02-15" / "batch-000000007-0001.parquet"
    old.parent.mkdir(parents=True)
    pq.write_table(ticks([0, 1], 1.0).drop_columns(["day", "bucket"]), old)
    assert read(tmp_path) == [(0, 1.0), (1, 1.0)]
    write(tmp_path, ticks([1, 2], 2.0, sequences=[1, 2]))
    assert read(tmp_path) == [(0, 1.0), (1, 2.0), (2, 2.0)]


def test_ticks_are_read_in_the_order_of_the_stream_and_of_one_ticker_alone(tmp_path):
    write(tmp_path, ticks([1, 0, 0], 1.0, sequences=[0, 11, 2]))
    write(tmp_path, ticks([0], 2.0, source="another", sequences=[50]), batch=1)
    write(tmp_path, ticks([0], 3.0, ticker="MSFT"), batch=2)
    found = lake.read(tmp_path, "XNYS", "AAPL", ["day", "source", "sequence"])
    assert found.values.tolist() == [
        ["2019-02-15", "another", 50],
        ["2019-02-15", "test", 2],
        ["2019-02-15", "test", 11],
        ["2019-02-15", "test", 0],
    ]
    assert read(tmp_path, "NONE") == []


def test_a_market_that_the_lake_lacks_is_named(tmp_path):
    write(tmp_path, ticks([0]))
    with pytest.raises(TickloomError, match="holds no lake of XCAS: no folder market=XCAS"):
        lake.read(tmp_path, "XCAS", "ATW", ["price"])
