"""Fit and forecast fold by fold, side by side on all cores, into one long frame."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from tickloom.forecast.explanation import explained
from tickloom.forecast.features import FeatureFrame
from tickloom.forecast.folds import Fold, Plan
from tickloom.forecast.models import make
from tickloom.forecast.workers import workers
from tickloom.market.sessions import session_table

Options = Mapping[str, Mapping[str, Any]]
"""Of models, by their name."""
Report = Callable[[int, int, str], None]
"""Told how many fits are done, of how many, and which was the last."""
Outcome = tuple[pd.DataFrame, pd.DataFrame | None]
"""Forecasts, and what the fitted model goes by where that was asked for."""
Explain = Callable[[pd.DataFrame], None]
"""Given what each fit goes by, in the form of ``explanation.explained``."""


@dataclass(frozen=True)
class Fit:
    """One model on one fold with one seed."""

    model: str
    fold: Fold
    seed: int
    options: Mapping[str, Any] = field(default_factory=dict)
    explain: bool = False

    def run(self, frame: FeatureFrame, horizon: int) -> Outcome:
        """Fit to the fold's sessions and forecast from its cutoffs; and, where asked for, tell what it goes by."""
        model = make(self.model, horizon, **self.options).fit(
            frame.between(self.fold.start, self.fold.stop), seed=self.seed
        )
        found = model.predict(frame.first(int(self.fold.rows[-1]) + 1), self.fold.rows)
        long = long_frame(frame, found.rows, found.mean)
        quantiles = {f"q{level:g}": values.ravel() for level, values in found.quantiles.items()}
        long = long.assign(model=self.model, fold=self.fold.number, seed=self.seed, **quantiles)
        return long, explained(model, frame, self.fold, self.seed) if self.explain else None


def long_frame(frame: FeatureFrame, rows: np.ndarray, mean: np.ndarray) -> pd.DataFrame:
    """Return forecasts as rows of ``unique_id, cutoff, ds, h, y, y_hat, y_cutoff``.

    Parameters
    ----------
    rows : int64[m]
        Cutoffs.
    mean : float64[m, H]
        Log-returns.

    Returns
    -------
    DataFrame
        m * H rows: ``cutoff`` and ``ds`` are dates of sessions, ``h`` counts them; ``y, y_hat, y_cutoff`` are prices;
        ``y`` is NaN where the frame ends before ``ds``.
    """
    history, horizon = frame.history, mean.shape[1]
    table = session_table(history.market)
    ahead = np.arange(1, horizon + 1)
    later = rows[:, None] + ahead
    inside = later < len(frame)
    at = np.minimum(later, len(frame) - 1)
    next_session = int(np.searchsorted(table.day, history.day[-1], side="right"))
    after = table.day[np.minimum(next_session + later - len(frame), len(table) - 1)]
    days = np.where(inside, history.day[at], after)
    now = np.broadcast_to(history.close[rows][:, None], mean.shape)
    return pd.DataFrame(
        {
            "unique_id": history.ticker,
            "cutoff": np.repeat(history.day[rows], horizon).astype("datetime64[D]").astype("datetime64[s]"),
            "ds": days.ravel().astype("datetime64[D]").astype("datetime64[s]"),
            "h": np.tile(ahead, len(rows)).astype(np.int16),
            "y": np.where(inside, history.close[at], np.nan).ravel(),
            "y_hat": (now * np.exp(mean)).ravel(),
            "y_cutoff": now.ravel(),
        }
    )


def fits(
    models: Sequence[str],
    folds: Sequence[Fold],
    seeds: Sequence[int],
    horizon: int,
    options: Options,
    explain: bool = False,
) -> Iterator[Fit]:
    """Yield what is to be fitted; a model without chance in it once a fold."""
    for name in models:
        own = options.get(name, {})
        chances = seeds if make(name, horizon, **own).random else seeds[:1]
        for fold in folds:
            for seed in chances:
                yield Fit(name, fold, seed, own, explain)


def walk_forward(
    frame: FeatureFrame,
    models: Sequence[str],
    plan: Plan,
    *,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    jobs: int = 1,
    options: Options | None = None,
    report: Report | None = None,
    explain: Explain | None = None,
) -> pd.DataFrame:
    """Return every forecast of every model, fold and seed in one long frame.

    Parameters
    ----------
    jobs
        Processes; each has one thread, so that a result does not depend on their number.
    options
        Of models, such as a network's ``width``.
    explain
        Given what each fit goes by on its own cutoffs, in the order of the forecasts; without it, nothing is explained.
    """
    given = options or {}
    folds = folds_of(frame, models, plan, given)
    wanted = list(fits(models, folds, seeds, plan.horizon, given, explain is not None))
    found = _run(wanted, frame, plan.horizon, jobs, report)
    if explain is not None:
        for _, goes_by in found:
            if goes_by is not None and len(goes_by):
                explain(goes_by)
    return pd.concat([long for long, _ in found], ignore_index=True)


def folds_of(frame: FeatureFrame, models: Sequence[str], plan: Plan, options: Options) -> list[Fold]:
    """Return the folds of a frame, alike for all models.

    Raises
    ------
    TickloomError
        There are too few sessions for the model that needs most.
    """
    frame.refuse_unknown()
    made = [make(name, plan.horizon, **options.get(name, {})) for name in models]
    least = max(it.least_rows + it.reads_before for it in made)
    return list(plan.split(len(frame), least, frame.ready))


def last_block(
    frame: FeatureFrame,
    models: Sequence[str],
    plan: Plan,
    *,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    jobs: int = 1,
    options: Options | None = None,
    report: Report | None = None,
) -> pd.DataFrame:
    """Return the forecasts of the block that no fold touches, in the form of ``walk_forward``; ask once, at the end."""
    wanted = list(fits(models, [plan.last(len(frame), frame.ready)], seeds, plan.horizon, options or {}))
    return pd.concat([long for long, _ in _run(wanted, frame, plan.horizon, jobs, report)], ignore_index=True)


def _run(wanted: Sequence[Fit], frame: FeatureFrame, horizon: int, jobs: int, report: Report | None) -> list[Outcome]:
    tell = report or (lambda done, of, last: None)
    if jobs <= 1:
        parts = []
        for number, fit in enumerate(wanted, start=1):
            parts.append(fit.run(frame, horizon))
            tell(number, len(wanted), fit.model)
        return parts
    with workers(jobs) as pool:
        running: dict[Future[Outcome], int] = {
            pool.submit(fit.run, frame, horizon): number for number, fit in enumerate(wanted)
        }
        found: dict[int, Outcome] = {}
        for done in as_completed(running):
            found[running[done]] = done.result()
            tell(len(found), len(wanted), wanted[running[done]].model)
    return [found[number] for number in range(len(wanted))]
