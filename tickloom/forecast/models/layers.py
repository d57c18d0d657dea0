"""Parts of the networks: recurrent layers, attention, a block of an encoder."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


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
