"""Made years of a series that keep how its neighbours hang together: the stationary bootstrap.

Blocks of random length, begun anywhere and going on from the end at the start, keep volatility that comes in clusters
(Politis and Romano 1994, doi:10.1080/01621459.1994.10476870). The mean length is that of Politis and White (2004,
doi:10.1081/ETC-120028836), and no less than the shortest window: a statistic of a window sees no more than that.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Columns = Mapping[str, Floats]
"""Columns of one length by name."""
_LONGEST_PART = 5
"""Blocks longer than a fifth of the series are all alike."""


def block_length(columns: Columns, least: int) -> float:
    """Return the mean length of blocks, sessions.

    The largest that Politis and White's rule gives for any column or the sizes of its deviations, between ``least``
    and a fifth of the series; a column that never moves has no say.
    """
    from arch.bootstrap import optimal_block_length

    length = len(next(iter(columns.values())))
    found = [float(least)]
    for values in columns.values():
        centred = values - values.mean()
        for it in (values, np.abs(centred)):
            if np.ptp(it) > 0:
                found.append(float(optimal_block_length(it)["stationary"].iloc[0]))
    return float(np.clip(np.nanmax(found), least, max(length / _LONGEST_PART, least)))


def drawn(length: int, wanted: int, paths: int, block: float, seed: int) -> npt.NDArray[np.int64]:
    """Return rows of a series of ``length`` that make up ``paths`` others of ``wanted`` rows, int64[paths, wanted]."""
    from arch.bootstrap import StationaryBootstrap

    source = StationaryBootstrap(round(block), np.arange(length), seed=seed)
    rounds = -(-wanted // length)
    parts = [np.concatenate([source.update_indices() for _ in range(rounds)]) for _ in range(paths)]
    return np.stack([it[:wanted] for it in parts])
