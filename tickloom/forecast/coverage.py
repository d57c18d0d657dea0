"""How often intervals held what they promise, how wide they were, and what the quantiles they stand for are worth."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from tickloom.errors import TickloomError
from tickloom.forecast.history import Floats
from tickloom.forecast.residuals import LEVELS, labels

REGIMES = ("calm", "middle", "wild")
ALL = "all"
_REPEATS = 1000
_CONFIDENCE = 0.95
_KEY = ["model", "h", "level", "regime"]


def with_regime(long: pd.DataFrame) -> pd.DataFrame:
    """Return forecasts with ``regime``: the tercile, in its ticker, of the volatility known at the cutoff.

    The borders are those of all cutoffs at hand: a description of what was, that no forecast has used.
    """
    share = long.groupby("unique_id")["volatility"].rank(pct=True)
    third = np.clip(np.ceil(3 * share.to_numpy(np.float64)) - 1, 0, 2).astype(np.int64)
    return long.assign(regime=np.asarray(REGIMES)[third])


def coverage(long: pd.DataFrame, levels: Sequence[float] = LEVELS, *, seed: int = 0) -> pd.DataFrame:
    """Return coverage pooled over tickers.

    Parameters
    ----------
    long : DataFrame
        Of ``with_intervals``, with ``volatility``. Rows without interval or outcome are left out.

    Returns
    -------
    DataFrame
        A row for each ``model, h, level, regime`` (``all``, ``calm``, ``middle``, ``wild``): ``n`` intervals,
        ``coverage`` a fraction, ``low`` and ``high`` of its 95 % interval, ``width`` as a share of the price.

    Notes
    -----
    The interval is a stationary bootstrap over sessions (Politis and Romano 1994, by the package arch): all tickers,
    models and levels of a session are drawn together, as they move together. Blocks are as long as the horizon, and at
    least the cube root of the number of sessions.
    """
    known = _known(long, levels)
    held = pd.concat([_held(known, level, names) for level, names in zip(levels, labels(levels), strict=True)])
    held = pd.concat([held.assign(regime=ALL), held])
    means = held.groupby(_KEY, sort=True).agg(
        n=("inside", "size"), coverage=("inside", "mean"), width=("width", "mean")
    )
    bounds = [_bootstrap(one, int(cast(Any, ahead)), seed) for ahead, one in held.groupby("h", sort=True)]
    found = means.join(pd.concat(bounds)).reset_index()
    order = {name: at for at, name in enumerate((ALL, *REGIMES))}
    return found.sort_values(_KEY, key=lambda it: it.map(order) if it.name == "regime" else it, ignore_index=True)[
        [*_KEY, "n", "coverage", "low", "high", "width"]
    ]


def quantile_scores(long: pd.DataFrame, levels: Sequence[float] = LEVELS) -> pd.DataFrame:
    """Return what the quantiles are worth: the bounds of the intervals, and the forecast as the median.

    Returns
    -------
    DataFrame
        A row for each ``unique_id, model, h``: ``pinball`` the mean over the quantiles (Koenker and Bassett 1978,
        doi:10.2307/1913643), and ``crps``, twice that (Berrisch and Ziel 2023, doi:10.1016/j.jeconom.2021.11.008): an
        approximation from so many quantiles as there are, good for comparing models and not for comparing with other
        papers. Both are fractions of the cutoff's price; less is better.

    Notes
    -----
    Equal to scoringrules' ``quantile_score`` and ``crps_quantile``, whose import compiles for seconds all that it has.
    """
    known = _known(long, levels)
    names = [*(low for low, _ in reversed(labels(levels))), "y_hat", *(high for _, high in labels(levels))]
    shares = quantile_levels(levels)
    base = known["y_cutoff"].to_numpy()
    errors = (known["y"].to_numpy()[:, None] - known[names].to_numpy()) / base[:, None]
    pinball = np.maximum(shares * errors, (shares - 1) * errors).mean(axis=1)
    scored = known[["unique_id", "model", "h"]].assign(pinball=pinball, crps=2 * pinball)
    return scored.groupby(["unique_id", "model", "h"], sort=True)[["pinball", "crps"]].mean().reset_index()


def quantile_levels(levels: Sequence[float]) -> Floats:
    """Return the probabilities of the bounds in rising order, with the median: float64[2 * levels + 1]."""
    below = [(1 - level) / 2 for level in reversed(levels)]
    return np.array([*below, 0.5, *(1 - it for it in reversed(below))])


def probability_of_rise(long: pd.DataFrame, levels: Sequence[float] = LEVELS) -> Floats:
    """Return the probability that the price is above the cutoff's, as the intervals have it: float64[rows].

    Between the bounds, and beyond, the quantiles of the log-price are drawn straight against those of the standard
    normal distribution. NaN where there is no interval.
    """
    from scipy.stats import norm

    names = [*(low for low, _ in reversed(labels(levels))), *(high for _, high in labels(levels))]
    places: Floats = norm.ppf(np.delete(quantile_levels(levels), len(levels)))
    bounds = np.log(long[names].to_numpy() / long["y_cutoff"].to_numpy()[:, None])
    # The piece in which 0 lies; the outermost pieces go on.
    piece = np.clip((bounds < 0).sum(axis=1) - 1, 0, len(names) - 2)
    rows = np.arange(len(long))
    left, right = bounds[rows, piece], bounds[rows, piece + 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (places[piece + 1] - places[piece]) / (right - left)
    found: Floats = norm.sf(places[piece] - left * slope)
    return found


def _known(long: pd.DataFrame, levels: Sequence[float]) -> pd.DataFrame:
    names = [name for pair in labels(levels) for name in pair]
    missing = [name for name in names if name not in long]
    if missing:
        raise TickloomError(f"forecasts have no column {missing[0]}; make the intervals first (with_intervals)")
    kept = long[long[names[0]].notna() & long["y"].notna()]
    if kept.empty:
        raise TickloomError(
            "no forecast has an interval and an outcome: the burn-in takes all cutoffs; take more or longer folds, or "
            "a shorter calibration"
        )
    return kept if "regime" in kept else with_regime(kept)


def _held(known: pd.DataFrame, level: float, names: tuple[str, str]) -> pd.DataFrame:
    low, high = (known[name] for name in names)
    return known[["cutoff", "model", "h", "regime"]].assign(
        level=level, inside=(known["y"] >= low) & (known["y"] <= high), width=(high - low) / known["y_cutoff"]
    )


def _bootstrap(held: pd.DataFrame, horizon: int, seed: int) -> pd.DataFrame:
    from arch.bootstrap import StationaryBootstrap

    table = held.pivot_table(index="cutoff", columns=_KEY, values="inside", aggfunc=["sum", "count"]).fillna(0)
    inside, count = table["sum"].sort_index(), table["count"].sort_index()
    hits, of = inside.to_numpy(np.float64), count.to_numpy(np.float64)
    block = max(horizon, round(len(hits) ** (1 / 3)))
    drawn = StationaryBootstrap(block, hits, of, seed=np.random.default_rng(seed))
    shares = np.array([_share(*cast(Any, values)) for values, _ in drawn.bootstrap(_REPEATS)])
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.nanquantile(shares, [tail, 1 - tail], axis=0)
    return pd.DataFrame({"low": low, "high": high}, inside.columns)


def _share(hits: npt.NDArray[np.float64], of: npt.NDArray[np.float64]) -> Floats:
    total = of.sum(axis=0)
    found: Floats = hits.sum(axis=0) / np.where(total > 0, total, np.nan)
    return found
