"""The audit of leakage: whatever happens after a session, nothing that was known or forecast by then may change.

It changes all prices, volumes, scores and dividends after a session, in four ways, and compares bit by bit. What it
cannot see is a source that was corrected later: there the values before the session are wrong already.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from tickloom.errors import TickloomError
from tickloom.forecast.disturbed import CHANGES, Inputs, changed, made_inputs
from tickloom.forecast.features import FeatureFrame, feature_frame
from tickloom.forecast.folds import Plan
from tickloom.forecast.history import Floats
from tickloom.forecast.models import MODELS, Model, make
from tickloom.forecast.models.base import Rows
from tickloom.forecast.news import sentiment_at_close
from tickloom.forecast.walk import Options, walk_forward
from tickloom.market.sessions import day_of

Check = Literal["feature", "forecast", "fit", "walk-forward"]
SMALL: Mapping[str, Any] = {"window": 10, "width": 0.1, "epochs": 2, "shrink": False}
"""Options of networks, for the audit asks nothing of their skill; shrunk to nothing they would hide what they read."""
_TAIL = 60
_AFTER = (-1, 4, 10, 17, 25, 34, 44)
"""Sessions after the fit, at growing distances: what is made once a week or month is caught in its middle."""
T = TypeVar("T")


@dataclass(frozen=True)
class Finding:
    """Something that changed with what came later.

    Attributes
    ----------
    check : str
        ``feature``: its value; ``forecast``: of a model fitted before; ``fit``: of a model fitted to the sessions until
        then; ``walk-forward``: of the evaluation.
    subject : str
        Name of the feature or model.
    change : str
        What was done to the later sessions.
    day : str
        Session after which all was changed.
    detail : str
        What was seen.
    """

    check: Check
    subject: str
    change: str
    day: str
    detail: str


FeaturesOf = Callable[[Inputs], FeatureFrame]
Walk = Callable[[FeatureFrame, Sequence[str], Plan], pd.DataFrame]
Factory = Callable[[], Model]
Worlds = Mapping[int, Mapping[str, FeatureFrame | str]]
"""By last session that is as it was, and change: the features, or why there are none."""


def features_of(inputs: Inputs) -> FeatureFrame:
    """Return the features of this package, with sentiment as it was known at each close."""
    news = sentiment_at_close(inputs.history, inputs.known_us, inputs.score)
    return feature_frame(inputs.history, extra=news)


def small_models(
    horizon: int = 2, names: Sequence[str] = (), given: Options | None = None
) -> tuple[dict[str, Factory], list[str]]:
    """Return how to make each model, by default all, small where it can be, and sentences about those left out.

    Parameters
    ----------
    given
        Options by model's name, such as the ``weights`` of a pretrained one, which is left out without them.
    """
    found: dict[str, Factory] = {}
    notes: list[str] = []
    for name in names or MODELS:
        own = (given or {}).get(name)
        try:
            options = own or (SMALL if make(name, horizon).random else {})
            make(name, horizon, **options)
        except TickloomError as error:
            if names or own:
                raise
            notes.append(f"{name} is left out: {error}")
            continue
        found[name] = lambda name=name, options=options: make(name, horizon, **options)  # type: ignore[misc]
    return found, notes


def audit(
    inputs: Inputs | None = None,
    *,
    features: FeaturesOf = features_of,
    models: Mapping[str, Factory] | None = None,
    walk: Walk | None = walk_forward,
    walked: Sequence[str] = ("ar1", "ridge"),
    horizon: int = 2,
    seed: int = 0,
    report: Callable[[str], None] | None = None,
) -> list[Finding]:
    """Return what changes at or before a session when the sessions after it do; nothing where nothing leaks.

    Parameters
    ----------
    inputs
        By default a made series of 620 sessions.
    features
        Makes the features of inputs.
    models
        Makers of models by name, by default all of ``MODELS``, networks as small as ``SMALL``; each is fitted
        five times.
    walk
        The evaluation; None leaves it out.
    walked
        Models that the evaluation runs.
    report
        Told what is looked at next.

    Returns
    -------
    list of Finding
        One for each subject and check, of the first session where it was seen.
    """
    tell = report or (lambda text: None)
    given = inputs or made_inputs(seed=seed)
    tell("features")
    frame, n = features(given), len(given.history)
    stop = n - _TAIL
    worlds: Worlds = {last: _worlds(features, given, last, seed) for last in (stop + it for it in _AFTER)}
    found = list(_of_features(frame, worlds))
    for name, maker in (small_models(horizon)[0] if models is None else models).items():
        tell(name)
        found += _of_model(name, maker, frame, worlds, stop)
    if walk is not None:
        tell("walk-forward")
        found += _of_walk(walk, walked, frame, Plan(2, 12, horizon), features, given, seed)
    return list({(it.check, it.subject): it for it in reversed(found)}.values())[::-1]


def _worlds(features: FeaturesOf, inputs: Inputs, last: int, seed: int) -> dict[str, FeatureFrame | str]:
    return {name: _attempt(features, it) for name, it in changed(inputs, last, seed).items()}


def _attempt(function: Callable[..., T], *given: Any) -> T | str:
    """Return what the function returns, or the sentence with which it fails, which is a difference too."""
    try:
        return function(*given)
    except TickloomError as error:
        return str(error)


def _day(frame: FeatureFrame, row: int) -> str:
    return day_of(int(frame.history.day[row])).isoformat()


def _differ(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return where the bits of float64 arrays of one shape differ; all NaN are one."""
    bits, others = (np.ascontiguousarray(it).view(np.int64) for it in (first, second))
    return np.asarray((bits != others) & ~(np.isnan(first) & np.isnan(second)))


