"""Linear forecasts: an autoregression of returns, and a ridge regression on the features."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from tickloom.forecast.features import FeatureFrame
from tickloom.forecast.history import Floats
from tickloom.forecast.models.base import Prediction, Progress, Rows
from tickloom.forecast.models.exported import INPUT, OPSETS, Exported
from tickloom.forecast.models.naive import Simple

_ALPHAS = np.logspace(0, 6, 13)


class Ar1(Simple):
    """A first-order autoregression of the session's log-return, fitted by least squares and iterated."""

    name: ClassVar[str] = "ar1"
    constant: float = 0.0
    phi: float = 0.0

    @property
    def least_rows(self) -> int:
        """Enough for two parameters."""
        return 30

    def _fit(self, frame: FeatureFrame, seed: int, progress: Progress | None) -> None:
        from statsmodels.tsa.ar_model import AutoReg

        found = AutoReg(np.diff(frame.log_close), lags=1).fit().params
        self.constant, self.phi = float(found[0]), float(found[1])

    def _predict(self, frame: FeatureFrame, rows: Rows) -> Prediction:
        step: Floats = np.diff(frame.log_close, prepend=np.nan)[rows]
        moves = np.empty((len(rows), self.horizon))
        for ahead in range(self.horizon):
            step = self.constant + self.phi * step
            moves[:, ahead] = step
        return Prediction(rows, np.cumsum(moves, axis=1), {})

    def state(self) -> dict[str, Any]:
        """Return constant and coefficient."""
        return {"constant": self.constant, "phi": self.phi}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take them."""
        self.constant, self.phi = float(state["constant"]), float(state["phi"])


class Ridge(Exported):
    """A ridge regression on the session's standardised features, one for each number of sessions ahead.

    The penalty is the one of ``_ALPHAS`` with the least leave-one-out error one session ahead, where targets do not
    overlap; the others share it.
    """

    name: ClassVar[str] = "ridge"

    def __init__(self, horizon: int) -> None:
        super().__init__(horizon)
        self.alpha = np.nan
        self._pipeline: Any = None

    @property
    def least_rows(self) -> int:
        """Two years of sessions, as there are some forty features."""
        return 250 + self.horizon

    def _fit(self, frame: FeatureFrame, seed: int, progress: Progress | None) -> None:
        from sklearn.linear_model import Ridge as Regression
        from sklearn.linear_model import RidgeCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        inputs, targets = training_rows(frame, self.horizon)
        self.remember(frame, inputs, targets)
        scaled = StandardScaler().fit_transform(inputs)
        self.alpha = float(RidgeCV(_ALPHAS).fit(scaled, targets[:, 0]).alpha_)
        self._pipeline = make_pipeline(StandardScaler(), Regression(self.alpha)).fit(inputs, targets)

    def fitted(self, values: Floats) -> Floats:
        """Return log-returns by the regression."""
        found: Floats = self._pipeline.predict(values)
        return found.reshape(len(values), self.horizon)

    def graph(self) -> bytes:
        """Return scaler and regression."""
        from skl2onnx import to_onnx
        from skl2onnx.common.data_types import FloatTensorType

        kind = [(INPUT, FloatTensorType([None, len(self.features)]))]
        content: bytes = to_onnx(self._pipeline, initial_types=kind, target_opset=OPSETS).SerializeToString()
        return content

    def state(self) -> dict[str, Any]:
        """Return the penalty."""
        return {"alpha": self.alpha}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take it."""
        self.alpha = float(state["alpha"])


def training_rows(frame: FeatureFrame, horizon: int) -> tuple[Floats, Floats]:
    """Return features and targets of the sessions that have both: float64[m, k] and float64[m, horizon]."""
    last = len(frame) - horizon
    return frame.values[frame.ready : last], frame.targets(horizon)[frame.ready : last]
