"""Challenger, champion and random walk on the same cutoffs, later than all that either model has learned from."""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tickloom.errors import TickloomError
from tickloom.files import whole
from tickloom.forecast import package
from tickloom.forecast.features import FeatureFrame, feature_frame
from tickloom.forecast.history import Floats
from tickloom.forecast.intervals import volatility
from tickloom.forecast.models import REFERENCE, Model, make
from tickloom.forecast.models.base import Rows
from tickloom.forecast.registry import ARTIFACTS, Registry
from tickloom.forecast.significance import diebold_mariano
from tickloom.forecast.versions import CHAMPION, Version
from tickloom.market.sessions import day_of, days_of
from tickloom.retrain import results
from tickloom.retrain.division import Case, case, least_cutoffs
from tickloom.retrain.left import CHALLENGER, COMPARE, FORECASTS, NAIVE, TRAIN
from tickloom.retrain.results import Facts

_TIMED = 30


@dataclass(frozen=True, eq=False)
class Champion:
    """What serves now.

    Attributes
    ----------
    model : Model or None
        None where it cannot forecast here; ``why`` says the reason.
    name, version, last_day : str or int
        ``last_day`` is empty for the random walk, which learns nothing.
    """

    model: Model | None
    name: str
    version: int | None
    last_day: str
    features: tuple[str, ...] = ()
    why: str = ""

    def as_json(self) -> Facts:
        """Return what is told of it."""
        told = ("name", "version", "last_day", "why")
        return {("model" if name == "name" else name): getattr(self, name) for name in told}


def compare(
    *, ticker: str, model: str, extracted: Path, plan: Path, trained: Path, market: str, out: Path, mlflow: str
) -> Facts:
    """Have challenger, champion and random walk forecast from the same cutoffs, and take the challenger's time.

    The first cutoff is the last session that either model learned from: all outcomes are later. The random walk learns
    nothing, so as a champion it takes no session away. A champion that learned later than the challenger leaves fewer
    cutoffs, perhaps none; that is told, and the gate refuses.

    Parameters
    ----------
    mlflow
        Tracking URI.

    Returns
    -------
    dict
        ``cutoffs``, their number, with ``first_cutoff`` and ``last_cutoff``; ``champion``, what it is; ``losses`` of
        the three; ``ratios`` of the challenger's root mean squared error to those of naive and champion; ``tests``,
        one-sided p-values of a challenger that is no better and of one that is no worse; ``latency_ms`` of one forecast
        from the saved model; ``bytes`` of the package; ``quality`` of the bars. What cannot be known is None.

    Raises
    ------
    TickloomError
        MLflow does not answer, or the package is not of this ticker and model.

    Notes
    -----
    The loss of a cutoff is the mean over 1..H sessions ahead of the squared error of the log-return, each divided by
    the number of sessions ahead, for the variance of a random walk grows with it. Losses of H cutoffs in a row overlap,
    which the test of Diebold and Mariano counts. ``forecasts.parquet`` holds every forecast.
    """
    found = case(ticker, extracted, plan, market)
    told = results.read(trained, TRAIN)
    challenger, manifest = package.read(trained)
    if (manifest.ticker, manifest.model, manifest.market) != (ticker, model, market):
        raise TickloomError(f"{trained}: holds {manifest.model} of {manifest.ticker}, not {model} of {ticker}")
    if told["extracted_sha256"] != found.history.sha256:
        raise TickloomError(f"{trained}: was learned from other bars than {extracted} holds; train it again")
    champion = champion_of(Registry(mlflow), market, ticker, found.horizon)
    rows = cutoffs(found, [manifest.last_day, champion.last_day])
    frame = feature_frame(found.history, manifest.features or None)
    moves = {CHALLENGER: _moves(challenger, frame, rows, found.horizon)}
    if champion.model is not None:
        try:
            theirs = feature_frame(found.history, champion.features or None)
            moves[CHAMPION] = _moves(champion.model, theirs, rows, found.horizon)
        except TickloomError as error:
            champion = Champion(None, champion.name, champion.version, champion.last_day, why=str(error))
    moves[NAIVE] = np.zeros((len(rows), found.horizon))
    ahead = min(it.shape[1] for it in moves.values())
    moves = {name: it[:, :ahead] for name, it in moves.items()}
    came = frame.targets(ahead)[rows]
    _write(out / FORECASTS, found, rows, moves, came)
    losses = {name: _losses(it, came) for name, it in moves.items()}
    day = found.history.day
    return results.write(
        out,
        COMPARE,
        {
            "ticker": ticker,
            "model": model,
            "market": market,
            "horizon": ahead,
            "cutoffs": len(rows),
            "first_cutoff": day_of(int(day[rows[0]])) if len(rows) else None,
            "last_cutoff": day_of(int(day[rows[-1]])) if len(rows) else None,
            "last_learned": manifest.last_day,
            "champion": champion.as_json(),
            "losses": {name: float(it.mean()) if len(it) else None for name, it in losses.items()},
            "by_horizon": {name: _by_horizon(it, came) for name, it in moves.items()},
            "ratios": _against(losses, _ratio),
            "tests": _against(losses, lambda mine, other: _test(mine, other, ahead)),
            "latency_ms": _latency(challenger, frame, rows if len(rows) else np.array([len(frame) - 1])),
            "bytes": sum(it.stat().st_size for it in trained.rglob("*") if it.is_file()),
            "package_sha256": results.digest(trained),
            "quality": found.quality,
        },
    )


