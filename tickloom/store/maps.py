"""Indicators as the maps of the table ``bars``."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def indicator_maps(
    values: npt.NDArray[Any], names: Sequence[str], rows: npt.NDArray[np.bool_] | None = None
) -> pa.MapArray:
    """Return a map of name to value for each row, which leaves out what is not finite.

    Parameters
    ----------
    values
        float64[rows, len(names)].
    rows
        bool[rows]: which rows have a map; it is null in the others. Default all.
    """
    told = np.ones(len(values), bool) if rows is None else rows
    known = np.isfinite(values) & told[:, None]
    offsets = np.concatenate([[0], np.cumsum(known.sum(axis=1))]).astype(np.int32)
    columns = np.broadcast_to(np.arange(len(names), dtype=np.int32), values.shape)[known]
    keys = pa.DictionaryArray.from_arrays(pa.array(columns), pa.array(list(names), pa.string())).cast(pa.string())
    bounds = pa.array(offsets, mask=np.concatenate([~told, [False]]))
    return pa.MapArray.from_arrays(bounds, keys, pa.array(values[known]))
