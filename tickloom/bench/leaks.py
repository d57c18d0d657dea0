"""Mistakes that make forecasts look good, each as somebody might write it, for the audit to find."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from tickloom.forecast.audit import FeaturesOf, Walk, audit, features_of
from tickloom.forecast.disturbed import Inputs
from tickloom.forecast.features import FeatureFrame, feature_frame
from tickloom.forecast.folds import Plan
from tickloom.forecast.history import Floats
from tickloom.forecast.models import Model, Prediction, make
from tickloom.forecast.models.linear import training_rows
from tickloom.forecast.walk import long_frame

FEW = ("ret_1", "rsi_14", "to_sma_20", "volume_change")


# -- features ---------------------------------------------------------------------------------------------------------


def few(inputs: Inputs, **extra: Floats) -> FeatureFrame:
    """Four honest features and further ones."""
    return feature_frame(inputs.history, FEW, extra)


def centred(inputs: Inputs) -> FeatureFrame:
    """A moving average around its session."""
    average = pd.Series(inputs.history.close).rolling(11, center=True, min_periods=1).mean().to_numpy()
    return few(inputs, to_average=np.log(inputs.history.close / average))


def published_today(inputs: Inputs) -> FeatureFrame:
    """The day's news, those of the evening after the close too."""
    day = pd.to_datetime(inputs.known_us, unit="us", utc=True).tz_convert("America/New_York").tz_localize(None)
    daily = pd.Series(inputs.score).groupby(day.normalize()).mean()
    dates = pd.DatetimeIndex(inputs.history.day.astype("datetime64[D]").astype("datetime64[s]"))
    return few(inputs, sentiment=np.asarray(daily.reindex(dates).fillna(0.0), np.float64))


def target_inside(inputs: Inputs) -> FeatureFrame:
    """The table for training, whose target column is taken for a feature."""
    return few(inputs, target=few(inputs).targets(1)[:, 0])


def filled_back(inputs: Inputs) -> FeatureFrame:
    """A weekly close, which the days before it get as well."""
    weekly = pd.Series(inputs.history.close).where(np.arange(len(inputs.history)) % 5 == 4)
    return few(inputs, to_week=np.log(inputs.history.close / weekly.bfill().ffill().to_numpy()))


def one_session_late(inputs: Inputs) -> FeatureFrame:
    """Features whose index slipped by one session when they were joined."""
    frame = few(inputs)
    return replace(frame, values=pd.DataFrame(frame.values).shift(-1).ffill().to_numpy())


def restated(inputs: Inputs) -> FeatureFrame:
    """The price adjusted, as vendors do, by all dividends until today."""
    paid = 1 - inputs.dividend / np.concatenate([inputs.history.close[:1], inputs.history.close[:-1]])
    later = np.concatenate([np.cumprod(paid[::-1])[::-1][1:], [1.0]])
    return few(inputs, adjusted=np.log(inputs.history.close * later))


def scaled_by_all(inputs: Inputs) -> FeatureFrame:
    """Features standardised by mean and deviation of the whole series."""
    frame = few(inputs)
    values = frame.values[frame.ready :]
    return replace(frame, values=(frame.values - values.mean(axis=0)) / values.std(axis=0))


# -- models -----------------------------------------------------------------------------------------------------------


class ScalesWhatItIsGiven(Model):
    """A ridge that standardises whatever frame it forecasts from by that frame's own mean."""

    name: ClassVar[str] = "scales_what_it_is_given"

    def __init__(self, horizon: int) -> None:
        super().__init__(horizon)
        self.ridge = make("ridge", horizon)

    @property
    def least_rows(self) -> int:
        """As the ridge's."""
        return self.ridge.least_rows

    def _scaled(self, frame: FeatureFrame) -> FeatureFrame:
        known = frame.values[frame.ready :]
        return replace(frame, values=(frame.values - known.mean(axis=0)) / np.maximum(known.std(axis=0), 1e-12))

    def _fit(self, frame: FeatureFrame, seed: int, progress: Any) -> None:
        self.ridge.fit(self._scaled(frame))

    def _predict(self, frame: FeatureFrame, rows: Any) -> Prediction:
        return self.ridge.predict(self._scaled(frame), rows)

    def save(self, folder: Any) -> None:
        """Refuse: nobody is to keep it."""
        raise NotImplementedError

    @classmethod
    def load(cls, folder: Any) -> Any:
        """Refuse: nothing was kept."""
        raise NotImplementedError


# -- evaluations ------------------------------------------------------------------------------------------------------


def _long(frame: FeatureFrame, rows: Any, mean: Floats, fold: int, model: str) -> pd.DataFrame:
    return long_frame(frame, rows, mean).assign(model=model, fold=fold, seed=0)


def _least_squares(inputs: Floats, targets: Floats) -> Floats:
    found = np.linalg.lstsq(np.column_stack([inputs, np.ones(len(inputs))]), targets, rcond=None)[0]
    return np.asarray(found, np.float64)


