"""The trained models that a process has loaded: each version once, from the registry through a folder of its own."""

import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tickloom.errors import TickloomError
from tickloom.experiment.adaptation import Misses, applied
from tickloom.forecast import package
from tickloom.forecast.history import Floats
from tickloom.forecast.models import Model
from tickloom.forecast.models.onnx import OnnxModel
from tickloom.forecast.package import Manifest
from tickloom.forecast.registry import ARTIFACTS, Registry
from tickloom.forecast.residuals import ConformalResiduals

Key = tuple[str, str, str]
"""Market, ticker and version."""


@dataclass(eq=False)
class Package:
    """A version that is ready to forecast.

    Attributes
    ----------
    key : tuple of str
    model : Model
    manifest : Manifest
    errors : ConformalResiduals or None
        With them its forecasts have intervals.
    graph : str
        SHA-256 of the ONNX file, empty where it has none: versions with the same one are one model, and run together.
    """

    key: Key
    model: Model
    manifest: Manifest
    errors: ConformalResiduals | None
    graph: str
    _moved: ConformalResiduals | None = None
    _bounds: dict[tuple[float, ...], Floats] = field(default_factory=dict, repr=False)

    def adapt(self, misses: Mapping[int, Misses]) -> None:
        """Have intervals miss what their outcomes so far ask for, by horizon and level."""
        if self.errors is not None:
            moved = applied(self.errors, misses)
            if self._moved is None or not np.array_equal(moved.misses, self._moved.misses):
                self._moved = moved
                self._bounds = {}

    def too_much(self, levels: Sequence[float]) -> str:
        """Return what must be said where a level is asked for that the errors so far are too few for."""
        if self.errors is None or not levels:
            return ""
        known = min(len(it) for it in self.errors.scores)
        most = 1 - 2 / (known + 1)
        if max(levels) <= most:
            return ""
        return f"{known} past errors bear intervals of up to {100 * most:.4g} %; wider ones end at the largest of them"

    def bounds(self, levels: tuple[float, ...]) -> Floats | None:
        """Return what is added to a forecast log-return, float64[H, levels, 2], in the unit of the errors."""
        if self.errors is None or not levels:
            return None
        if levels not in self._bounds:
            self._bounds[levels] = (self._moved or self.errors).bounds(levels)
        return self._bounds[levels]


class Packages:
    """Versions by key, the least recently used given up first.

    Parameters
    ----------
    registry
        Where they are kept.
    folder
        Where what was fetched stays, so that another process or the next start need not fetch it.
    most
        Versions in memory.
    """

    def __init__(self, registry: Registry, folder: Path, most: int = 2_000) -> None:
        self._registry, self._folder, self._most = registry, folder, most
        self._held: OrderedDict[Key, Package] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> Package:
        """Return a version, which is fetched and loaded where it is not there yet.

        Raises
        ------
        TickloomError
            The registry has no such version or does not answer, or what it holds cannot be loaded.
        """
        found = self._held.get(key)
        if found is None:
            with self._lock:
                found = self._held.get(key) or self._load(key)
                self._held[key] = found
                while len(self._held) > self._most:
                    self._held.popitem(last=False)
        else:
            self._held.move_to_end(key)
        return found

    def held(self) -> list[Package]:
        """Return the versions that are in memory."""
        with self._lock:
            return list(self._held.values())

    def _load(self, key: Key) -> Package:
        market, ticker, version = key
        place = self._folder / market / ticker / version
        if not (place / package.MANIFEST).is_file():
            self._fetch(key, place)
        model, manifest = package.read(place)
        if (manifest.market, manifest.ticker) != (market, ticker):
            raise TickloomError(
                f"version {version} of {ticker} on {market} holds a model of {manifest.ticker} on {manifest.market}; "
                "register the one that belongs to it"
            )
        graph = model.graph_sha256 if isinstance(model, OnnxModel) else ""
        return Package(key, model, manifest, package.read_errors(place), graph)

    def _fetch(self, key: Key, place: Path) -> None:
        """Bring a version's files; they appear in their place all at once."""
        market, ticker, version = key
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".") as part:
            self._registry.pull(market, ticker, Path(part), version)
            try:
                (Path(part) / ARTIFACTS).rename(place)
            except OSError:  # another process was faster, or one was killed before it was whole
                if not (place / package.MANIFEST).is_file():
                    shutil.rmtree(place, ignore_errors=True)
                    (Path(part) / ARTIFACTS).rename(place)
