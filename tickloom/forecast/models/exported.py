"""Models of the cutoff's features whose saved form is an ONNX graph: forecast from it needs onnxruntime and no more."""

import hashlib
import json
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from tickloom.errors import TickloomError
from tickloom.forecast.features import VERSION, FeatureFrame
from tickloom.forecast.history import Floats
from tickloom.forecast.models.base import Model, Prediction, Rows
from tickloom.forecast.models.naive import FILE

GRAPH = "model.onnx"
INPUT = "features"
OPSETS = {"": 18, "ai.onnx.ml": 3}
TOLERANCE = 1e-5
"""Of the standard deviation of the returns, how far the graph may be from what was fitted."""
_SAMPLE = 512
_REPEATS = 5


class Exported(Model):
    """A model that turns the features of a session, float32[k], into log-returns, float32[H].

    A fitted one computes with what was fitted; a loaded one runs the graph.
    """

    def __init__(self, horizon: int) -> None:
        super().__init__(horizon)
        self.features: tuple[str, ...] = ()
        self.version = VERSION
        self._session: Any = None
        self._loaded: bytes | None = None
        self._sample: Floats = np.empty((0, 0))
        self._spread: Floats = np.ones(horizon)

    @abstractmethod
    def fitted(self, values: Floats) -> Floats:
        """Return log-returns, float64[m, H], by what was fitted."""

    @abstractmethod
    def graph(self) -> bytes:
        """Return what was fitted as an ONNX model from ``features`` float32[m, k] to float32[m, H]."""

    def state(self) -> dict[str, Any]:
        """Return what else was learned, for ``parameters.json``."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take what ``state`` returned."""

    def remember(self, frame: FeatureFrame, inputs: Floats, targets: Floats) -> None:
        """Note what it is fitted to, and the last rows, on which the graph is checked."""
        self.features, self.version = frame.names, frame.version
        self._sample, self._spread = inputs[-_SAMPLE:], targets.std(axis=0)
        self._session = self._loaded = None

    def returns(self, values: Floats) -> Floats:
        """Return log-returns of rows of features: float64[m, k] to float64[m, H]."""
        if not len(values):
            return np.empty((0, self.horizon))
        if self._session is None:
            return self.fitted(values)
        found: Floats = self._session.run(None, {INPUT: values.astype(np.float32)})[0].astype(np.float64)
        return found

    def save(self, folder: Path) -> None:
        """Write ``model.onnx`` and ``parameters.json``, which names its hash, features and their version.

        Raises
        ------
        TickloomError
            Nothing is fitted, or the graph forecasts something else than what was fitted; then nothing is written.
        """
        content = self._loaded or self._checked()
        body = {
            "model": self.name,
            "horizon": self.horizon,
            "features": list(self.features),
            "features_version": self.version,
            "sha256": hashlib.sha256(content).hexdigest(),
            **self.state(),
        }
        folder.mkdir(parents=True, exist_ok=True)
        (folder / GRAPH).write_bytes(content)
        (folder / FILE).write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")

    def _checked(self) -> bytes:
        if not self.features:
            raise TickloomError(f"{self.name} is not fitted yet; there is nothing to save")
        content = self.graph()
        found = _open(content).run(None, {INPUT: self._sample.astype(np.float32)})[0]
        off = float((np.abs(found - self.fitted(self._sample)) / self._spread).max())
        if not off <= TOLERANCE:
            raise TickloomError(
                f"{self.name}: the ONNX graph is {off:.1e} standard deviations of the returns away from the model, "
                f"more than {TOLERANCE:g}; look for features of very large values: {', '.join(self.features)}"
            )
        return content

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return what ``save`` wrote.

        Raises
        ------
        TickloomError
            A file is missing, of another model, or not the one that was saved.
        """
        for name in (FILE, GRAPH):
            if not (folder / name).is_file():
                raise TickloomError(f"{folder}: has no {name}; give the whole folder of a saved {cls.name}")
        body = json.loads((folder / FILE).read_text(encoding="utf-8"))
        if body.get("model") != cls.name:
            raise TickloomError(f"{folder / FILE}: holds the model {body.get('model')!r}, not {cls.name!r}")
        content = (folder / GRAPH).read_bytes()
        if hashlib.sha256(content).hexdigest() != body.get("sha256"):
            raise TickloomError(
                f"{folder / GRAPH}: is not the graph that {FILE} beside it was saved with; a file from elsewhere is "
                "not run: train the model here, or copy the whole folder again"
            )
        made = cls(int(body["horizon"]))
        made.features, made.version = tuple(body["features"]), int(body["features_version"])
        made._loaded, made._session = content, _open(content)
        made.restore(body)
        return made

    def _predict(self, frame: FeatureFrame, rows: Rows) -> Prediction:
        self.check(frame)
        return Prediction(rows, self.returns(frame.values[rows]), {})

    def check(self, frame: FeatureFrame) -> None:
        """Raise a TickloomError where the frame has other features than those it was fitted to."""
        if not self.features:
            raise TickloomError(f"{self.name} is not fitted yet; call fit or load first")
        name = f"{frame.history.ticker}: {self.name}"
        if frame.version != self.version:
            raise TickloomError(
                f"{name} was trained on version {self.version} of the features, and these are {frame.version}; "
                "train it anew"
            )
        if frame.names != self.features:
            lacking = [it for it in self.features if it not in frame.names]
            unknown = [it for it in frame.names if it not in self.features]
            differ = [f"{kind} {', '.join(it)}" for kind, it in (("without", lacking), ("also", unknown)) if it]
            raise TickloomError(
                f"{name} was trained on other features; these are {' and '.join(differ) or 'in another order'}: make "
                "the frame with the model's features, or train it anew"
            )

    def explain(self, frame: FeatureFrame, rows: Rows) -> Mapping[str, float]:
        """Return by how much the mean squared error grows when a feature's values are shuffled among the rows.

        The mean is over horizons and five shuffles. Rows whose targets are not all in the frame are left out.
        """
        self.check(frame)
        targets = frame.targets(self.horizon)[rows]
        known = ~np.isnan(targets).any(axis=1)
        values, targets = frame.values[rows[known]], targets[known]

        def error(inputs: Floats) -> float:
            return float(np.mean((self.returns(inputs) - targets) ** 2))

        rng, plain, found = np.random.default_rng(0), error(values), {}
        for column, name in enumerate(self.features):
            shuffled, grown = values.copy(), []
            for _ in range(_REPEATS):
                shuffled[:, column] = rng.permutation(values[:, column])
                grown.append(error(shuffled) - plain)
            found[name] = float(np.mean(grown))
        return found

    def parameters(self) -> Mapping[str, Any]:
        """Return horizon, the number of features, and what ``state`` has."""
        return {**super().parameters(), "features": len(self.features), **self.state()}


def _open(content: bytes) -> Any:
    """Return a session of one thread: a forecast of few rows gains nothing from more."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