def champion_of(registry: Registry, market: str, ticker: str, horizon: int) -> Champion:
    """Return what serves a ticker: its alias ``champion``, else the random walk, which becomes the first one.

    Raises
    ------
    TickloomError
        MLflow does not answer.
    """
    serving = next((it for it in registry.versions(market, ticker) if CHAMPION in it.aliases), None)
    if serving is None:
        return Champion(make(REFERENCE, horizon), REFERENCE, None, "", why="none was registered before")
    with tempfile.TemporaryDirectory() as folder:
        registry.pull(market, ticker, Path(folder), str(serving.number))
        return _read(Path(folder) / ARTIFACTS, serving)


def _read(folder: Path, serving: Version) -> Champion:
    try:
        model, manifest = package.read(folder)
    except (TickloomError, OSError) as error:
        return Champion(None, serving.model, serving.number, "", why=str(error))
    learned = "" if manifest.model == REFERENCE else manifest.last_day
    return Champion(model, manifest.model, serving.number, learned, manifest.features)


def cutoffs(found: Case, last_days: list[str]) -> Rows:
    """Return the sessions from which the outcomes of all sessions ahead are known and later than these days."""
    latest = max(days_of(date.fromisoformat(it)) for it in last_days if it)
    first = int(np.searchsorted(found.history.day, latest))
    return np.arange(max(first, found.learn - 1), len(found.history) - found.horizon)


def _moves(model: Model, frame: FeatureFrame, rows: Rows, horizon: int) -> Floats:
    """Return forecast log-returns, float64[m, up to horizon]."""
    if not len(rows):
        return np.empty((0, min(horizon, model.horizon)))
    return model.predict(frame, rows).mean[:, :horizon]


def _losses(moves: Floats, came: Floats) -> Floats:
    found: Floats = ((came - moves) ** 2 / np.arange(1, came.shape[1] + 1)).mean(axis=1)
    return found


def _by_horizon(moves: Floats, came: Floats) -> list[float]:
    """Return the root mean squared error for each number of sessions ahead."""
    found: list[float] = np.sqrt(((came - moves) ** 2).mean(axis=0)).tolist() if len(came) else []
    return found


def _against(losses: Mapping[str, Floats], of: Any) -> dict[str, Any]:
    mine = losses[CHALLENGER]
    others = (NAIVE, CHAMPION)
    return {name: of(mine, losses[name]) if name in losses and len(mine) else None for name in others}


def _ratio(mine: Floats, other: Floats) -> float | None:
    below = float(other.mean())
    return float(np.sqrt(mine.mean() / below)) if below > 0 else None


def _test(mine: Floats, other: Floats, horizon: int) -> dict[str, float] | None:
    if len(mine) < least_cutoffs(horizon):
        return None
    found = diebold_mariano(mine, other, horizon)
    return {"difference": found.difference, "p_better": found.p_better, "p_worse": found.p_worse}


def _latency(model: Model, frame: FeatureFrame, rows: Rows) -> Facts:
    """Time single forecasts of the model as it was saved; the features are there already."""
    taken = []
    for row in rows[-_TIMED:]:
        begin = time.perf_counter()
        model.predict(frame, [int(row)])
        taken.append(1e3 * (time.perf_counter() - begin))
    return {"median": float(np.median(taken)), "highest": max(taken), "forecasts": len(taken)}


def _write(path: Path, found: Case, rows: Rows, moves: Mapping[str, Floats], came: Floats) -> None:
    """Write a row for each cutoff and number of sessions ahead, log-returns all."""
    ahead = came.shape[1]
    days = found.history.day[rows].astype("datetime64[D]").astype("datetime64[s]")
    table = pd.DataFrame(
        {
            "cutoff": np.repeat(days, ahead),
            "h": np.tile(np.arange(1, ahead + 1), len(rows)),
            "y": came.ravel(),
            "volatility": np.repeat(volatility(found.history)[rows], ahead),
            **{name: it.ravel() for name, it in moves.items()},
        }
    )
    with whole(path) as part:
        table.to_parquet(part, index=False)
