"""How a network is trained; read without torch."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from tickloom.errors import TickloomError

DEVICES = ("auto", "cpu", "cuda")


_Kinds = tuple[type, ...]
_INT: tuple[_Kinds, str] = ((int,), "a whole number")
_NUMBER: tuple[_Kinds, str] = ((int, float), "a number")
_KINDS: dict[str, tuple[_Kinds, str]] = {
    **dict.fromkeys(("epochs", "batch", "patience", "plateau", "threads"), _INT),
    **dict.fromkeys(("learning_rate", "clip", "validation"), _NUMBER),
    "shrink": ((bool,), "true or false"),
}


@dataclass(frozen=True)
class Recipe:
    """Choices of the training, by default those that the networks' authors name.

    Attributes
    ----------
    epochs : int
        At most.
    batch : int
        Windows in a step.
    learning_rate : float
        Of Adam, at the beginning.
    patience : int
        Epochs without a lower validation loss after which training ends; the weights of the best epoch are kept.
    plateau : int
        Epochs without one after which the learning rate is halved.
    clip : float
        Largest norm of a step's gradient.
    validation : float
        Share of the training rows, the last ones, that early stopping looks at.
    shrink : bool
        Whether forecasts are multiplied, for each number of sessions ahead, by the share of 0..1 that has the least
        squared error on the validation rows (the slope of Mincer and Zarnowitz, 1969, without a constant). A network
        that found nothing which holds there becomes the random walk instead of noise around it.
    threads : int
        Of torch, while it trains or forecasts; results are the same bits for the same number only.
    device : str
        ``auto`` takes a GPU where there is one; mixed precision (bfloat16) is used there alone.
    checkpoints : Path or None
        Folder for the state after each epoch. A training that was ended in the middle goes on from there; one that
        differs in data, features, seed or any choice above has a file of its own.
    """

    epochs: int = 50
    batch: int = 32
    learning_rate: float = 1e-3
    patience: int = 15
    plateau: int = 7
    clip: float = 1.0
    validation: float = 0.15
    shrink: bool = True
    threads: int = 1
    device: str = "auto"
    checkpoints: Path | None = None

    def __post_init__(self) -> None:
        for name, (kinds, said) in _KINDS.items():
            value = getattr(self, name)
            if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
                raise TickloomError(f"{name} {value!r} must be {said}")
        for name in ("epochs", "patience", "plateau", "threads"):
            if getattr(self, name) < 1:
                raise TickloomError(f"{name} {getattr(self, name)} must be 1 or more")
        if self.batch < 2:
            raise TickloomError(f"batch {self.batch} must be 2 or more windows, for batch normalisation compares them")
        for name in ("learning_rate", "clip"):
            if not (getattr(self, name) > 0 and math.isfinite(getattr(self, name))):
                raise TickloomError(f"{name} {getattr(self, name)} must be above 0")
        if not 0.05 <= self.validation <= 0.5:
            raise TickloomError(f"validation {self.validation} must be a share from 0.05 to 0.5")
        if self.device not in DEVICES:
            raise TickloomError(f"device {self.device!r} is unknown; known: {', '.join(DEVICES)}")

    @classmethod
    def of(cls, model: str, options: Mapping[str, Any]) -> Self:
        """Return the recipe with these options.

        Raises
        ------
        TickloomError
            There is no such option.
        """
        known = {it.name for it in fields(cls)}
        for name in options:
            if name not in known:
                names = ", ".join(("window", "width", *sorted(known)))
                raise TickloomError(f"{model}: option {name!r} is unknown; known: {names}")
        return cls(**options)

    def choices(self) -> dict[str, Any]:
        """Return what decides about the result: all but threads, device and folder."""
        return {name: it for name, it in asdict(self).items() if name not in ("threads", "device", "checkpoints")}
