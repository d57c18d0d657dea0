"""Sentiment as it was known at each close."""

import numpy as np
import numpy.typing as npt

from tickloom.forecast.history import Floats, History
from tickloom.market.sessions import Times, session_table


def closes_us(history: History) -> Times:
    """Return when each session closed, UTC microseconds since 1970; by the usual hours where it is no session."""
    table = session_table(history.market)
    at = table.index_of_day(history.day)
    return np.where(at >= 0, table.close_us[at], table.regular_hours(history.day)[1])


def sentiment_at_close(history: History, known_us: npt.ArrayLike, score: npt.ArrayLike) -> dict[str, Floats]:
    """Return the mean score of the news since the close before, and how much of it there was.

    Parameters
    ----------
    known_us : int64[k]
        From when each score was known: UTC microseconds since 1970 of its publication, or of its scoring where that
        was later. What comes after a close belongs to the next session.
    score : float64[k]
        -1 to 1.

    Returns
    -------
    dict of str to float64[n]
        ``sentiment``, 0 without news, and ``news``, log(1 + count); for ``feature_frame(history, extra=...)``. News
        from before the first session's day are left out.
    """
    closes, n = closes_us(history), len(history)
    times, scores = np.asarray(known_us, np.int64), np.asarray(score, np.float64)
    at = np.searchsorted(closes, times, side="left")
    inside = (at < n) & (times > closes[0] - 86_400_000_000 if n else False)
    count = np.bincount(at[inside], minlength=n).astype(np.float64)
    total = np.bincount(at[inside], weights=scores[inside], minlength=n)
    return {"sentiment": total / np.maximum(count, 1), "news": np.log1p(count)}
