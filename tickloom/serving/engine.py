"""Forecasts of many tickers at a time: models with the same graph run as one batch."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import structlog

from tickloom.errors import TickloomError
from tickloom.experiment.adaptation import Misses
from tickloom.forecast.history import Floats
from tickloom.forecast.models.onnx import OnnxModel, windows_of
from tickloom.serving.cutoffs import Cutoff, Cutoffs, TooEarlyError
from tickloom.serving.packages import Key, Package, Packages
from tickloom.serving.wire import Asked, Made, Wanted

log = structlog.get_logger(__name__)
Window = npt.NDArray[np.float32]
_USUAL = 250  # sessions over which a feature's mean stands for its absence
_KEPT = 10_000
_WORTH_THREADS = 32  # forecasts below which handing over costs more than it gains
_PART = 8  # windows at a time on a processor: what a network makes of them between its layers still fits its cache


@dataclass(frozen=True, eq=False)
class Prepared:
    """A version at a cutoff, with all that does not change until the next close.

    Attributes
    ----------
    window : float32[window, k] or None
        What its graph reads; None where it has none.
    fixed : float64[H] or None
        The forecast itself, of a model without a graph: it is the same whenever it is asked for.
    scale : float64[H]
        What one unit of the model's errors is in log-return.
    features : str
        SHA-256 of what it reads.
    """

    package: Package
    cutoff: Cutoff
    window: Window | None
    fixed: Floats | None
    scale: Floats
    days: list[int]
    features: str


class Engine:
    """Forecasts by loaded versions from the last closes.

    Parameters
    ----------
    packages
    cutoffs
    threads
        In which graphs run when much is asked for at once; onnxruntime needs no lock of Python's.
    part
        Windows that a graph is given at a time.
    """

    def __init__(self, packages: Packages, cutoffs: Cutoffs, threads: int = 1, part: int = _PART) -> None:
        self._part = part
        self._threads = ThreadPoolExecutor(threads, "graphs") if threads > 1 else None
        self._packages, self._cutoffs = packages, cutoffs
        self._prepared: dict[tuple[Key, int], Prepared] = {}

    def prepare(self, wanted: Sequence[Wanted]) -> list[str]:
        """Load versions and forecast once by each; return for each what is wrong, empty where it is ready."""
        found = self.forecast([{**it, "levels": [0.8, 0.95], "as_of": None, "why": False} for it in wanted])
        return [it.get("refused", "") for it in found]

    def adapt(self, misses: Callable[[str, str], Mapping[int, Misses]]) -> None:
        """Have intervals follow what matured.

        Parameters
        ----------
        misses
            From ticker and model to what its intervals are to miss, by horizon and level.

        Raises
        ------
        TickloomError
            It cannot be read; what is known stays.
        """
        for package in self._packages.held():
            package.adapt(misses(package.manifest.ticker, package.manifest.model))

    def ready(self, asked: Sequence[Asked]) -> bool:
        """Return whether all of it can be forecast without reading or loading anything first."""
        held = self._cutoffs.held
        return all(
            it["as_of"] is None
            and (cutoff := held.get((it["market"], it["ticker"]))) is not None
            and (known := self._prepared.get(((it["market"], it["ticker"], it["version"]), cutoff.day))) is not None
            and known.cutoff is cutoff
            for it in asked
        )

    def closes(self) -> list[list[Any]]:
        """Return market, ticker, last session (days since 1970) and its close of all tickers asked for so far."""
        return [[*key, it.day, float(it.history.close[-1])] for key, it in list(self._cutoffs.held.items())]

    def forecast(self, asked: Sequence[Asked]) -> list[Made]:
        """Return a forecast, or why there is none, for each that is asked for; one does not spoil the others."""
        made: list[Made | None] = [None] * len(asked)
        ready: dict[int, Prepared] = {}
        for at, it in enumerate(asked):
            try:
                ready[at] = self._prepare(it)
            except TooEarlyError as error:
                made[at] = {"refused": str(error), "field": "as_of"}
            except TickloomError as error:
                made[at] = {"refused": str(error)}
            except Exception as error:
                log.exception("a forecast failed", **{name: it[name] for name in ("market", "ticker", "version")})
                made[at] = {"refused": f"{type(error).__name__} while {it['ticker']} was prepared"}
        returns = self._returns(ready)
        for at, prepared in ready.items():
            found = returns[at]
            if isinstance(found, str):
                made[at] = {"refused": found}
            else:
                made[at] = self._made(prepared, found, asked[at])
        return [it for it in made if it is not None]

    def _prepare(self, asked: Asked) -> Prepared:
        key = (asked["market"], asked["ticker"], asked["version"])
        cutoff = self._cutoffs.get(asked["market"], asked["ticker"], asked["as_of"])
        place = (key, cutoff.day)
        known = self._prepared.get(place)
        if known is None or known.cutoff is not cutoff:
            known = prepared(self._packages.get(key), cutoff)
            while len(self._prepared) >= _KEPT:
                self._prepared.pop(next(iter(self._prepared)))
            self._prepared[place] = known
        return known

    def _returns(self, ready: dict[int, Prepared]) -> dict[int, Floats | str]:
        """Return log-returns, float64[H], by place; a sentence where a graph failed."""
        found: dict[int, Floats | str] = {}
        groups: dict[str, list[int]] = defaultdict(list)
        for at, it in ready.items():
            if it.fixed is not None:
                found[at] = it.fixed
            else:
                groups[it.package.graph].append(at)
        size = self._part
        parts = [places[start : start + size] for places in groups.values() for start in range(0, len(places), size)]
        several = sum(map(len, parts)) >= _WORTH_THREADS and len(parts) > 1
        run = self._threads.map if several and self._threads is not None else map
        for places, rows in zip(parts, run(lambda some: _run([ready[at] for at in some]), parts), strict=True):
            found |= zip(places, rows, strict=True)
        return found

    def _made(self, it: Prepared, returns: Floats, asked: Asked) -> Made:
        if not np.isfinite(returns).all():
            return {"refused": f"{it.package.manifest.model} gives no number for {asked['ticker']}"}
        manifest, close = it.package.manifest, float(it.cutoff.history.close[-1])
        lower: list[list[float]] = []
        upper: list[list[float]] = []
        bounds = it.package.bounds(tuple(asked["levels"]))
        if bounds is not None and np.isfinite(it.scale).all():
            prices = close * np.exp(returns[:, None, None] + it.scale[:, None, None] * bounds)
            lower, upper = prices[..., 0].T.tolist(), prices[..., 1].T.tolist()
        return {
            "model": manifest.model,
            "version": it.package.key[2],
            "verdict": manifest.verdict,
            "remark": "; ".join(filter(None, (manifest.remark, it.package.too_much(asked["levels"])))),
            "learned_to": manifest.last_day,
            "cutoff": it.cutoff.day,
            "close": close,
            "days": it.days,
            "price": (close * np.exp(returns)).tolist(),
            "levels": asked["levels"],
            "lower": lower,
            "upper": upper,
            "features": it.features,
            "why": occlusion(it, returns) if asked["why"] else None,
        }


def _run(some: Sequence[Prepared]) -> Sequence[Floats | str]:
    """Return what one graph gives, or a sentence for each where it fails."""
    model = some[0].package.model
    assert isinstance(model, OnnxModel)
    try:
        return list(model.run(np.stack([it.window for it in some])))  # type: ignore[misc]
    except Exception as error:  # onnxruntime's errors have no class of their own
        log.exception("a graph failed", model=model.name)
        return [f"{model.name}: onnxruntime failed ({type(error).__name__})"] * len(some)


def prepared(package: Package, cutoff: Cutoff) -> Prepared:
    """Return what a version reads at a cutoff.

    Raises
    ------
    TickloomError
        The history is too short for it or lacks what its features need.
    """
    model, horizon = package.model, package.model.horizon
    frame = cutoff.frame(package.manifest.features)
    row = len(frame) - 1
    window: Window | None = None
    fixed: Floats | None = None
    if isinstance(model, OnnxModel):
        model.check_features(frame)
        model.checked_rows(frame, [row])
        window = windows_of(model, frame.values, row)
        if not np.isfinite(window).all():
            frame.refuse_unknown()
            raise TickloomError(f"{frame.history.ticker}: a feature of {model.name} is no number at the last close")
        digest = hashlib.sha256(window.tobytes())
    else:
        fixed = model.predict(frame).mean[0]
        digest = hashlib.sha256(np.ascontiguousarray(frame.values).tobytes())
        digest.update(np.ascontiguousarray(frame.history.close).tobytes())
    unit = cutoff.volatility if package.errors is not None and package.errors.scaled else None
    scale = np.ones(horizon) if unit is None else unit * np.sqrt(np.arange(1, horizon + 1))
    days = cutoff.days(horizon).tolist()
    return Prepared(package, cutoff, window, fixed, scale, days, digest.hexdigest())


def occlusion(it: Prepared, returns: Floats) -> dict[str, float] | None:
    """Return by how much each feature moves the forecast of the next session, in log-return.

    It is the forecast less the one with the feature's whole window at its mean over the last 250 sessions (occlusion;
    Zeiler and Fergus 2014, ECCV). Interactions are not shared out, so the parts need not add up to the forecast. None
    where the model reads no features through a graph.
    """
    model = it.package.model
    if it.window is None or not isinstance(model, OnnxModel):
        return None
    usual = it.cutoff.frame(it.package.manifest.features).values[-_USUAL:]
    means = np.nanmean(usual, axis=0).astype(np.float32)
    windows = np.repeat(it.window[None], len(means), axis=0)
    for column, mean in enumerate(means):
        windows[column, :, column] = mean
    without = model.run(windows)[:, 0]
    moved = {name: float(returns[0] - value) for name, value in zip(model.features, without, strict=True)}
    return dict(sorted(moved.items(), key=lambda pair: -abs(pair[1])))
