"""Models that forecast from an ONNX file: checked when it is written, recognised when it is loaded, without torch."""

import hashlib
import json
import shutil
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from tickloom.errors import TickloomError
from tickloom.files import whole, write_whole
from tickloom.forecast.features import VERSION, FeatureFrame
from tickloom.forecast.history import Floats
from tickloom.forecast.models.base import Model, Prediction, Rows
from tickloom.forecast.models.naive import FILE
from tickloom.forecast.windows import Windows, windows_at

GRAPH = "model.onnx"
OPSET = 17
TOLERANCE = 1e-5
"""Largest difference, in log-return, between a graph and the model that it was made of."""
BATCH = 512
"""Windows that are forecast from at a time."""
_KEY = "tickloom"


@dataclass(frozen=True)
class Contract:
    """What a graph reads and gives; it stands in the graph's own metadata too.

    Attributes
    ----------
    model : str
    horizon : int
    window : int
        Sessions that are read for a forecast. The graph's input is float32[batch, window, k], or float32[batch, k]
        where one session is read and the graph says so; its output float32[batch, horizon], log-returns.
    features : tuple of str
        k names, in the order of the input.
    features_version : int
    """

    model: str
    horizon: int
    window: int
    features: tuple[str, ...]
    features_version: int = VERSION

    def as_json(self) -> dict[str, Any]:
        """Return it as a mapping of JSON's types."""
        return {**self.__dict__, "features": list(self.features)}

    @classmethod
    def of_json(cls, body: Mapping[str, Any]) -> Self:
        """Return what ``as_json`` returned; other keys are left alone."""
        return cls(
            str(body["model"]),
            int(body["horizon"]),
            int(body["window"]),
            tuple(body["features"]),
            int(body["features_version"]),
        )


class Graph:
    """A graph in onnxruntime, on one thread.

    Parameters
    ----------
    content
        Bytes of the ONNX file.
    """

    def __init__(self, content: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0]

    @property
    def metadata(self) -> Mapping[str, str]:
        """What stands in the file beside the graph."""
        found: Mapping[str, str] = self._session.get_modelmeta().custom_metadata_map
        return found

    def __call__(self, windows: Windows) -> Floats:
        """Return float64[m, horizon] for float32[m, window, k]."""
        fed = windows if len(self._input.shape) == 3 else windows[:, -1]
        return np.asarray(self._session.run(None, {self._input.name: fed})[0], np.float64).reshape(len(windows), -1)


