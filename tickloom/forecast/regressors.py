"""Models for the published protocols: windows in, one number out."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Self

from tickloom.errors import TickloomError
from tickloom.forecast.history import Floats
from tickloom.forecast.protocols import Maker


class Flat:
    """A regressor of scikit-learn on windows laid flat."""

    def __init__(self, regressor: Any) -> None:
        self.regressor = regressor

    def fit(self, windows: Floats, targets: Floats, validation: tuple[Floats, Floats]) -> Self:
        """Learn from the training windows; nothing here ends by the validation."""
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


REGRESSORS: Mapping[str, Maker] = MappingProxyType({"ridge": _ridge, "mlp": _mlp})
"""By name. A network joins with a function from a seed to an object with ``fit`` and ``predict``."""


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
