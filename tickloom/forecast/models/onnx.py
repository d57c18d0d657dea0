"""Models whose saved form is an ONNX graph: once loaded they need neither torch nor scikit-learn nor LightGBM."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from tickloom.errors import TickloomError
from tickloom.forecast.features import VERSION, FeatureFrame
from tickloom.forecast.history import Floats
from tickloom.forecast.models import graphs
from tickloom.forecast.models.base import PERMUTATION, Model, Prediction, Progress, Rows
from tickloom.forecast.windows import Windows, windows_at

BATCH = 512
"""Windows that are forecast from at a time."""
_SAMPLE = 512  # windows of the training's end on which a graph is compared with its model
_REPEATS = 5


class OnnxModel(Model):
    """A model of a window of features, float32[window, k], that gives log-returns, float32[horizon].

    One that was fitted in this process forecasts with what was fitted, a loaded one through onnxruntime. A subclass
    learns, forecasts, and makes the graph; the rest is here.

    Attributes
    ----------
    window : int
        Sessions that a forecast reads, the cutoff's own included.
    features : tuple of str
        What it was fitted to; empty before.
    features_version : int
    learned : dict
        What the fit found, in JSON's types.
    """

    beside: ClassVar[tuple[str, ...]] = ()
    """Files of its own that it saves beside the graph."""
    window: int = 1
    served_by: tuple[str, ...] = ("onnxruntime",)

    def __init__(self, horizon: int) -> None:
        super().__init__(horizon)
        self.features: tuple[str, ...] = ()
        self.features_version = VERSION
        self.learned: dict[str, Any] = {}
        self._saved: graphs.Saved | None = None
        self._sample: Windows | None = None
        self._spread: Floats = np.ones(horizon)

    @property
    def reads_before(self) -> int:
        """All of the window but the cutoff's own session."""
        return self.window - 1

    def options(self) -> dict[str, Any]:
        """Return what its class is to be given again, beside the horizon, when it is loaded."""
        return {}

    @abstractmethod
    def _learn(self, frame: FeatureFrame, seed: int, progress: Progress | None) -> dict[str, Any]:
        """Fit it, and return what ``learned`` is to be."""

    @abstractmethod
    def _fitted(self, windows: Windows) -> Floats:
        """Return the forecasts of what was fitted in this process: float64[m, horizon]."""

    @abstractmethod
    def _graph(self) -> Any:
        """Return what was fitted as an ``onnx.ModelProto``; ``graphs.Contract`` says what goes in and out."""

    def contract(self, frame: FeatureFrame) -> graphs.Contract:
        """Return what its graph reads and gives when it is fitted to a frame."""
        return graphs.Contract(self.name, self.horizon, self.window, frame.names, frame.version)

    def check_features(self, frame: FeatureFrame) -> None:
        """Refuse a frame of other features.

        Raises
        ------
        TickloomError
            The model was not fitted, or not to these features.
        """
        if not self.features:
            raise self._unfitted()
        name = f"{frame.history.ticker}: {self.name}"
        if frame.version != self.features_version:
            raise TickloomError(
                f"{name} was trained on version {self.features_version} of the features and the frame has "
                f"{frame.version}; train it again"
            )
        if frame.names != self.features:
            lacking = [it for it in self.features if it not in frame.names]
            unknown = [it for it in frame.names if it not in self.features]
            differ = [f"{kind} {', '.join(it)}" for kind, it in (("without", lacking), ("with", unknown)) if it]
            raise TickloomError(
                f"{name} was trained on {len(self.features)} features and the frame has {len(frame.names)}, "
                f"{' and '.join(differ) or 'in another order'}. Make the frame of the model's features "
                "(feature_frame(history, model.features)), or train the model on these"
            )

    def save(self, folder: Path) -> None:
        """Write ``model.onnx`` and ``parameters.json``; of a loaded model, the files that it was loaded from.

        Raises
        ------
        TickloomError
            It was neither fitted nor loaded, or the graph does not give the model's forecasts; nothing is written.
        """
        if self._saved is not None:
            self._saved.write(folder)
            return
        if self._sample is None:
            raise self._unfitted()
        contract = graphs.Contract(self.name, self.horizon, self.window, self.features, self.features_version)
        more = {"options": self.options(), "learned": self.learned}
        expected = self._fitted(self._sample)
        graphs.write(folder, self._graph(), contract, self._sample, expected, self._spread, more)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return a model that forecasts through onnxruntime.

        Raises
        ------
        TickloomError
            As ``graphs.read`` says.
        """
        saved = graphs.read(folder, cls.name, cls.beside)
        made = cls(saved.contract.horizon, **saved.body.get("options", {}))
        made.window, made.features = saved.contract.window, saved.contract.features
        made.features_version, made.learned = saved.contract.features_version, dict(saved.body.get("learned", {}))
        made._saved = saved
        return made

    @property
    def explained_by(self) -> tuple[str, ...]:
        """Shuffling, which needs forecasts alone."""
        return (PERMUTATION,)

    def _explain(self, frame: FeatureFrame, rows: Rows, method: str) -> Mapping[str, float]:
        return self.permutation_importance(frame, rows)

    def permutation_importance(self, frame: FeatureFrame, rows: Rows) -> Mapping[str, float]:
        """Return by how much the mean squared error grows when a feature's values are shuffled among the rows.

        A feature's whole window goes from one row to another. The mean is over horizons and five shuffles; rows whose
        targets are not all in the frame are left out (Breiman, 2001, Machine Learning 45).

        Raises
        ------
        TickloomError
            The frame has other features, a row cannot be forecast from, or none has all targets.
        """
        self.check_features(frame)
        wanted = self.checked_rows(frame, rows)
        targets = frame.targets(self.horizon)[wanted]
        known = ~np.isnan(targets).any(axis=1)
        wanted, targets = wanted[known], targets[known]
        if not len(wanted):
            raise TickloomError(
                f"{frame.history.ticker}: {self.name} cannot be explained, for of {len(rows)} rows none has "
                f"{self.horizon} later sessions in the frame; name earlier rows"
            )

        def error(column: int | None = None, order: Rows = wanted) -> float:
            total = 0.0
            for start in range(0, len(wanted), BATCH):
                part = slice(start, start + BATCH)
                windows = windows_at(frame.values, wanted[part], self.window)
                if column is not None:
                    windows[..., column] = windows_at(frame.values[:, [column]], order[part], self.window)[..., 0]
                total += float(np.sum((self.run(windows) - targets[part]) ** 2))
            return total / targets.size

        rng, plain, found = np.random.default_rng(0), error(), {}
        for column, name in enumerate(self.features):
            grown = [error(column, rng.permutation(wanted)) - plain for _ in range(_REPEATS)]
            found[name] = float(np.mean(grown))
        return found

    def parameters(self) -> Mapping[str, Any]:
        """Return horizon and what was learned."""
        return {**super().parameters(), **self.learned}

    def _fit(self, frame: FeatureFrame, seed: int, progress: Progress | None) -> None:
        self.features, self._saved, self._sample = (), None, None
        self.learned = self._learn(frame, seed, progress)
        rows = np.arange(frame.ready + self.window - 1, len(frame) - self.horizon)
        spread = frame.targets(self.horizon)[rows].std(axis=0)
        self._spread = np.where(spread > 0, spread, 1.0)
        self._sample = windows_at(frame.values, rows[-_SAMPLE:], self.window)
        self.features, self.features_version = frame.names, frame.version

    @property
    def graph_sha256(self) -> str:
        """Hash of the ONNX file that it was loaded from; empty where it was not loaded."""
        return "" if self._saved is None else str(self._saved.body["sha256"])

    def run(self, windows: Windows) -> Floats:
        """Return the forecasts of windows that were checked before: float64[m, horizon] for float32[m, window, k]."""
        return self._fitted(windows) if self._saved is None else self._saved.graph(windows)

    def _predict(self, frame: FeatureFrame, rows: Rows) -> Prediction:
        self.check_features(frame)
        found = [self.run(it) for it in self._windows(frame, rows)]
        return Prediction(rows, np.concatenate(found) if found else np.empty((0, self.horizon)), {})

    def _windows(self, frame: FeatureFrame, rows: Rows) -> Iterator[Windows]:
        for start in range(0, len(rows), BATCH):
            yield windows_at(frame.values, rows[start : start + BATCH], self.window)

    def _unfitted(self) -> TickloomError:
        return TickloomError(f"{self.name}: was neither fitted nor loaded; fit it, or load a saved one")


def windows_of(model: OnnxModel, values: Floats, row: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Return what a graph reads at a row: float32[window, k]."""
    return np.ascontiguousarray(values[row - model.window + 1 : row + 1], np.float32)