def write(
    folder: Path, graph: Any, contract: Contract, sample: Windows, expected: Floats, parameters: Mapping[str, Any]
) -> None:
    """Write ``model.onnx`` and ``parameters.json`` after the graph has given what is expected of it.

    Parameters
    ----------
    graph : onnx.ModelProto
    sample : float32[m, window, k]
        Real windows, such as the last of the training.
    expected : float64[m, horizon]
        What the model itself forecasts from them.
    parameters
        What else the JSON file is to hold; ``options`` are given to the class again when it is loaded.

    Raises
    ------
    TickloomError
        The graph's forecasts differ by more than ``TOLERANCE``; nothing is written.
    """
    import onnx

    onnx.helper.set_model_props(graph, {_KEY: json.dumps(contract.as_json())})
    content: bytes = graph.SerializeToString(deterministic=True)
    difference = float(np.abs(Graph(content)(sample) - expected).max(initial=0.0))
    if not difference <= TOLERANCE:
        raise TickloomError(
            f"{contract.model}: the ONNX graph's forecasts differ by {difference:.2g} from the model's, more than "
            f"{TOLERANCE:g}; it is not saved: look for features far outside of what the model was trained on"
        )
    body = {
        **contract.as_json(),
        **parameters,
        "opset": OPSET,
        "onnx_difference": difference,
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    with whole(folder / GRAPH) as part:
        part.write_bytes(content)
    write_whole(folder / FILE, json.dumps(body, indent=1) + "\n")


def read(folder: Path, model: str) -> tuple[Graph, Contract, Mapping[str, Any]]:
    """Return the graph of a folder, what it reads, and all of ``parameters.json``.

    Raises
    ------
    TickloomError
        A file is missing, is no ONNX file, comes from elsewhere, belongs to another model, or was trained on another
        version of the features.
    """
    for name in (FILE, GRAPH):
        if not (folder / name).is_file():
            raise TickloomError(f"{folder}: has no {name}; give the folder that a trained model was saved to")
    path = folder / GRAPH
    body = _parameters(folder / FILE)
    if body["model"] != model:
        raise TickloomError(f"{folder / FILE}: holds the model {body['model']!r}, not {model!r}")
    content = path.read_bytes()
    try:
        graph = Graph(content)
    except Exception as error:  # onnxruntime's errors have no class of their own
        raise TickloomError(f"{path}: onnxruntime cannot read it ({error}); train and save the model again") from None
    written = graph.metadata.get(_KEY)
    if written is None:
        raise TickloomError(
            f"{path}: comes from elsewhere, for it does not say which features it reads; "
            f"train a model here instead (tickloom train --model {model})"
        )
    contract = Contract.of_json(json.loads(written))
    if contract != Contract.of_json(body) or body.get("sha256") != hashlib.sha256(content).hexdigest():
        raise TickloomError(f"{path}: does not belong to {FILE} beside it; copy both from the folder it was saved to")
    if contract.features_version != VERSION:
        raise TickloomError(
            f"{path}: was trained on version {contract.features_version} of the features, and this is {VERSION}; "
            "train it again, or run the release it was trained with"
        )
    return graph, contract, body


def copy(source: Path, folder: Path, *more: str) -> None:
    """Copy what ``write`` wrote, and the files ``more`` beside it where they are there."""
    if source.resolve() == folder.resolve():
        return
    for name in (*more, GRAPH, FILE):
        if (source / name).is_file():
            with whole(folder / name) as part:
                shutil.copyfile(source / name, part)


def _parameters(path: Path) -> Mapping[str, Any]:
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        Contract.of_json(body)
    except (ValueError, KeyError, TypeError) as error:
        raise TickloomError(
            f"{path}: is not what a model with a graph writes ({error!r}); train and save the model again"
        ) from None
    found: Mapping[str, Any] = body
    return found


class OnnxModel(Model):
    """A model whose saved form is an ONNX graph: what is loaded forecasts, and needs neither torch nor scikit-learn.

    A subclass fits, sets ``features`` and ``features_version``, and saves through ``write``.
    """

    window: int = 1
    """Sessions that a forecast reads, the cutoff's own included."""
    features: tuple[str, ...] = ()
    features_version: int = VERSION
    _graph: Graph | None = None
    _loaded: Mapping[str, Any] | None = None

    @property
    def reads_before(self) -> int:
        """All of the window but the cutoff's own session."""
        return self.window - 1

    @property
    def contract(self) -> Contract:
        """What its graph reads and gives."""
        return Contract(self.name, self.horizon, self.window, self.features, self.features_version)

    def options(self) -> dict[str, Any]:
        """Return what its class is to be given again, beside the horizon, when it is loaded."""
        return {}

    @abstractmethod
    def _fitted(self, windows: Windows) -> Floats:
        """Return the forecasts of the model that was fitted in this process: float64[m, horizon]."""

    def _windows(self, frame: FeatureFrame, rows: Rows) -> Iterator[Windows]:
        for start in range(0, len(rows), BATCH):
            yield windows_at(frame.values, rows[start : start + BATCH], self.window)

    def check_features(self, frame: FeatureFrame) -> None:
        """Refuse a frame of other features.

        Raises
        ------
        TickloomError
            The model was not fitted, or not to these features.
        """
        if not self.features:
            raise self._unfitted()
        if frame.names != self.features:
            differing = sorted(set(frame.names) ^ set(self.features)) or ["their order"]
            raise TickloomError(
                f"{frame.history.ticker}: {self.name} was trained on {len(self.features)} features and the frame has "
                f"{len(frame.names)}; differing: {', '.join(differing)}. Make the frame of the model's features "
                "(feature_frame(history, model.features)), or train the model on these"
            )
        if frame.version != self.features_version:
            raise TickloomError(
                f"{frame.history.ticker}: {self.name} was trained on version {self.features_version} of the features "
                f"and the frame has {frame.version}; train it again"
            )

    def _unfitted(self) -> TickloomError:
        return TickloomError(f"{self.name}: was neither fitted nor loaded; fit it, or load a saved one")

    def _begin(self, frame: FeatureFrame) -> None:
        """Take note of what it is being fitted to, and drop what was loaded before."""
        self.features, self.features_version = frame.names, frame.version
        self._graph, self._loaded = None, None

    def _predict(self, frame: FeatureFrame, rows: Rows) -> Prediction:
        self.check_features(frame)
        forecast = self._graph or self._fitted
        found = [forecast(it) for it in self._windows(frame, rows)]
        return Prediction(rows, np.concatenate(found) if found else np.empty((0, self.horizon)), {})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return a model that forecasts through onnxruntime.

        Raises
        ------
        TickloomError
            As ``read`` says.
        """
        graph, contract, body = read(folder, cls.name)
        made = cls(contract.horizon, **body.get("options", {}))
        made.window, made.features, made.features_version = (
            contract.window,
            contract.features,
            contract.features_version,
        )
        made._graph, made._loaded = graph, body
        return made
