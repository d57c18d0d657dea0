"""What is tried of each family of models: few choices, each with a reason to matter."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna import Trial

NETWORKS = ("lstm", "bilstm", "attention_lstm", "multihead_lstm", "ensemble", "stacked_lstm")
_CHOICES: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {"window": (20, 40, 60), "width": (0.25, 0.5, 1.0), "batch": (32, 64)}
)
_RATE = (3e-4, 3e-3)
_USUAL: Mapping[str, Any] = MappingProxyType({"window": 60, "width": 1.0, "batch": 32, "learning_rate": 1e-3})
LONGEST_WINDOW = max(_CHOICES["window"])


def tunable(model: str) -> tuple[str, ...]:
    """Return the options of a model that are tried; none of those that choose for themselves while they learn.

    ``ridge`` chooses its penalty, ``lightgbm`` its trees and the statistical models their orders, all from the sessions
    they are fitted to; the baselines without options have nothing to choose.
    """
    return (*_CHOICES, "learning_rate") if model in NETWORKS else ()


def usual(model: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is tried first: the defaults, so that tuning cannot end below them on what it looks at."""
    return {name: _USUAL[name] for name in tunable(model) if name not in given}


def suggest(trial: "Trial", model: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a trial; those that are given are not tried."""
    found: dict[str, Any] = {}
    for name in tunable(model):
        if name in given:
            continue
        if name == "learning_rate":
            found[name] = trial.suggest_float(name, *_RATE, log=True)
        else:
            found[name] = trial.suggest_categorical(name, _CHOICES[name])
    return found
