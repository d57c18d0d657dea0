"""ONNX graphs in files: compared with the model when they are written, recognised when they are read."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from tickloom.errors import TickloomError
from tickloom.files import whole, write_whole
from tickloom.forecast.features import VERSION
from tickloom.forecast.history import Floats
from tickloom.forecast.models.naive import FILE
from tickloom.forecast.windows import Windows

GRAPH = "model.onnx"
OPSETS: Mapping[str, int] = MappingProxyType({"": 17, "ai.onnx.ml": 3})
"""Versions of the operators by domain; trees need the second. A file says which of them its graph imports."""
TOLERANCE = 1e-5
"""Largest difference between a graph and the model that it was made of, as a share of the standard deviation of the
returns that the model was fitted to. It is stricter than the same figure in log-return, for these deviate by less
than 1."""
PROVIDERS: Mapping[str, str] = MappingProxyType({"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"})
"""What onnxruntime calls that on which it computes."""
_KEY = "tickloom"
_provider = "cpu"


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


def compute_on(provider: str) -> None:
    """Have graphs that are read from now on in this process computed on one of ``PROVIDERS``.

    Raises
    ------
    TickloomError
        The onnxruntime that is installed knows no such one.
    """
    import onnxruntime

    known = onnxruntime.get_available_providers()
    if PROVIDERS[provider] not in known:
        raise TickloomError(
            f"onnxruntime computes on {', '.join(known)} here, not on {PROVIDERS[provider]}; "
            "install onnxruntime-gpu in the place of onnxruntime, or let provider be cpu"
        )
    global _provider  # noqa: PLW0603
    _provider = provider


class Graph:
    """A graph in onnxruntime, on one thread: a forecast of few rows gains nothing from more.

    Parameters
    ----------
    content
        Bytes of the ONNX file.

    Raises
    ------
    TickloomError
        It cannot be computed where ``compute_on`` says.
    """

    def __init__(self, content: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        wanted = PROVIDERS[_provider]
        providers = list(
            dict.fromkeys((wanted, PROVIDERS["cpu"]))
        )  # what a GPU cannot compute is left to the processor
        self._session = onnxruntime.InferenceSession(content, options, providers=providers)
        if wanted not in self._session.get_providers():  # it only writes a line about it
            raise TickloomError(
                f"onnxruntime could not begin to compute on {wanted}; "
                "see that there is a GPU, with its driver and CUDA's libraries"
            )
        self._input = self._session.get_inputs()[0]

    @property
    def metadata(self) -> Mapping[str, str]:
        """What stands in the file beside the graph."""
        found: Mapping[str, str] = self._session.get_modelmeta().custom_metadata_map
        return found

    @property
    def ends(self) -> tuple[tuple[str, int], tuple[str, int]]:
        """Names of its input and its output, each with the number of dimensions."""
        output = self._session.get_outputs()[0]
        return (self._input.name, len(self._input.shape)), (output.name, len(output.shape))

    def __call__(self, windows: Windows) -> Floats:
        """Return float64[m, horizon] for float32[m, window, k]."""
        fed = windows if len(self._input.shape) == 3 else windows[:, -1]
        return np.asarray(self._session.run(None, {self._input.name: fed})[0], np.float64).reshape(len(windows), -1)


@dataclass(frozen=True, eq=False)
class Saved:
    """A model as it was read from its folder, which is not needed any more.

    Attributes
    ----------
    graph : Graph
    contract : Contract
    body : dict
        All of ``parameters.json``.
    files : dict of str to bytes
        By name; ``parameters.json`` is the last.
    """

    graph: Graph
    contract: Contract
    body: Mapping[str, Any]
    files: Mapping[str, bytes]

    def write(self, folder: Path) -> None:
        """Write the same files again."""
        for name, content in self.files.items():
            with whole(folder / name) as part:
                part.write_bytes(content)


def write(
    folder: Path,
    graph: Any,
    contract: Contract,
    sample: Windows,
    expected: Floats,
    spread: Floats,
    more: Mapping[str, Any],
) -> None:
    """Write ``model.onnx`` and ``parameters.json`` after the graph has given what is expected of it.

    Parameters
    ----------
    graph : onnx.ModelProto
    sample : float32[m, window, k]
        Real windows, such as the last of the training.
    expected : float64[m, horizon]
        What the model itself forecasts from them.
    spread : float64[horizon]
        Standard deviations of the log-returns that it was fitted to, above 0.
    more
        What else the JSON file is to hold.

    Raises
    ------
    TickloomError
        The graph's forecasts differ by more than ``TOLERANCE``; nothing is written.
    """
    import onnx

    onnx.helper.set_model_props(graph, {_KEY: json.dumps(contract.as_json())})
    content: bytes = graph.SerializeToString(deterministic=True)
    difference = float((np.abs(Graph(content)(sample) - expected) / spread).max(initial=0.0))
    if not difference <= TOLERANCE:
        raise TickloomError(
            f"{contract.model}: the ONNX graph's forecasts differ by {difference:.2g} standard deviations of the "
            f"returns from the model's, more than {TOLERANCE:g}; it is not saved: look for features far outside of "
            "what the model was trained on"
        )
    body = {
        **contract.as_json(),
        **more,
        "opset": {it.domain or "ai.onnx": it.version for it in graph.opset_import},
        "onnx_difference": difference,
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    with whole(folder / GRAPH) as part:
        part.write_bytes(content)
    write_whole(folder / FILE, json.dumps(body, indent=1) + "\n")


def read(folder: Path, model: str, beside: Sequence[str] = ()) -> Saved:
    """Return what ``write`` wrote, and the files ``beside`` it where they are there.

    Raises
    ------
    TickloomError
        A file is missing, is no ONNX file, comes from elsewhere, belongs to another model, or was trained on another
        version of the features.
    """
    for name in (FILE, GRAPH):
        if not (folder / name).is_file():
            raise TickloomError(f"{folder}: has no {name}; give the whole folder that a trained model was saved to")
    path = folder / GRAPH
    body = _parameters(folder / FILE)
    if body["model"] != model:
        raise TickloomError(f"{folder / FILE}: holds the model {body['model']!r}, not {model!r}")
    names = [it for it in (*beside, GRAPH, FILE) if (folder / it).is_file()]
    files = {name: (folder / name).read_bytes() for name in names}
    try:
        graph = Graph(files[GRAPH])
    except Exception as error:  # onnxruntime's errors have no class of their own
        words = str(error).splitlines()[0].strip()[:200]
        raise TickloomError(f"{path}: onnxruntime cannot read it ({words}); train and save the model again") from None
    written = graph.metadata.get(_KEY)
    if written is None:
        raise TickloomError(
            f"{path}: comes from elsewhere, for it does not say which features it reads; "
            f"train a model here instead (tickloom train --model {model})"
        )
    contract = Contract.of_json(json.loads(written))
    if contract != Contract.of_json(body) or body.get("sha256") != hashlib.sha256(files[GRAPH]).hexdigest():
        raise TickloomError(f"{path}: does not belong to {FILE} beside it; copy both from the folder it was saved to")
    if contract.features_version != VERSION:
        raise TickloomError(
            f"{path}: was trained on version {contract.features_version} of the features, and this is {VERSION}; "
            "train it again, or run the release it was trained with"
        )
    return Saved(graph, contract, body, files)


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
