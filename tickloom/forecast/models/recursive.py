"""Several sessions ahead by one session at a time: each forecast is appended as if it had happened."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from tickloom.errors import TickloomError
from tickloom.forecast.continuation import Continuation
from tickloom.forecast.features import FeatureFrame
from tickloom.forecast.models.base import Model, Prediction, Progress, Rows
from tickloom.forecast.models.naive import FILE

_BASE = "base"


class Recursive(Model):
    """A model of one session ahead, asked again and again about what it forecast itself.

    Parameters
    ----------
    horizon
        H.
    options
        Of the model below.

    Errors of the first sessions go into the features of the next; and made sessions have no range, so that features of
    ranges fall towards 0 over a long path.
    """

    base: ClassVar[str]
    """Name of the model that forecasts one session."""

    def __init__(self, horizon: int, **options: Any) -> None:
        from tickloom.forecast.models import make

        super().__init__(horizon)
        self.one = make(self.base, 1, **options)
        self.served_by = self.one.served_by

    @property
    def least_rows(self) -> int:
        """What the model below needs."""
        return self.one.least_rows

    @property
    def reads_before(self) -> int:
        """What the model below reads."""
        return self.one.reads_before

    def _fit(self, frame: FeatureFrame, seed: int, progress: Progress | None) -> None:
        self.one.fit(frame, seed=seed, progress=progress)

    def _predict(self, frame: FeatureFrame, rows: Rows) -> Prediction:
        mean = np.empty((len(rows), self.horizon))
        now, total = Continuation(frame, rows, self.reads_before + 1), np.zeros(len(rows))
        for ahead in range(self.horizon):
            if ahead:
                now.append(frame.history.close[rows] * np.exp(total))
            total = total + self.one.predict(now.frame, now.rows).mean[:, 0]
            mean[:, ahead] = total
        return Prediction(rows, mean, {})

    def save(self, folder: Path) -> None:
        """Write the model below into ``base``, and ``parameters.json``."""
        self.one.save(folder / _BASE)
        body = {"model": self.name, "horizon": self.horizon}
        (folder / FILE).write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return what ``save`` wrote.

        Raises
        ------
        TickloomError
            The file is of another model, or the model below cannot be loaded.
        """
        body = json.loads((folder / FILE).read_text(encoding="utf-8"))
        if body.get("model") != cls.name:
            raise TickloomError(f"{folder / FILE}: holds the model {body.get('model')!r}, not {cls.name!r}")
        made = cls(int(body["horizon"]))
        made.one = type(made.one).load(folder / _BASE)
        return made

    @property
    def explained_by(self) -> tuple[str, ...]:
        """As the model below, whose forecast of the first session is explained."""
        return self.one.explained_by

    def _explain(self, frame: FeatureFrame, rows: Rows, method: str) -> Mapping[str, float]:
        return self.one.explain(frame, rows, method)

    def parameters(self) -> Mapping[str, Any]:
        """Return those of the model below, and the horizon."""
        return {**self.one.parameters(), **super().parameters()}


class RidgeRecursive(Recursive):
    """The ridge regression, one session at a time."""

    name: ClassVar[str] = "ridge_recursive"
    base: ClassVar[str] = "ridge"


class LightGbmRecursive(Recursive):
    """LightGBM, one session at a time."""

    name: ClassVar[str] = "lightgbm_recursive"
    base: ClassVar[str] = "lightgbm"
