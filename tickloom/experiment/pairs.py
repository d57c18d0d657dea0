"""From forecasts of two arms and the closes that came to one bounded number for each cutoff."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tickloom.errors import TickloomError
from tickloom.experiment.evidence import Floats, State, begin, update

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("cutoff", "ticker", "horizon", "y", "a", "b")


def clustered(y: Floats, a: Floats, b: Floats, weight: Floats) -> Floats:
    """Return one difference for each cutoff, over all tickers together.

    ``sum w (|y - a| - |y - b|) / sum w |a - b|``: which arm's forecasts were nearer, as a share of how far they were
    apart. By the triangle inequality it is in [-1, 1], by a scale that is known when the forecasts are made; tickers of
    one session move together and so count once, however many they are.

    Parameters
    ----------
    y, a, b
        Log-returns (or logarithms of prices) that came, of the champion's forecast and of the challenger's, shape
        (…, tickers). Tickers with a NaN are left out.
    weight
        Positive, known at the cutoff, shape (…, tickers).

    Returns
    -------
    Floats
        Shape (…); NaN where no ticker is left or all forecasts are equal.
    """
    apart = weight * np.abs(a - b)
    better = weight * (np.abs(y - a) - np.abs(y - b))
    missing = np.isnan(better)
    total = np.where(missing, 0.0, apart).sum(axis=-1)
    won = np.where(missing, 0.0, better).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(total > 0, won / total, np.nan)
    return np.asarray(np.clip(share, -1.0, 1.0), np.float64)  # by a rounding error at most


def differences(pairs: "pd.DataFrame", horizon: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return cutoffs, ascending, and the difference of each (:func:`clustered`) from paired rows.

    Parameters
    ----------
    pairs
        One row for each cutoff, ticker and horizon that both arms forecast: ``cutoff`` (integer, ascending with time),
        ``ticker``, ``horizon`` (sessions), and as prices ``y`` that came, ``a`` of the champion, ``b`` of the
        challenger; optionally ``weight``, which must have been known at the cutoff (see :func:`past_weights`). Rows
        with a NaN among the prices are left out.
    horizon
        The horizon that is judged.

    Raises
    ------
    TickloomError
        A column is missing, a price is not positive, a weight is not positive, or a row is there twice.
    """
    _check(pairs, COLUMNS)
    rows = pairs[pairs["horizon"] == horizon].dropna(subset=["y", "a", "b"])
    for name in ("y", "a", "b", *(["weight"] if "weight" in rows else [])):
        if not (fine := np.isfinite(rows[name]) & (rows[name] > 0)).all():
            bad = rows[~fine].iloc[0]
            raise TickloomError(
                f"pairs of forecasts: {name} of {bad['ticker']} at cutoff {bad['cutoff']} is {bad[name]}; "
                "give a finite number above 0"
            )
    if (twice := rows.duplicated(["cutoff", "ticker"])).any():
        bad = rows[twice].iloc[0]
        raise TickloomError(
            f"pairs of forecasts: {bad['ticker']} at cutoff {bad['cutoff']} is there twice; give one row for each"
        )
    table = rows.assign(weight=rows.get("weight", 1.0)).pivot(index="cutoff", columns="ticker")
    y, a, b, weight = (table[name].to_numpy(np.float64) for name in ("y", "a", "b", "weight"))
    return table.index.to_numpy(np.int64), clustered(np.log(y), np.log(a), np.log(b), weight)


def past_weights(pairs: "pd.DataFrame", horizon: int, least: int = 20) -> Floats:
    """Return for each row the inverse of the ticker's mean absolute log-return that was known at the row's cutoff.

    So a volatile ticker does not decide alone. With fewer than ``least`` outcomes it is taken over all tickers' known
    ones, and is 1 where there is none.

    Parameters
    ----------
    pairs
        As for :func:`differences`, with ``y_cutoff``, the close at the cutoff.
    horizon
        Sessions ahead; an outcome counts from the ``horizon``-th cutoff after its own on.
    least
        Outcomes that a ticker needs.

    Raises
    ------
    TickloomError
        A column is missing.
    """
    _check(pairs, (*COLUMNS, "y_cutoff"))
    moves = (pairs["y"] / pairs["y_cutoff"]).map(np.log).abs()
    keys = [pairs["cutoff"], pairs["ticker"]]
    wide = moves.where(pairs["horizon"] == horizon).groupby(keys).first().unstack()
    known = wide.shift(horizon)
    own = known.expanding(least).mean()
    count = known.notna().sum(axis=1).cumsum()
    every = known.sum(axis=1).cumsum() / count.where(count > 0)
    scale = own.apply(lambda column: column.fillna(every))
    inverse = (1 / scale.where(scale > 0)).fillna(1.0).stack()
    return np.asarray(inverse.reindex(list(zip(*keys, strict=True))), np.float64)


def evidence(pairs: "pd.DataFrame", horizon: int = 1, most: int | None = None) -> State:
    """Return the evidence of all paired rows, as if it had been updated after each session."""
    return update(begin(horizon, most), *differences(pairs, horizon))


def _check(pairs: "pd.DataFrame", needed: tuple[str, ...]) -> None:
    if absent := [name for name in needed if name not in pairs]:
        raise TickloomError(f"pairs of forecasts lack {', '.join(absent)}; needed: {', '.join(needed)}")
