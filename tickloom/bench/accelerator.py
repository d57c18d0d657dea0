"""Training on a GPU beside a plain loop of torch over the same network: windows a second, and how busy the GPU is."""

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import mean, median

import numpy as np
import torch

from tickloom.forecast.features import FeatureFrame
from tickloom.forecast.models.architectures import BUILDERS
from tickloom.forecast.models.networks import Lstm
from tickloom.forecast.windows import windows_at

EPOCHS = 6
_SAMPLE_S = 0.2


@dataclass(frozen=True)
class Throughput:
    """What one training reached.

    Attributes
    ----------
    windows_per_second : float
        Of the middle epoch but the first, in which kernels are chosen.
    utilisation : float or None
        Mean percentage of time in which the GPU ran anything; None where nvidia-smi is missing.
    """

    windows_per_second: float
    utilisation: float | None


def trained(frame: FeatureFrame, device: str, *, epochs: int = EPOCHS, width: float = 1.0) -> Throughput:
    """Train our simple LSTM, validation and clipping included, for so many epochs."""
    moments = [time.perf_counter()]
    model = Lstm(5, device=device, epochs=epochs, width=width)
    with _busy(device) as shares:
        model.fit(frame, progress=lambda share, figures: moments.append(time.perf_counter()))
    return _result(moments, len(model.parts(frame).train), shares)


def bare(frame: FeatureFrame, device: str, *, epochs: int = EPOCHS, width: float = 1.0) -> Throughput:
    """Train the same network by ``plain_epoch``."""
    epoch, windows = plain_epoch(frame, device, width=width)
    moments = [time.perf_counter()]
    with _busy(device) as shares:
        for _ in range(epochs):
            epoch()
            moments.append(time.perf_counter())
    return _result(moments, windows, shares)


def plain_epoch(frame: FeatureFrame, device: str, *, width: float = 1.0) -> tuple[Callable[[], None], int]:
    """Return what trains our simple LSTM for one epoch, and how many windows that are.

    It is the shortest loop of torch that learns from the same windows with the same precision and optimizer; windows
    are made beforehand.
    """
    model = Lstm(5, width=width)
    rows = model.parts(frame).train
    scale = frame.values[frame.ready :]
    made = (windows_at(frame.values, rows, model.window) - scale.mean(0)) / np.where(scale.std(0) > 0, scale.std(0), 1)
    windows = torch.tensor(made, dtype=torch.float32, device=device)
    targets = torch.tensor(frame.targets(5)[rows] / 0.01, dtype=torch.float32, device=device)
    network = BUILDERS["lstm"](len(frame.names), 5, width).to(device)
    optimizer, loss = torch.optim.Adam(network.parameters(), fused=True), torch.nn.HuberLoss()
    mixed = device != "cpu" and torch.cuda.is_bf16_supported()

    def epoch() -> None:
        for batch in torch.split(torch.randperm(len(rows), device=device), model.recipe.batch):
            optimizer.zero_grad()
            with torch.autocast(device, torch.bfloat16, enabled=mixed):
                found = network(windows[batch])
            loss(found.float(), targets[batch]).backward()
            optimizer.step()
        if device != "cpu":
            torch.cuda.synchronize()

    return epoch, len(rows)


def _result(moments: list[float], windows: int, shares: list[float]) -> Throughput:
    seconds = median(np.diff(moments)[1:].tolist())
    return Throughput(windows / seconds, mean(shares) if shares else None)


@contextmanager
def _busy(device: str) -> Iterator[list[float]]:
    """Collect the GPU's utilisation in percent until the block ends."""
    found: list[float] = []
    if device == "cpu" or shutil.which("nvidia-smi") is None:
        yield found
        return
    ended = threading.Event()

    def sample() -> None:
        command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--id=0"]
        while not ended.wait(_SAMPLE_S):
            said = subprocess.run(command, capture_output=True, text=True, check=False)
            if said.returncode == 0 and said.stdout.strip().isdigit():
                found.append(float(said.stdout))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()