def _of_features(frame: FeatureFrame, worlds: Worlds) -> Iterator[Finding]:
    for last, changes in worlds.items():
        for change, other in changes.items():
            if isinstance(other, str):
                yield Finding("feature", "all", change, _day(frame, last), other)
                continue
            differ = _differ(
                np.ascontiguousarray(frame.values[: last + 1]), np.ascontiguousarray(other.values[: last + 1])
            )
            for column in np.flatnonzero(differ.any(axis=0)):
                row = int(np.flatnonzero(differ[:, column])[-1])
                values = f"{frame.values[row, column]:.6g} became {other.values[row, column]:.6g}"
                yield Finding(
                    "feature", frame.names[column], change, _day(frame, last), f"{_day(frame, row)}: {values}"
                )


def _of_model(name: str, maker: Factory, frame: FeatureFrame, worlds: Worlds, stop: int) -> Iterator[Finding]:
    model = maker().fit(frame.between(0, stop))
    for last, changes in worlds.items():
        rows = np.arange(stop - 1, last + 1)
        expected = model.predict(frame, rows).mean
        for change, other in changes.items():
            if isinstance(other, str):
                yield Finding("forecast", name, change, _day(frame, last), other)
                continue
            found = _attempt(lambda it: model.predict(it, rows).mean, other)  # noqa: B023
            if detail := _difference(frame, rows, expected, found):
                yield Finding("forecast", name, change, _day(frame, last), detail)
            if last == stop - 1:
                again = _attempt(lambda it: maker().fit(it.between(0, stop)).predict(frame, rows).mean, other)  # noqa: B023
                if detail := _difference(frame, rows, expected, again):
                    yield Finding("fit", name, change, _day(frame, last), detail)


def _difference(frame: FeatureFrame, rows: Rows, expected: Floats, found: Floats | str) -> str:
    if isinstance(found, str):
        return found
    at = np.argwhere(_differ(expected, found))
    if not len(at):
        return ""
    row, ahead = at[0]
    return (
        f"from {_day(frame, int(rows[row]))}, {ahead + 1} ahead: "
        f"{expected[row, ahead]:.9g} became {found[row, ahead]:.9g}"
    )


def _of_walk(
    walk: Walk, models: Sequence[str], frame: FeatureFrame, plan: Plan, features: FeaturesOf, inputs: Inputs, seed: int
) -> Iterator[Finding]:
    """Change what comes after the first and the middle cutoff of each fold; the series keeps its length."""
    expected = walk(frame, models, plan)
    cutoffs = expected.groupby("fold")["cutoff"].agg(["min", "median"])
    for moment in sorted(set(cutoffs.to_numpy().ravel())):
        day = int(moment.astype("datetime64[D]").astype(int))
        last = int(np.searchsorted(frame.history.day, day))
        for change in CHANGES[1:]:
            other = _attempt(features, changed(inputs, last, seed)[change])
            found = other if isinstance(other, str) else _attempt(walk, other, models, plan)
            for name, before in expected[expected["cutoff"] <= moment].groupby("model"):
                if isinstance(found, str):
                    yield Finding("walk-forward", str(name), change, _day(frame, last), found)
                    continue
                after = found[(found["cutoff"] <= moment) & (found["model"] == name)]
                if detail := _unlike(before, after):
                    yield Finding("walk-forward", str(name), change, _day(frame, last), detail)


def _unlike(before: pd.DataFrame, after: pd.DataFrame) -> str:
    keys = ["fold", "seed", "cutoff", "h"]
    first, second = (it.sort_values(keys).reset_index(drop=True) for it in (before, after))
    if not first[keys].equals(second[keys]):
        return f"{len(first)} forecasts became {len(second)} of other sessions"
    at = np.flatnonzero(first["y_hat"].to_numpy() != second["y_hat"].to_numpy())
    if not len(at):
        return ""
    row, other = first.iloc[at[0]], second["y_hat"].iloc[at[0]]
    return f"fold {row['fold']}, from {row['cutoff']:%Y-%m-%d}, {row['h']} ahead: {row['y_hat']:.9g} became {other:.9g}"
