"""Networks that train in a second."""

import numpy as np

from tickloom.forecast.models import make
from tickloom.forecast.models.networks import Network

WINDOW, HORIZON = 8, 2
NAMES = ("lstm", "bilstm", "attention_lstm", "multihead_lstm", "ensemble", "stacked_lstm")


def small(name="lstm", horizon=HORIZON, **more) -> Network:
    """Return a network of a few units that is not fitted yet."""
    return make(
        name, horizon, **{"window": WINDOW, "width": 0.06, "epochs": 3, "device": "cpu", "shrink": False, **more}
    )


def weights(model: Network) -> dict[str, np.ndarray]:
    """Return all that it learned, by name."""
    return {name: it.numpy() for name, it in model._network.state_dict().items()}


def same(first: Network, second: Network) -> bool:
    """Whether two networks are alike to the bit."""
    one, other = weights(first), weights(second)
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)
