"""Windows of sessions before each cutoff, and which of them a network learns from."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tickloom.forecast.history import Floats
from tickloom.forecast.models.base import Rows

Windows = npt.NDArray[np.float32]
LEAST = 100
"""Cutoffs with a whole window and all targets that a training needs, validation included."""


def least_rows(window: int, horizon: int) -> int:
    """Return the sessions with all features that give ``LEAST`` cutoffs beside those that are purged."""
    return window - 1 + LEAST + 2 * horizon


@dataclass(frozen=True, eq=False)
class Parts:
    """Cutoffs to learn from, and later ones by which training is ended.

    Attributes
    ----------
    train, validation : int64
        Rows of the frame, rising. The last target of ``train`` ends before the first row of ``validation``.
    """

    train: Rows
    validation: Rows


def parts(sessions: int, ready: int, window: int, horizon: int, share: float) -> Parts:
    """Return which cutoffs of a frame serve what.

    Parameters
    ----------
    sessions
        Of the frame.
    ready
        First session with all features.
    share
        Of the cutoffs, the last ones, for validation.
    """
    rows = np.arange(ready + window - 1, sessions - horizon)
    kept = max(1, round(share * len(rows)))
    return Parts(rows[: len(rows) - kept - horizon], rows[len(rows) - kept :])


def windows_at(values: Floats, rows: Rows, window: int) -> Windows:
    """Return the ``window`` sessions up to each row.

    Parameters
    ----------
    values : float64[n, k]

    Returns
    -------
    float32[m, window, k]
        A copy of these windows alone: ask for some hundreds at a time.
    """
    views = np.lib.stride_tricks.sliding_window_view(values, window, axis=0)  # [n - window + 1, k, window]
    return np.ascontiguousarray(views[rows - window + 1].transpose(0, 2, 1), np.float32)
