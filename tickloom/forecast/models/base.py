"""What every model is: fitted to a frame, forecasts from it, is saved, loaded and explained."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from tickloom.errors import TickloomError
from tickloom.forecast.features import FeatureFrame
from tickloom.forecast.history import Floats

Rows = npt.NDArray[np.int64]
GRADIENTS, PERMUTATION = "integrated_gradients", "permutation_importance"
"""Ways of explaining a model."""
Progress = Callable[[float, Mapping[str, float]], None]
"""Told the share that is done, 0..1, and figures such as the loss."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """Forecast log-returns from m cutoffs to 1..H sessions later.

    Attributes
    ----------
    rows : int64[m]
        The cutoffs: indices of sessions of the frame, whose close is the last thing known.
    mean : float64[m, H]
        Log-return from the cutoff's close; the price is ``close * exp(mean)``.
    quantiles : dict of float to float64[m, H]
        By probability, for models that know them of themselves.
    """

    rows: Rows
    mean: Floats
    quantiles: Mapping[float, Floats]


class Model(ABC):
    """A forecaster of one ticker's log-returns.

    Parameters
    ----------
    horizon
        H: it forecasts 1..H sessions ahead.

    A model never sees more than the frame it is given: ``fit`` may use every row of its frame, so who evaluates gives
    one that ends before the first cutoff, and ``predict`` may use, for a cutoff, nothing after that row.
    """

    name: ClassVar[str]
    random: bool = False
    """Whether the seed changes the outcome; such models are fitted with several."""
    served_by: tuple[str, ...] = ()
    """Distributions that a saved one needs to forecast, beside what reads prices and makes features."""
    reads_features: ClassVar[bool] = True
    """Whether it reads more than closes; else it does not wait for the slowest feature."""

    def __init__(self, horizon: int) -> None:
        if horizon < 1:
            raise TickloomError(f"{self.name}: horizon {horizon} must be 1 or more sessions")
        self.horizon = horizon

    @property
    def least_rows(self) -> int:
        """Sessions with all features known that ``fit`` needs at least."""
        return 2 + self.horizon

    @property
    def reads_before(self) -> int:
        """Sessions before the cutoff, beside its own, whose features a forecast reads."""
        return 0

    def fit(self, frame: FeatureFrame, *, seed: int = 0, progress: Progress | None = None) -> Self:
        """Learn from all sessions of the frame, and return itself.

        Raises
        ------
        TickloomError
            The frame has too few sessions; the sentence says how many are needed.
        """
        usable = len(frame) - self._first(frame)
        if usable < self.least_rows:
            if self.reads_features:
                frame.refuse_unknown()
            before = self._first(frame)
            begun = f", after {before} until all features are known" if before else ""
            raise TickloomError(
                f"{frame.history.ticker}: {len(frame)} sessions are too few: {self.name} needs {self.least_rows}{begun}"
                f"; load {self.least_rows - usable} more, or choose a shorter window or horizon"
            )
        self._fit(frame, seed, progress)
        return self

    def _first(self, frame: FeatureFrame) -> int:
        """Return the first session that it can learn from."""
        return frame.ready if self.reads_features else 0

    def predict(self, frame: FeatureFrame, rows: Sequence[int] | Rows | None = None) -> Prediction:
        """Forecast from the closes of ``rows``, by default from the last.

        Raises
        ------
        TickloomError
            A row lies where features or earlier sessions are missing, or the features are not those it was fitted to.
        """
        return self._predict(frame, self.checked_rows(frame, [len(frame) - 1] if rows is None else rows))

    def checked_rows(self, frame: FeatureFrame, rows: Sequence[int] | Rows) -> Rows:
        """Return cutoffs as an array, or raise a TickloomError where one cannot be forecast from."""
        wanted = np.asarray(rows, np.int64)
        if self.reads_features and len(wanted):
            frame.refuse_unknown()
        first = self._first(frame) + self.reads_before
        if len(wanted) and (wanted.min() < first or wanted.max() >= len(frame)):
            raise TickloomError(
                f"{frame.history.ticker}: {self.name} cannot forecast from session {wanted.min()}..{wanted.max()} of "
                f"{len(frame)}; possible from {first} on: load more history"
            )
        return wanted

    @abstractmethod
    def _fit(self, frame: FeatureFrame, seed: int, progress: Progress | None) -> None: ...

    @abstractmethod
    def _predict(self, frame: FeatureFrame, rows: Rows) -> Prediction: ...

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what a forecast needs into a folder, without pickles."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Self:
        """Return what ``save`` wrote."""

    @property
    def explained_by(self) -> tuple[str, ...]:
        """Ways in which it can be explained, the usual one first; none where it reads no features."""
        return ()

    def explain(self, frame: FeatureFrame, rows: Rows, method: str | None = None) -> Mapping[str, float]:
        """Return how much each feature matters to the forecasts from these rows; empty where none is read.

        Parameters
        ----------
        method
            One of ``explained_by``, by default its first. ``integrated_gradients``: how far the feature's whole window
            moves the mean forecast over 1..horizon away from the one at the training's mean, in log-return, as an
            absolute value averaged over the rows. ``permutation_importance``: by how much the mean squared error of
            the log-returns grows when the feature's windows are shuffled among the rows; it needs their outcomes.

        Raises
        ------
        TickloomError
            The model cannot be explained in this way, or not here; the sentence says what is missing.
        """
        ways = self.explained_by
        if method is not None and method not in ways:
            known = ", ".join(ways) or "none, for it reads no features"
            raise TickloomError(f"{self.name}: cannot be explained by {method!r}; known: {known}")
        return self._explain(frame, rows, method or ways[0]) if ways else {}

    def _explain(self, frame: FeatureFrame, rows: Rows, method: str) -> Mapping[str, float]:
        raise NotImplementedError(f"{self.name} says that it is explained by {method}, and has no way to")

    def parameters(self) -> Mapping[str, Any]:
        """Return what was chosen and what was learned, for the registry."""
        return {"horizon": self.horizon}
