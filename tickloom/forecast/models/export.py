"""A trained network as an ONNX graph, and its explanation; both need torch."""

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tickloom.forecast.history import Floats
from tickloom.forecast.models.graphs import OPSETS
from tickloom.forecast.settled import settled
from tickloom.forecast.training import Scaled
from tickloom.forecast.windows import Windows

STEPS = 32
"""Points of the path from the baseline to the input."""
_AT_ONCE = 512


def graph_of(network: Scaled, window: int) -> Any:
    """Return an ``onnx.ModelProto``: raw float32[batch, window, k] in, log-returns float32[batch, horizon] out."""
    import onnx

    sample = torch.zeros(2, window, len(network.mean))
    with warnings.catch_warnings(), TemporaryDirectory() as folder:
        # the newer exporter takes half a minute for an LSTM and needs a package more; the one that is told of here
        # warns of a batch size fixed in an LSTM's first state, which is made from the input's size in the graph
        warnings.simplefilter("ignore")
        path = Path(folder) / "network.onnx"
        torch.onnx.export(
            network,
            (sample,),
            path,
            input_names=["windows"],
            output_names=["log_returns"],
            dynamic_axes={"windows": {0: "batch"}, "log_returns": {0: "batch"}},
            opset_version=OPSETS[""],
            dynamo=False,
        )
        return onnx.load(path)


def integrated_gradients(network: Scaled, windows: Windows, threads: int) -> Floats:
    """Return what each feature adds to a forecast, by integrated gradients (Sundararajan and others, 2017, ICML 70).

    The path begins at the mean of the training; the forecast that is explained is the mean over all horizons.

    Parameters
    ----------
    windows : float32[m, window, k]
        Raw.

    Returns
    -------
    float64[m, k]
        In log-return, summed over the sessions of the window.
    """
    from captum.attr import IntegratedGradients

    def forecast(inputs: Tensor) -> Tensor:
        found: Tensor = network(inputs).mean(1)
        return found

    inputs = torch.from_numpy(windows)
    baseline = network.mean.expand_as(inputs)
    with settled(threads, torch.device("cpu")):
        found = IntegratedGradients(forecast).attribute(inputs, baseline, n_steps=STEPS, internal_batch_size=_AT_ONCE)
    added: Floats = found.sum(1).detach().numpy().astype(np.float64)
    return added
