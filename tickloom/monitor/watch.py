"""A look at one ticker: its returns, its features and the losses of forecasts that have matured."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from tickloom.errors import TickloomError
from tickloom.experiment.records import Forecast, Score
from tickloom.experiment.scoring import newest
from tickloom.forecast.features import FEATURES, FeatureFrame
from tickloom.forecast.history import Days, History
from tickloom.forecast.intervals import volatility, with_intervals
from tickloom.market.sessions import session_table
from tickloom.monitor.findings import Family, Finding, found
from tickloom.monitor.resampling import Columns, Floats
from tickloom.monitor.spans import RECENT, REFERENCE, spans
from tickloom.monitor.statistics import QUICK, Statistic, of_losses, of_series
from tickloom.monitor.thresholds import PATHS, Thresholds

CALENDAR = frozenset(it.name for it in FEATURES if it.needs == "calendar")
"""Features of the date alone, which cannot drift."""
LOSS_COLUMNS = ("absolute", "random_walk_absolute", "covered_80", "covered_95")
"""And ``promised``: half of the width of the interval of 80 %, in log-returns."""


def returns(history: History) -> tuple[Days, Floats]:
    """Return the log-returns between neighbouring sessions of the calendar, with the later one's date.

    A return over missing sessions is that of several days and is left out.
    """
    index = np.searchsorted(session_table(history.market).day, history.day)
    whole = np.diff(index) == 1
    return history.day[1:][whole], np.diff(np.log(history.close))[whole]


def look(
    ticker: str,
    market: str,
    family: Family,
    subject: str,
    days: Days,
    columns: Columns,
    *,
    reference: int = REFERENCE,
    recent: int = RECENT,
    trained: int | None = None,
    paths: int = PATHS,
    seed: int = 0,
) -> Finding:
    """Look once, after the last session, at one series.

    Parameters
    ----------
    days : int32[n]
        Dates of its values, oldest first.
    columns
        ``value``, or the losses of ``LOSS_COLUMNS``.
    reference, recent, trained
        As ``spans``.

    Raises
    ------
    TickloomError
        A window has too few sessions, or the shorter one than 20.
    """
    if recent < QUICK + 5:
        raise TickloomError(f"{ticker}: --recent {recent} is too short; {QUICK + 5} sessions are needed")
    place = spans(f"{ticker} {subject}", market, days, reference, recent, trained)
    before, now = place.split(columns)
    chosen: tuple[Statistic, ...] = (
        of_losses(recent, promised=_known(columns, "promised")) if family == "losses" else of_series(recent)
    )
    thresholds = Thresholds.of(before, chosen, paths=paths, seed=seed)
    return found(ticker, family, subject, thresholds, thresholds.look(now))


def of_returns(history: History, **windows: Any) -> Finding:
    """Look at a ticker's returns."""
    days, values = returns(history)
    return look(history.ticker, history.market, "target", "returns", days, {"value": values}, **windows)


def of_features(frame: FeatureFrame, **windows: Any) -> list[Finding]:
    """Look at each feature but those of the date, from the session on at which all are known."""
    known = frame.between(frame.ready, len(frame))
    return [
        look(
            frame.history.ticker, frame.history.market, "features", name, known.history.day,
            {"value": known.values[:, at]}, **windows,
        )
        for at, name in enumerate(frame.names)
        if name not in CALENDAR
    ]  # fmt: skip


def of_ledger(
    ticker: str,
    market: str,
    arm: str,
    forecasts: Iterable[Forecast],
    scores: Iterable[Score],
    horizon: int = 1,
    **windows: Any,
) -> Finding:
    """Look at the losses of one arm's forecasts ``horizon`` sessions ahead that have matured."""

    def mine(it: Forecast | Score) -> bool:
        return (it.ticker, it.arm, it.horizon) == (ticker, arm, horizon)

    days, columns = matured(filter(mine, forecasts), filter(mine, scores))
    return look(ticker, market, "losses", arm, days, columns, **windows)


def matured(forecasts: Iterable[Forecast], scores: Iterable[Score]) -> tuple[Days, Columns]:
    """Return the matured forecasts of one arm and horizon as columns, by the session that was forecast."""
    made = {it.key: it for it in forecasts}
    ordered = sorted(newest(scores).values(), key=lambda it: it.ds)
    ordered = [it for it in ordered if it.key in made]
    columns = {name: np.array([it.losses.get(name, np.nan) for it in ordered], np.float64) for name in LOSS_COLUMNS}
    bounds = np.array([(made[it.key].lo_80, made[it.key].hi_80) for it in ordered], np.float64).reshape(-1, 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        wide = np.log(bounds[:, 1] / bounds[:, 0]) / 2
    columns["promised"] = np.where(wide > 0, wide, np.nan)
    return np.array([it.ds for it in ordered], np.int32), columns


def _known(columns: Columns, name: str) -> bool:
    return name in columns and bool(np.isfinite(columns[name]).all())


def walked(history: History, forecasts: Floats | None = None) -> tuple[Days, Columns]:
    """Return the losses of one-session forecasts over a history, with conformal intervals of what was known.

    Parameters
    ----------
    forecasts : float64[n], optional
        Log-return from each close to the next, as forecast at it; by default 0, the random walk's.
    """
    n = len(history)
    scale = volatility(history)
    rows = np.flatnonzero(scale[:-1] > 0)
    close = history.close
    ahead = np.zeros(n) if forecasts is None else forecasts
    day = history.day.astype("datetime64[D]").astype("datetime64[s]")
    long = pd.DataFrame(
        {
            "unique_id": history.ticker, "model": "m", "seed": 0, "h": 1, "fold": 0, "cutoff": day[rows],
            "ds": day[rows + 1], "y_cutoff": close[rows], "y": close[rows + 1],
            "y_hat": close[rows] * np.exp(ahead[rows]), "volatility": scale[rows],
        }
    )  # fmt: skip
    long = with_intervals(long)
    long = long[long["lo-95"].notna()]
    moved = np.log((long["y"] / long["y_cutoff"]).to_numpy())
    inside = {
        f"covered_{it}": long["y"].between(long[f"lo-{it}"], long[f"hi-{it}"]).to_numpy(np.float64) for it in (80, 95)
    }
    error = moved - np.log((long["y_hat"] / long["y_cutoff"]).to_numpy())
    days = long["ds"].to_numpy().astype("datetime64[D]").astype(np.int32)
    index = np.searchsorted(session_table(history.market).day, history.day)
    whole = (np.diff(index) == 1)[rows[long.index.to_numpy()]]
    promised = np.log((long["hi-80"] / long["lo-80"]).to_numpy()) / 2
    columns = {"absolute": np.abs(error), "random_walk_absolute": np.abs(moved), "promised": promised, **inside}
    return days[whole], {name: values[whole] for name, values in columns.items()}
