"""A bare BentoML service around the same ONNX model: no routing, no intervals, no records."""

import os
from pathlib import Path

import bentoml
import numpy as np
import onnxruntime

FOLDER = "TICKLOOM_BENCH_BARE"
"""Variable that names the folder with ``model.onnx`` and ``windows.npz``."""


@bentoml.service(name="bare", logging={"access": {"enabled": False}}, metrics={"enabled": False})
class Bare:
    """One process, one graph, one window for each ticker."""

    def __init__(self) -> None:
        folder = Path(os.environ[FOLDER])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._name = self._session.get_inputs()[0].name
        self._windows = dict(np.load(folder / "windows.npz"))

    @bentoml.api
    def forecast(self, ticker: str) -> list[float]:
        """Return log-returns."""
        found = self._session.run(None, {self._name: self._windows[ticker][None]})[0]
        return [float(it) for it in found[0]]
