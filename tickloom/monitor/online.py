"""Detectors that take one session at a time: ADWIN and Page-Hinkley of river.

They see a stream standardised by a reference: returns for a shift, squared returns for volatility, absolute errors for
losses. ADWIN (Bifet and Gavaldà 2007, doi:10.1137/1.9781611972771.42) compares all ways of cutting its window in two;
Page-Hinkley (Page 1954, doi:10.1093/biomet/41.1-2.100) sums what lies above the mean. Both take values for
independent, which squared returns are not: their settings were chosen by what they do on simulated years
(``tickloom bench drift``), and they alert and decide nothing.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tickloom.errors import TickloomError
from tickloom.monitor.resampling import Floats

Bools = npt.NDArray[np.bool_]
Stream = Literal["returns", "squares", "losses"]
_MOST = 9.0  # a squared return counts as three standard deviations at most
_SCHEMA = 1


def _adwin() -> Any:
    from river.drift import ADWIN

    return ADWIN(delta=0.01, clock=1)  # type: ignore[no-untyped-call]


def _page_hinkley(mode: str, delta: float, threshold: float) -> Callable[[], Any]:
    def make() -> Any:
        from river.drift import PageHinkley

        return PageHinkley(min_instances=1, delta=delta, threshold=threshold, mode=mode)

    return make


DETECTORS: dict[str, tuple[Stream, Callable[[], Any]]] = {
    "adwin_returns": ("returns", _adwin),
    "adwin_squares": ("squares", _adwin),
    "adwin_losses": ("losses", _adwin),
    "page_hinkley_returns": ("returns", _page_hinkley("both", 0.1, 20.0)),
    "page_hinkley_squares": ("squares", _page_hinkley("up", 0.85, 9.0)),
    "page_hinkley_losses": ("losses", _page_hinkley("up", 0.5, 3.5)),
}
"""By name: what it watches, and how one is made."""


@dataclass
class Detector:
    """One detector on the stream of one ticker.

    What it has seen since its last alarm is its state: a detector that is fed the same again is the same.

    Attributes
    ----------
    name : str
        Of ``DETECTORS``.
    mean, scale : float
        Of the reference: returns are told in its standard deviations, absolute errors in its mean error.
    seen : list of float
        Standardised values since the last alarm, that of the alarm left out.
    """

    name: str
    mean: float
    scale: float
    seen: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.name not in DETECTORS:
            raise TickloomError(f"detector {self.name!r} is unknown; known: {', '.join(DETECTORS)}")
        if not (np.isfinite([self.mean, self.scale]).all() and self.scale > 0):
            raise TickloomError(f"detector {self.name}: mean {self.mean} and scale {self.scale} must be known, above 0")
        self._inner = DETECTORS[self.name][1]()
        for it in self.seen:
            self._inner.update(it)

    @classmethod
    def of(cls, name: str, reference: Floats) -> "Detector":
        """Return one that has seen a reference: returns, or absolute errors, in log-returns, oldest first.

        Alarms within the reference only have it begin anew there.

        Raises
        ------
        TickloomError
            The name is unknown, or the reference never moves.
        """
        if name in DETECTORS and DETECTORS[name][0] == "losses":
            made = cls(name, 0.0, float(np.mean(reference)))
        else:
            made = cls(name, float(np.mean(reference)), float(np.std(reference)))
        for it in reference:
            made.update(float(it))
        return made

    def update(self, value: float) -> bool:
        """Take the next session's return or absolute error, and return whether that is an alarm; NaN is passed over."""
        if not np.isfinite(value):
            return False
        standard = (value - self.mean) / self.scale
        if DETECTORS[self.name][0] == "squares":
            standard = min(standard**2, _MOST)
        self._inner.update(standard)
        alarm = bool(self._inner.drift_detected)
        if alarm:
            self.seen.clear()
            self._inner = DETECTORS[self.name][1]()
        else:
            self.seen.append(standard)
        return alarm

    def to_json(self) -> str:
        """Return its state; ``from_json`` gives a detector that goes on in the same way."""
        body = {"schema": _SCHEMA, "name": self.name, "mean": self.mean, "scale": self.scale, "seen": self.seen}
        return json.dumps(body, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Detector":
        """Return a detector from its state.

        Raises
        ------
        TickloomError
            The text is no state of this release's.
        """
        try:
            body = json.loads(text)
            if body.pop("schema") != _SCHEMA:
                raise ValueError("its schema is another")
            return cls(str(body["name"]), float(body["mean"]), float(body["scale"]), [float(it) for it in body["seen"]])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise TickloomError(
                f"detector: what was kept is no state of one ({error}); begin anew with a reference"
            ) from None


def watched(name: str, reference: Floats, later: Floats) -> Bools:
    """Return for each later value whether it was an alarm, bool[n]."""
    detector = Detector.of(name, reference)
    return np.array([detector.update(float(it)) for it in later], np.bool_)
