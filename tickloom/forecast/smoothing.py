"""Smoothing of a forecast path, as a user may know it from elsewhere."""

from dataclasses import replace

import numpy as np
import pandas as pd

from tickloom.errors import TickloomError
from tickloom.forecast.models.base import Prediction


def smoothed(prediction: Prediction, span: int = 10) -> Prediction:
    """Return the forecast with its path of prices replaced by their exponential moving average.

    The average begins with the price one session ahead and takes in each next one with the weight ``2 / (span + 1)``.
    It thus holds every later forecast back towards the first: what is a milder path is also one that the model did not
    forecast, and the error by horizon shows which is nearer. Quantiles move with the mean.

    Parameters
    ----------
    span
        Sessions; 1 changes nothing.

    Raises
    ------
    TickloomError
        ``span`` is below 1.
    """
    if span < 1:
        raise TickloomError(f"span {span} of the smoothing must be 1 or more sessions")
    weight = 2 / (span + 1)
    path = np.exp(prediction.mean)
    for ahead in range(1, path.shape[1]):
        path[:, ahead] = weight * path[:, ahead] + (1 - weight) * path[:, ahead - 1]
    mean = np.log(path)
    moved = mean - prediction.mean
    return replace(prediction, mean=mean, quantiles={level: it + moved for level, it in prediction.quantiles.items()})


def smoothed_paths(long: pd.DataFrame, model: str, span: int = 10) -> pd.DataFrame:
    """Return a model's forecasts of a walk-forward, smoothed, as those of ``MODEL_smoothed``.

    Parameters
    ----------
    long : DataFrame
        Of ``walk.walk_forward``.
    """
    mine = long[long["model"] == model].sort_values(["fold", "seed", "cutoff", "h"])
    horizon = int(mine["h"].max())
    path = np.log((mine["y_hat"] / mine["y_cutoff"]).to_numpy()).reshape(-1, horizon)
    made = smoothed(Prediction(np.arange(len(path)), path, {}), span).mean.ravel()
    quantiles = {name: np.nan for name in map(str, mine.columns) if name.startswith("q")}
    return mine.assign(model=f"{model}_smoothed", y_hat=mine["y_cutoff"] * np.exp(made), **quantiles)
