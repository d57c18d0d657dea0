"""What MLflow's own file says of a trained model: what goes in, what comes out, and what can load it.

``tickloom.forecast.package`` needs none of it. It is for MLflow's pages, which show the signature, and for
``mlflow.onnx``, which reads the graph of a model that is one.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tickloom.errors import TickloomError
from tickloom.forecast import package
from tickloom.forecast.features import FEATURES
from tickloom.forecast.models import load
from tickloom.forecast.models.graphs import GRAPH, Graph
from tickloom.forecast.models.onnx import OnnxModel
from tickloom.forecast.package import Manifest

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

FILE = "MLmodel"
_BARS = ("open", "high", "low", "close", "volume")


def mlmodel(folder: Path, manifest: Manifest, run: str) -> str:
    """Return MLflow's description of the model in a folder, in YAML.

    Parameters
    ----------
    folder
        Of ``package.write``.
    run
        Id of the MLflow run that it belongs to.

    Raises
    ------
    TickloomError
        The folder holds no model that this release can load.
    """
    from mlflow.models import Model

    file = f"{package.MODEL}/{GRAPH}"
    about = {"features": list(manifest.features), "feature_version": manifest.feature_version}
    found = Model(
        artifact_path="package",
        run_id=run,
        utc_time_created=manifest.created,
        signature=signature(folder, manifest),
        metadata={**about, "verdict": manifest.verdict, "data_sha256": manifest.data_sha256},
    )
    if (folder / file).is_file():
        version = manifest.environment.get("onnx", "")
        found.add_flavor("onnx", onnx_version=version, data=file, providers=["CPUExecutionProvider"])
    found.add_flavor("tickloom", model=manifest.model, version=manifest.environment["tickloom"])
    text: str = found.to_yaml()
    return text


def signature(folder: Path, manifest: Manifest) -> "ModelSignature":
    """Return what the model in a folder reads and gives.

    Returns
    -------
    ModelSignature
        Of a graph: float32[-1, window, k] or, where it reads one session, float32[-1, k], the k features of the
        manifest in their order; and float32[-1, horizon], log-returns. Of a model that no graph holds: the columns of
        the daily bars up to the cutoff that it reads, float64[-1], and float64[-1, horizon].
    """
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    def schema(kind: type, **shapes: tuple[int, ...]) -> Schema:
        return Schema([TensorSpec(np.dtype(kind), shape, name) for name, shape in shapes.items()])

    graph = folder / package.MODEL / GRAPH
    if not graph.is_file():
        needs = {it.needs for it in FEATURES if it.name in manifest.features}
        wanted = {"close"} | (set(_BARS[:4]) if "range" in needs else set()) | ({"volume"} & needs)
        bars = {it: (-1,) for it in _BARS if it in wanted}
        return ModelSignature(schema(np.float64, **bars), schema(np.float64, log_returns=(-1, manifest.horizon)))
    model = load(graph.parent)
    if not isinstance(model, OnnxModel):
        raise TickloomError(
            f"{graph}: {manifest.model} is no model with a graph; take the folder from its source again"
        )
    (given, dimensions), (returned, _) = Graph(graph.read_bytes()).ends
    width = len(model.features)
    shape = (-1, model.window, width) if dimensions == 3 else (-1, width)
    return ModelSignature(schema(np.float32, **{given: shape}), schema(np.float32, **{returned: (-1, model.horizon)}))
