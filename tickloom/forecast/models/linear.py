"""Linear forecasts: an autoregression of returns, and a ridge regression on the features."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from tickloom.forecast.features import FeatureFrame
from tickloom.forecast.history import Floats
from tickloom.forecast.models.base import Prediction, Progress, Rows
from tickloom.forecast.models.graphs import OPSETS
from tickloom.forecast.models.naive import Simple
from tickloom.forecast.models.onnx import OnnxModel
from tickloom.forecast.windows import Windows

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


class Ridge(OnnxModel):
    """A ridge regression on the session's standardised features, one for each number of sessions ahead.

    The penalty is the one of ``_ALPHAS`` with the least leave-one-out error one session ahead, where targets do not
    overlap; the others share it.
    """

    name: ClassVar[str] = "ridge"

    _pipeline: Any = None

    @property
    def least_rows(self) -> int:
        """Two years of sessions, as there are some forty features."""
        return 250 + self.horizon

    def _learn(self, frame: FeatureFrame, seed: int, progress: Progress | None) -> dict[str, Any]:
        from sklearn.linear_model import Ridge as Regression
        from sklearn.linear_model import RidgeCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        inputs, targets = training_rows(frame, self.horizon)
        scaled = StandardScaler().fit_transform(inputs)
        alpha = float(RidgeCV(_ALPHAS).fit(scaled, targets[:, 0]).alpha_)
        self._pipeline = make_pipeline(StandardScaler(), Regression(alpha)).fit(inputs, targets)
        return {"alpha": alpha}

    def _fitted(self, windows: Windows) -> Floats:
        found: Floats = self._pipeline.predict(windows[:, -1].astype(np.float64))
        return found.reshape(len(windows), self.horizon)

    def _graph(self) -> Any:
        from skl2onnx import to_onnx
        from skl2onnx.common.data_types import FloatTensorType

        kind = [("features", FloatTensorType([None, len(self.features)]))]
        return to_onnx(self._pipeline, initial_types=kind, target_opset=dict(OPSETS))


def training_rows(frame: FeatureFrame, horizon: int) -> tuple[Floats, Floats]:
    """Return features and targets of the sessions that have both: float64[m, k] and float64[m, horizon]."""
    last = len(frame) - horizon
    return frame.values[frame.ready : last], frame.targets(horizon)[frame.ready : last]
