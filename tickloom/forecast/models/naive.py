"""Forecasts that learn next to nothing, and against which all others are measured."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from tickloom.errors import TickloomError
from tickloom.forecast.features import FeatureFrame
from tickloom.forecast.history import Floats
from tickloom.forecast.models.base import Model, Prediction, Progress, Rows

FILE = "parameters.json"


class Simple(Model):
    """A model of closes alone, whose parameters are a few numbers in a JSON file."""

    reads_features: ClassVar[bool] = False

    def state(self) -> dict[str, Any]:
        """Return what was learned."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take what ``state`` returned."""

    def save(self, folder: Path) -> None:
        """Write ``parameters.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        body = {"model": self.name, "horizon": self.horizon, **self.state()}
        (folder / FILE).write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return what ``save`` wrote.

        Raises
        ------
        TickloomError
            The file is of another model.
        """
        body = json.loads((folder / FILE).read_text(encoding="utf-8"))
        if body.get("model") != cls.name:
            raise TickloomError(f"{folder / FILE}: holds the model {body.get('model')!r}, not {cls.name!r}")
        try:
            made = cls(int(body["horizon"]))
            made.restore(body)
        except (KeyError, TypeError, ValueError) as error:
            raise TickloomError(
                f"{folder / FILE}: not what {cls.name} writes ({type(error).__name__}: {error}); take it from its "
                "source again"
            ) from None
        return made

    def parameters(self) -> Mapping[str, Any]:
        """Return horizon and what was learned."""
        return {**super().parameters(), **self.state()}


class RandomWalk(Simple):
    """The price stays where it is."""

    name: ClassVar[str] = "random_walk"

    @property
    def least_rows(self) -> int:
        """One session."""
        return 1

    def _fit(self, frame: FeatureFrame, seed: int, progress: Progress | None) -> None:
        return

    def _predict(self, frame: FeatureFrame, rows: Rows) -> Prediction:
        return Prediction(rows, np.zeros((len(rows), self.horizon)), {})


class Drift(Simple):
    """The price goes on at the mean log-return of all sessions so far."""

    name: ClassVar[str] = "drift"
    per_session: float = 0.0

    def _fit(self, frame: FeatureFrame, seed: int, progress: Progress | None) -> None:
        closes = frame.log_close
        self.per_session = float((closes[-1] - closes[0]) / (len(closes) - 1))

    def _predict(self, frame: FeatureFrame, rows: Rows) -> Prediction:
        ahead = np.arange(1, self.horizon + 1)
        return Prediction(rows, np.tile(self.per_session * ahead, (len(rows), 1)), {})

    def state(self) -> dict[str, Any]:
        """Return the mean log-return."""
        return {"per_session": self.per_session}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take it."""
        self.per_session = float(state["per_session"])


class SeasonalNaive(Simple):
    """Each session moves as the one five sessions before it did."""

    name: ClassVar[str] = "seasonal_naive"
    season: ClassVar[int] = 5

    @property
    def reads_before(self) -> int:
        """A season of returns."""
        return self.season

    def _fit(self, frame: FeatureFrame, seed: int, progress: Progress | None) -> None:
        return

    def _predict(self, frame: FeatureFrame, rows: Rows) -> Prediction:
        returns: Floats = np.diff(frame.log_close, prepend=np.nan)
        ahead = np.arange(self.horizon)
        back = rows[:, None] - self.season + 1 + ahead % self.season
        return Prediction(rows, np.cumsum(returns[back], axis=1), {})
