"""How far forecasts were off, by model and number of sessions ahead."""

from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd

from tickloom.forecast.models import REFERENCE
from tickloom.forecast.significance import confidence_set, direction, verdicts

MISLEADING = "r2_price"
"""A random walk has one near 1 too: prices stay near where they were."""
KEY = ["unique_id", "cutoff", "h"]


@dataclass(frozen=True)
class Scores:
    """What an evaluation found.

    Attributes
    ----------
    table : DataFrame
        A row for each ``unique_id, model, h``: ``n`` cutoffs; ``rmse, mae`` in the currency; ``mape`` a fraction;
        ``mase`` and ``rmsse`` scaled by the random walk's errors on the same cutoffs, below 1 where better;
        ``r2_return``; ``r2_price``, misleading; ``direction, base_rate, p_direction``; ``difference, statistic,
        p_better, p_worse, p_set, verdict`` of squared errors of returns against the random walk; ``seeds`` and, over
        these, ``rmse_spread`` (standard deviation).
    """

    table: pd.DataFrame


def score(long: pd.DataFrame) -> Scores:
    """Score the forecasts of a walk-forward whose outcome is known.

    Parameters
    ----------
    long : DataFrame
        Of ``walk_forward``. Of a model with several seeds each is scored, and means are shown.
    """
    known = long[long["y"].notna()].copy()
    known["r"] = np.log(known["y"] / known["y_cutoff"])
    known["r_hat"] = np.log(known["y_hat"] / known["y_cutoff"])
    known["loss"] = (known["r"] - known["r_hat"]) ** 2
    parts = []
    for key, group in known.groupby(["unique_id", "h"], sort=True):
        ticker, ahead = cast(tuple[str, int], key)
        points = _points(group)
        losses = group.groupby(["cutoff", "model"], sort=True)["loss"].mean().unstack("model").dropna()
        tests = verdicts(losses, REFERENCE, ahead)
        own = pd.DataFrame({"difference": 0.0, "statistic": 0.0, "verdict": "indistinguishable"}, index=[REFERENCE])
        tests = pd.concat([tests, own])
        tests["p_set"] = tests.index.map(confidence_set(losses, ahead))
        found = points.join(tests)
        naive = found.loc[REFERENCE]
        found["mase"], found["rmsse"] = found["mae"] / naive["mae"], found["rmse"] / naive["rmse"]
        parts.append(found.rename_axis("model").reset_index().assign(unique_id=ticker, h=ahead))
    table = pd.concat(parts, ignore_index=True)
    return Scores(table.set_index(["unique_id", "model", "h"]).sort_index().reset_index())


def _points(group: pd.DataFrame) -> pd.DataFrame:
    """Return figures by model, means over its seeds."""
    each = {key: _of_one(it) for key, it in group.groupby(["model", "seed"], sort=True)}
    table = pd.DataFrame.from_dict(each, orient="index")
    table.index = pd.MultiIndex.from_tuples(table.index, names=["model", "seed"])
    found = table.groupby("model").mean()
    by_model = table.groupby("model")["rmse"]
    found["seeds"], found["rmse_spread"] = by_model.count(), by_model.std(ddof=1)
    return found.astype({"n": int})


def _of_one(it: pd.DataFrame) -> dict[str, float]:
    error = (it["y"] - it["y_hat"]).to_numpy()
    signs = direction(it["r"].to_numpy(), it["r_hat"].to_numpy())
    return {
        "n": len(it),
        "rmse": float(np.sqrt(np.mean(error**2))),
        "mae": float(np.mean(np.abs(error))),
        "mape": float(np.mean(np.abs(error) / it["y"])),
        "r2_return": _r2(it["r"], it["r_hat"]),
        "r2_price": _r2(it["y"], it["y_hat"]),
        "direction": signs.accuracy,
        "base_rate": signs.base_rate,
        "p_direction": signs.p_value,
    }


def _r2(y: pd.Series, y_hat: pd.Series) -> float:
    spread = float(((y - y.mean()) ** 2).sum())
    return float(1 - ((y - y_hat) ** 2).sum() / spread) if spread else float("nan")
