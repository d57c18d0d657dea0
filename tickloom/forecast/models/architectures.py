"""The layers of the networks.

Each reads float32[batch, window, k], standardised, and gives float32[batch, horizon], in units of each horizon's
training deviation. Every last layer begins at zero, so that a network begins as the random walk.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class Net(nn.Module):
    """A network that may have more outputs to learn by than its forecast."""

    @abstractmethod
    def outputs(self, windows: Tensor) -> tuple[Tensor, ...]:
        """Return the forecast, and what else is to be near the targets while it learns."""

    def forward(self, windows: Tensor) -> Tensor:
        """Return the forecast."""
        return self.outputs(windows)[0]


class LockedDropout(nn.Module):
    """Dropout that spares or drops a unit for the whole window (Gal and Ghahramani, 2016, NeurIPS 29)."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, values: Tensor) -> Tensor:
        """Return ``values`` of shape [batch, ..., units], each unit kept or zero in all of the middle."""
        if not self.training or not self.share:
            return values
        shape = (len(values), *(1 for _ in values.shape[1:-1]), values.shape[-1])
        mask = torch.empty(shape, device=values.device, dtype=values.dtype).bernoulli_(1 - self.share)
        return values * mask.div_(1 - self.share)


class Recurrent(nn.Module):
    """Layers of LSTM or GRU, each with batch normalisation over windows and sessions, and dropout.

    Parameters
    ----------
    sizes
        Units of each layer, in each direction.
    whole
        Whether all sessions' states are returned, float32[batch, window, units]; else what was read last in each
        direction, float32[batch, units].
    """

    def __init__(
        self,
        cell: type[nn.LSTM] | type[nn.GRU],
        features: int,
        sizes: Sequence[int],
        *,
        dropout: float = 0.3,
        both: bool = False,
        whole: bool = False,
        normalise: bool = True,
    ) -> None:
        super().__init__()
        ways = 2 if both else 1
        reads = (features, *(ways * size for size in sizes[:-1]))
        self.layers = nn.ModuleList(
            cell(read, size, batch_first=True, bidirectional=both) for read, size in zip(reads, sizes, strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(ways * size) if normalise else nn.Identity() for size in sizes)
        self.dropout = LockedDropout(dropout)
        self.both, self.whole = both, whole
        self.units = ways * sizes[-1]

    def forward(self, windows: Tensor) -> Tensor:
        """Return the states of the last layer."""
        states = windows
        for number, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True), start=1):
            states, _ = layer(states)
            if number == len(self.layers) and not self.whole:
                half = self.units // 2
                states = torch.cat([states[:, -1, :half], states[:, 0, half:]], 1) if self.both else states[:, -1]
                states = norm(states)
            else:
                states = norm(states.flatten(0, 1)).view_as(states)
            states = self.dropout(states)
        return states


class Plain(Net):
    """A body and a linear layer on it."""

    def __init__(self, body: nn.Module, units: int, horizon: int) -> None:
        super().__init__()
        self.body = body
        self.head = _zero(nn.Linear(units, horizon))

    def outputs(self, windows: Tensor) -> tuple[Tensor, ...]:
        """Return the forecast."""
        return (self.head(self.body(windows)),)


class AdditiveAttention(nn.Module):
    """LSTM states weighted by their fit to the cutoff's own session.

    With x the features of the window's last session and h_i the states: e_i = v' tanh(W_h h_i + W_x x + b),
    a = softmax(e), and the context c = sum a_i h_i is returned (Bahdanau and others, 2015, arXiv:1409.0473).
    """

    def __init__(self, features: int, sizes: Sequence[int], units: int) -> None:
        super().__init__()
        self.lstm = Recurrent(nn.LSTM, features, sizes, whole=True)
        self.of_state = nn.Linear(sizes[-1], units, bias=False)
        self.of_input = nn.Linear(features, units)
        self.score = nn.Linear(units, 1, bias=False)

    def forward(self, windows: Tensor) -> Tensor:
        """Return the context, float32[batch, units]."""
        states = self.lstm(windows)
        scores = self.score(torch.tanh(self.of_state(states) + self.of_input(windows[:, -1:])))
        context: Tensor = (torch.softmax(scores, 1) * states).sum(1)
        return context


class HeadsAttention(nn.Module):
    """Attention of each session to all of its window, with several heads.

    After Vaswani and others, 2017, arXiv:1706.03762.
    """

    def __init__(self, units: int, heads: int, keys: int) -> None:
        super().__init__()
        self.split = (3, heads, keys)
        self.into = nn.Linear(units, 3 * heads * keys)
        self.out = nn.Linear(heads * keys, units)

    def forward(self, states: Tensor) -> Tensor:
        """Return float32[batch, window, units]."""
        query, key, value = self.into(states).unflatten(-1, self.split).permute(2, 0, 3, 1, 4).unbind(0)
        found = functional.scaled_dot_product_attention(query, key, value)
        attended: Tensor = self.out(found.transpose(1, 2).flatten(2))
        return attended


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


class Block(nn.Module):
    """A layer of a Transformer's encoder, normalised before each part."""

    def __init__(self, units: int, heads: int, keys: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.before = nn.LayerNorm(units)
        self.attention = HeadsAttention(units, heads, keys)
        self.between = nn.LayerNorm(units)
        self.feed = nn.Sequential(nn.Linear(units, inner), nn.GELU(), nn.Linear(inner, units))
        self.dropout = LockedDropout(dropout)

    def forward(self, states: Tensor) -> Tensor:
        """Return float32[batch, window, units]."""
        states = states + self.dropout(self.attention(self.before(states)))
        found: Tensor = states + self.dropout(self.feed(self.between(states)))
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
