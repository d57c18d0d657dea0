"""The Parquet lake: every accepted tick, in folders by market and day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tickloom.errors import TickloomError
from tickloom.files import whole

KEY = ["ticker", "time_us", "source", "sequence"]
"""What makes two rows the same tick, as in the table ``stock_prices``."""

_FILE = "__filename"  # pyarrow's own name of the column that says which file a row is from


@dataclass(frozen=True)
class Origin:
    """The part of a micro-batch that a file holds.

    All of it comes from the checkpoint, so that a micro-batch done again replaces its own files and no others: a new
    checkpoint counts its micro-batches from 0 again.

    Parameters
    ----------
    checkpoint
        The checkpoint's own id: that of Spark's query, a UUID.
    batch
        Number of the micro-batch.
    planned_ms
        When the micro-batch was planned, in milliseconds since 1970.
    partition
        Partition of the state.
    """

    checkpoint: str
    batch: int
    planned_ms: int
    partition: int

    @property
    def name(self) -> str:
        """Name of the file; of two files, the one whose name sorts last was planned last.

        Files of before there were such names are called `batch-…`, which sorts before all of these.
        """
        planned = datetime.fromtimestamp(self.planned_ms // 1000, UTC)
        return (
            f"ticks-{planned:%Y%m%dT%H%M%S}.{self.planned_ms % 1000:03d}Z-{self.checkpoint}-{self.batch:09d}"
            f"-{self.partition:04d}.parquet"
        )


def write(root: Path, market: str, ticks: pa.Table, origin: Origin) -> list[Path]:
    """Write the ticks of one task, a file for each day, and return the files.

    A file appears whole: it is written beside its place and moved there.

    Parameters
    ----------
    ticks
        Rows of the table ``stock_prices``, with ``day`` and ``bucket``, which no file holds.
    """
    rows = ticks.drop_columns(["day", "bucket"])
    days = pc.unique(ticks["day"])
    written = []
    for day in days:
        target = root / f"market={market}" / f"day={day.as_py().isoformat()}" / origin.name
        with whole(target) as part:
            one = rows if len(days) == 1 else rows.filter(pc.equal(ticks["day"], day))
            pq.write_table(one, part, compression="zstd", compression_level=1)
        written.append(target)
    return written


def read(root: Path, market: str, ticker: str, columns: Sequence[str]) -> pd.DataFrame:
    """Read a ticker's ticks, each once, in the order in which a StreamJob applies them.

    Where a span was processed twice, as by a new checkpoint, the row that was planned last counts.

    Parameters
    ----------
    columns
        Wanted columns of the files, or ``day``, the exchange's date as text.

    Raises
    ------
    TickloomError
        The folder holds no lake of this market.
    """
    import pyarrow.dataset as ds  # which no writer needs in its memory

    folder = root / f"market={market}"
    if not folder.is_dir():
        raise TickloomError(f"{root} holds no lake of {market}: no folder {folder.name}; name the lake of a StreamJob")
    # by name and not by inference: a lake's days are text whatever they look like
    day = ds.partitioning(pa.schema([("day", pa.string())]), flavor="hive")
    found = ds.dataset(folder, format="parquet", partitioning=day).to_table(
        filter=ds.field("ticker") == ticker, columns=[*dict.fromkeys([*KEY, *columns]), _FILE]
    )
    rows: pd.DataFrame = found.to_pandas()
    rows[_FILE] = rows[_FILE].astype(str).str.rsplit("/", n=1).str[-1]
    rows = rows.sort_values(_FILE, kind="stable").drop_duplicates(KEY, keep="last")
    rows["source"] = rows["source"].astype(str)
    return rows.sort_values(["time_us", "source", "sequence"], ignore_index=True).loc[:, list(columns)]
