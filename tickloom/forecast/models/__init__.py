"""The models by name; each is imported when it is asked for, so that none brings another's libraries."""

import difflib
import importlib
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tickloom.errors import TickloomError
from tickloom.forecast.models.base import Model, Prediction

__all__ = ["BASELINES", "MODELS", "Model", "Prediction", "load", "make", "remark"]

MODELS: Mapping[str, str] = MappingProxyType(
    {
        "random_walk": "naive:RandomWalk",
        "drift": "naive:Drift",
        "seasonal_naive": "naive:SeasonalNaive",
        "ar1": "linear:Ar1",
        "arima": "statistical:Arima",
        "auto_arima": "statistical:AutoArima",
        "ets": "statistical:Ets",
        "ridge": "linear:Ridge",
        "lightgbm": "boosted:LightGbm",
        "ridge_recursive": "recursive:RidgeRecursive",
        "lightgbm_recursive": "recursive:LightGbmRecursive",
        "lstm": "networks:Lstm",
        "bilstm": "networks:BiLstm",
        "attention_lstm": "networks:AttentionLstm",
        "multihead_lstm": "networks:MultiheadLstm",
        "ensemble": "networks:EnsembleNetwork",
        "stacked_lstm": "networks:StackedLstm",
        "chronos": "foundation:Chronos",
        "timesfm": "foundation:TimesFm",
    }
)
"""Module and class below this package."""
BASELINES: tuple[str, ...] = (
    "random_walk",
    "drift",
    "seasonal_naive",
    "ar1",
    "arima",
    "auto_arima",
    "ets",
    "ridge",
    "lightgbm",
)
"""What every evaluation runs, whatever else it is asked for."""
REFERENCE = "random_walk"
_PRETRAINED = ("chronos", "timesfm")


def load(folder: Path) -> Model:
    """Return the model that saved itself into a folder.

    Raises
    ------
    TickloomError
        The folder holds none, or one that is unknown.
    """
    path = folder / "parameters.json"
    try:
        name = json.loads(path.read_text(encoding="utf-8"))["model"]
    except FileNotFoundError:
        raise TickloomError(
            f"{folder}: no parameters.json, so no model; name the folder that a model was saved to"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise TickloomError(f"{path}: not what a model writes ({error}); take it from its source again") from None
    found: Model = _class(name).load(folder)
    return found


def make(name: str, horizon: int, **options: Any) -> Model:
    """Return a model that is not fitted yet.

    Parameters
    ----------
    horizon
        Sessions ahead, 1 or more: it forecasts each of 1..horizon.
    options
        Of its own, such as ``window``.

    Raises
    ------
    TickloomError
        The name is unknown, an extra is not installed, or the model has no such option.
    """
    class_ = _class(name)
    try:
        inspect.signature(class_).bind(horizon, **options)
    except TypeError:
        known = [it for it in inspect.signature(class_).parameters if it != "horizon"]
        said = f"known: {', '.join(known)}" if known else "it has none"
        raise TickloomError(f"{name}: option {', '.join(options)} is unknown; {said}") from None
    made: Model = class_(horizon, **options)
    return made


def remark(name: str) -> str:
    """Return what must stand beside the verdict of a model; empty where there is nothing to say.

    Parameters
    ----------
    name
        Of a model, or of what was made of its forecasts, such as ``chronos_smoothed``.
    """
    known = name.startswith(_PRETRAINED)
    return "it was pretrained elsewhere, and its training data may contain these sessions" if known else ""


def _class(name: str) -> type[Model]:
    if name not in MODELS:
        close = difflib.get_close_matches(name, MODELS, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise TickloomError(f"model {name!r} is unknown; {hint}known: {', '.join(MODELS)}")
    module, _, class_ = MODELS[name].partition(":")
    try:
        found = getattr(importlib.import_module(f"{__name__}.{module}"), class_)
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("tickloom"):
            raise
        raise TickloomError(f"model {name!r} needs {error.name}: pip install 'tickloom[train]'") from None
    made: type[Model] = found
    return made