def _apply(weights: Floats, inputs: Floats) -> Floats:
    return np.column_stack([inputs, np.ones(len(inputs))]) @ weights


def global_scaler(frame: FeatureFrame, models: Sequence[str], plan: Plan) -> pd.DataFrame:
    """Everything scaled to 0..1 before the series is divided into folds; then a penalised regression in each."""
    known = frame.values[frame.ready :]
    low, high = known.min(axis=0), known.max(axis=0)
    scaled = replace(frame, values=(frame.values - low) / (high - low))
    parts = []
    for fold in plan.split(len(frame), 100, frame.ready):
        inputs, targets = training_rows(scaled.between(fold.start, fold.stop), plan.horizon)
        weights = np.linalg.solve(inputs.T @ inputs + np.eye(inputs.shape[1]), inputs.T @ targets)
        parts.append(_long(frame, fold.rows, scaled.values[fold.rows] @ weights, fold.number, "penalised"))
    return pd.concat(parts, ignore_index=True)


def shuffled_split(frame: FeatureFrame, models: Sequence[str], plan: Plan) -> pd.DataFrame:
    """A fifth of all sessions, drawn at random, is the test."""
    inputs, targets = training_rows(frame, plan.horizon)
    order = np.random.default_rng(0).permutation(len(inputs))
    test, learned = np.sort(order[: len(order) // 5]), order[len(order) // 5 :]
    mean = _apply(_least_squares(inputs[learned], targets[learned]), inputs[test])
    return _long(frame, test + frame.ready, mean, 1, "least_squares")


def stopped_on_the_test(frame: FeatureFrame, models: Sequence[str], plan: Plan) -> pd.DataFrame:
    """Steps of gradient descent, as many as suit the block that is then reported."""
    parts, targets = [], frame.targets(plan.horizon)
    for fold in plan.split(len(frame), 100, frame.ready):
        inputs, wanted = training_rows(frame.between(fold.start, fold.stop), plan.horizon)
        scale = inputs.std(axis=0)
        weights = np.zeros((inputs.shape[1], plan.horizon))
        best, kept = np.inf, weights
        for _ in range(200):
            weights = weights - 0.02 * (inputs / scale).T @ (inputs / scale @ weights - wanted) / len(inputs)
            error = float(((frame.values[fold.rows] / scale @ weights - targets[fold.rows]) ** 2).mean())
            if error < best:
                best, kept = error, weights
        parts.append(_long(frame, fold.rows, frame.values[fold.rows] / scale @ kept, fold.number, "descent"))
    return pd.concat(parts, ignore_index=True)


def unpurged(frame: FeatureFrame, models: Sequence[str], plan: Plan) -> pd.DataFrame:
    """Every session before the test is learned from, though the last targets reach into it."""
    parts, targets = [], frame.targets(plan.horizon)
    for fold in plan.split(len(frame), 100, frame.ready):
        rows = slice(max(fold.start, frame.ready), fold.stop)
        weights = _least_squares(frame.values[rows], targets[rows])
        parts.append(_long(frame, fold.rows, _apply(weights, frame.values[fold.rows]), fold.number, "least_squares"))
    return pd.concat(parts, ignore_index=True)


# -- all of them ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Leak:
    """A mistake, where it stands, and the check that must find it."""

    check: str
    subject: str
    features: FeaturesOf = features_of
    model: type[Model] | None = None
    walk: Walk | None = None

    def caught_by(self) -> dict[str, set[str]]:
        """Return the checks that find something, and in what."""
        models: Mapping[str, Any] = {self.model.name: lambda: self.model(2)} if self.model else {}
        found: dict[str, set[str]] = {}
        for it in audit(features=self.features, models=models, walk=self.walk, walked=("ridge",)):
            found.setdefault(it.check, set()).add(it.subject)
        return found


LEAKS: dict[str, Leak] = {
    "global scaler": Leak("walk-forward", "penalised", walk=global_scaler),
    "shuffled windows": Leak("walk-forward", "least_squares", walk=shuffled_split),
    "centred indicator": Leak("feature", "to_average", centred),
    "early stopping on the test": Leak("walk-forward", "descent", walk=stopped_on_the_test),
    "future sentiment": Leak("feature", "sentiment", published_today),
    "target among the features": Leak("feature", "target", target_inside),
    "filled from the future": Leak("feature", "to_week", filled_back),
    "standardised by the whole series": Leak("feature", "rsi_14", scaled_by_all),
    "standardised by what is forecast from": Leak("forecast", "scales_what_it_is_given", model=ScalesWhatItIsGiven),
    "one session late": Leak("feature", "ret_1", one_session_late),
    "folds without purge": Leak("walk-forward", "least_squares", walk=unpurged),
    "restated prices": Leak("feature", "adjusted", restated),
}
