"""The layers of the networks.

Each reads float32[batch, window, k], standardised, and gives float32[batch, horizon], in units of each horizon's
training deviation. Every last layer begins at zero, so that a network begins as the random walk.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from tickloom.forecast.models.layers import AdditiveAttention, Block, HeadsAttention, Recurrent


class Net(nn.Module):
    """A network that may have more outputs to learn by than its forecast."""

    @abstractmethod
    def outputs(self, windows: Tensor) -> tuple[Tensor, ...]:
        """Return the forecast, and what else is to be near the targets while it learns."""

    def forward(self, windows: Tensor) -> Tensor:
        """Return the forecast."""
        return self.outputs(windows)[0]


class Plain(Net):
    """A body and a linear layer on it."""

    def __init__(self, body: nn.Module, units: int, horizon: int) -> None:
        super().__init__()
        self.body = body
        self.head = _zero(nn.Linear(units, horizon))

    def outputs(self, windows: Tensor) -> tuple[Tensor, ...]:
        """Return the forecast."""
        return (self.head(self.body(windows)),)


class HeadsLstm(nn.Module):
    """LSTM states, attention with several heads on them, and their mean over the window."""

    def __init__(self, features: int, sizes: Sequence[int], heads: int, keys: int) -> None:
        super().__init__()
        self.lstm = Recurrent(nn.LSTM, features, sizes, whole=True)
        self.attention = HeadsAttention(sizes[-1], heads, keys)
        self.norm = nn.LayerNorm(sizes[-1])

    def forward(self, windows: Tensor) -> Tensor:
        """Return float32[batch, units]."""
        states = self.lstm(windows)
        found: Tensor = self.norm(states + self.attention(states)).mean(1)
        return found


class Stacked(nn.Module):
    """Two layers of LSTM without normalisation, a dense layer, and dropout after it."""

    def __init__(self, features: int, sizes: Sequence[int], dense: int, dropout: float) -> None:
        super().__init__()
        self.lstm = Recurrent(nn.LSTM, features, sizes, dropout=0.0, normalise=False)
        self.dense = nn.Linear(sizes[-1], dense)
        self.dropout = nn.Dropout(dropout)

    def forward(self, windows: Tensor) -> Tensor:
        """Return float32[batch, dense]."""
        found: Tensor = self.dropout(torch.relu(self.dense(self.lstm(windows))))
        return found


class Transformer(nn.Module):
    """An encoder with sinusoidal positions counted back from the cutoff; its last session's state is returned."""

    rates: Tensor

    def __init__(self, features: int, layers: int, heads: int, keys: int, inner: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.units = heads * keys
        self.into = nn.Linear(features, self.units)
        self.blocks = nn.ModuleList(Block(self.units, heads, keys, inner, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(self.units)
        self.register_buffer(
            "rates", torch.exp(torch.arange(0, self.units, 2) * (-math.log(10_000.0) / self.units)), persistent=False
        )

    def forward(self, windows: Tensor) -> Tensor:
        """Return float32[batch, units]."""
        back = torch.arange(windows.shape[1] - 1, -1, -1, device=windows.device)
        angles = back[:, None] * self.rates
        positions = torch.stack([angles.sin(), angles.cos()], -1).flatten(1)[:, : self.units]
        states = self.into(windows) + positions
        for block in self.blocks:
            states = block(states)
        found: Tensor = self.norm(states[:, -1])
        return found


class Ensemble(Net):
    """Branches that forecast, and a dense network on their forecasts, which begins as their mean.

    While it learns, each branch is held to the targets too: else all but the quickest would stay behind.
    """

    def __init__(self, branches: Sequence[Net], horizon: int, units: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.meta = nn.Sequential(
            nn.Linear(len(branches) * horizon, units), nn.ReLU(), _zero(nn.Linear(units, horizon))
        )

    def outputs(self, windows: Tensor) -> tuple[Tensor, ...]:
        """Return the forecast and those of the branches."""
        found = [branch(windows) for branch in self.branches]
        forecast = torch.stack(found).mean(0) + self.meta(torch.cat(found, 1))
        return (forecast, *found)


def _zero(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _units(*sizes: int, width: float) -> list[int]:
    return [max(2, round(size * width)) for size in sizes]


def _lstm(features: int, horizon: int, width: float) -> Net:
    body = Recurrent(nn.LSTM, features, _units(100, 100, 50, width=width))
    return Plain(body, body.units, horizon)


def _bilstm(features: int, horizon: int, width: float) -> Net:
    body = Recurrent(nn.LSTM, features, _units(64, 64, 40, width=width), both=True)
    return Plain(body, body.units, horizon)


def _attention(features: int, horizon: int, width: float) -> Net:
    first, second, units = _units(128, 128, 128, width=width)
    return Plain(AdditiveAttention(features, (first, second), units), second, horizon)


def _heads(features: int, horizon: int, width: float) -> Net:
    first, second, keys = _units(128, 128, 32, width=width)
    return Plain(HeadsLstm(features, (first, second), 4, keys), second, horizon)


def _ensemble(features: int, horizon: int, width: float) -> Net:
    gru = Recurrent(nn.GRU, features, _units(100, 100, 50, width=width))
    keys, inner, meta = _units(32, 400, 32, width=width)
    transformer = Transformer(features, 2, 4, keys, inner)
    return Ensemble(
        [
            _lstm(features, horizon, width),
            Plain(gru, gru.units, horizon),
            Plain(transformer, transformer.units, horizon),
        ],
        horizon,
        meta,
    )


def _stacked(features: int, horizon: int, width: float) -> Net:
    first, second, dense = _units(64, 64, 32, width=width)
    return Plain(Stacked(features, (first, second), dense, 0.5), dense, horizon)


BUILDERS: dict[str, Callable[[int, int, float], Net]] = {
    "lstm": _lstm,
    "bilstm": _bilstm,
    "attention_lstm": _attention,
    "multihead_lstm": _heads,
    "ensemble": _ensemble,
    "stacked_lstm": _stacked,
}


def count(net: nn.Module) -> int:
    """Return how many numbers a network learns."""
    return sum(it.numel() for it in net.parameters())
