"""The Parquet lake: every accepted tick, in folders by market and day."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tickloom.files import whole
from tickloom.market.sessions import day_of
from tickloom.stream.effects import Batch


def write(root: Path, market: str, batch: Batch, batch_id: int) -> list[Path]:
    """Write one task's ticks, a file for each day, and return the files.

    A file's name holds the batch and the partition of the state, so that a batch done again replaces its files. A file
    appears whole: it is written beside its place and moved there.
    """
    table = batch.stock_prices().drop_columns(["day", "bucket"])
    days = batch.ticks["day"]
    written = []
    for day in np.unique(days):
        folder = root / f"market={market}" / f"day={day_of(int(day)).isoformat()}"
        target = folder / f"batch-{batch_id:09d}-{batch.partition:04d}.parquet"
        rows = table if len(np.unique(days)) == 1 else table.filter(pa.array(days == day))
        with whole(target) as part:
            pq.write_table(rows, part, compression="zstd", compression_level=1)
        written.append(target)
    return written
