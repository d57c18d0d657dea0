"""Models for the published protocols: windows in, one number out."""

import warnings
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from tickloom.errors import TickloomError
from tickloom.forecast.history import Floats
from tickloom.forecast.protocols import Maker
from tickloom.forecast.recipe import Recipe


class Flat:
    """A regressor of scikit-learn on windows laid flat."""

    def __init__(self, regressor: Any) -> None:
        self.regressor = regressor

    def fit(self, windows: Floats, targets: Floats, validation: tuple[Floats, Floats]) -> Self:
        """Learn from the training windows; nothing here ends by the validation."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-learn's, of the number of iterations, which is the recipe's
            self.regressor.fit(windows.reshape(len(windows), -1), targets)
        return self

    def predict(self, windows: Floats) -> Floats:
        """Return float64[n]."""
        found: Floats = self.regressor.predict(windows.reshape(len(windows), -1))
        return found


def _ridge(seed: int) -> Flat:
    from sklearn.linear_model import Ridge

    return Flat(Ridge(1.0, random_state=seed))


def _mlp(seed: int) -> Flat:
    from sklearn.neural_network import MLPRegressor

    return Flat(MLPRegressor(hidden_layer_sizes=(64, 32), max_iter=200, early_stopping=True, random_state=seed))


class Network:
    """One of our networks on windows that the protocol has scaled."""

    def __init__(self, name: str, seed: int, **options: Any) -> None:
        self.name, self.seed, self.options = name, seed, options
        self._net: Any = None

    def fit(self, windows: Floats, targets: Floats, validation: tuple[Floats, Floats]) -> Self:
        """Learn from the training windows until the validation no longer gains.

        Raises
        ------
        TickloomError
            torch is not installed.
        """
        try:
            from tickloom.forecast.models.architectures import BUILDERS
            from tickloom.forecast.training import train_on
        except ModuleNotFoundError as error:
            raise TickloomError(f"training {self.name} needs {error.name}: pip install 'tickloom[train]'") from None
        recipe = Recipe(**self.options)
        features = windows.shape[2]
        self._net = train_on(
            lambda: BUILDERS[self.name](features, 1, 1.0), (windows, targets), validation, recipe, self.seed
        )
        return self

    def predict(self, windows: Floats) -> Floats:
        """Return float64[n]."""
        import torch

        with torch.no_grad():
            found = self._net(torch.tensor(windows, dtype=torch.float32))
        return np.asarray(found[:, 0], np.float64)


NETWORKS = ("lstm", "bilstm", "attention_lstm", "multihead_lstm", "ensemble", "stacked_lstm")
REGRESSORS: Mapping[str, Maker] = MappingProxyType(
    {"ridge": _ridge, "mlp": _mlp, **{name: partial(Network, name) for name in NETWORKS}}
)
"""By name: a function from a seed to an object with ``fit`` and ``predict``."""
USUAL: Mapping[str, tuple[str, ...]] = MappingProxyType({"seed-000": ("lstm",), "seed-003": ("stacked_lstm",)})
"""What a protocol trains where nothing else is asked for: the report's own first network."""


def makers(names: "list[str] | tuple[str, ...]") -> dict[str, Maker]:
    """Return what a protocol trains.

    Raises
    ------
    TickloomError
        A name is unknown.
    """
    for name in names:
        if name not in REGRESSORS:
            raise TickloomError(f"model {name!r} cannot be run under a protocol; possible: {', '.join(REGRESSORS)}")
    return {name: REGRESSORS[name] for name in names}
