"""A whole evaluation: walk-forward, intervals, scores, coverage; and the file that programs read."""

import dataclasses
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tickloom import __version__
from tickloom.errors import TickloomError
from tickloom.files import write_whole
from tickloom.forecast.accuracy import MISLEADING, score
from tickloom.forecast.coverage import coverage, quantile_scores
from tickloom.forecast.explanation import Explanations, summarise
from tickloom.forecast.features import VERSION as FEATURES_VERSION
from tickloom.forecast.features import FeatureFrame, feature_frame
from tickloom.forecast.folds import Plan
from tickloom.forecast.history import History
from tickloom.forecast.intervals import CALIBRATION, with_intervals, with_volatility
from tickloom.forecast.models import remark
from tickloom.forecast.plain import columns, plain, shortened
from tickloom.forecast.residuals import LEVELS, Method, labels
from tickloom.forecast.smoothing import smoothed_paths
from tickloom.forecast.strategy import COST, strategies
from tickloom.forecast.walk import Explain, Options, Report, folds_of, last_block, walk_forward
from tickloom.market.sessions import day_of

FILE = "evaluation.json"
VERSION = 1
FOLDS, LAST = "folds", "last"
_BOUNDS = [name for pair in labels(LEVELS) for name in pair]
COLUMNS = ["unique_id", "ds", "cutoff", "model", "y", "y_hat", *_BOUNDS, "h", "fold", "seed"]
"""Of the forecasts in the file."""
_PEERS = (
    "arch", "chronos-forecasting", "lightgbm", "mapie", "numpy", "pandas", "scikit-learn", "scipy", "statsforecast",
    "statsmodels", "torch", "transformers", "utilsforecast",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was found.

    Attributes
    ----------
    long : DataFrame
        Forecasts in ``walk_forward``'s form with ``volatility`` and intervals.
    scores : DataFrame
        ``accuracy.Scores.table`` with ``block``: ``folds``, or ``last`` for the block kept for the end; and
        ``pinball``, ``crps``, ``coverage_80`` and ``coverage_95``, of the cutoffs that have intervals.
    coverage, strategies : DataFrame
        Of ``coverage.coverage`` and ``strategy.strategies``.
    histories : tuple of History
    features : dict of str to tuple of str
        Names by ticker.
    plan : Plan
    method : str
        Of the intervals.
    cost : float
        Basis points a side.
    options : mapping
        Of models, by their name, where they are not the usual ones.
    explanations : Explanations or None
        Of the folds; None where they were not asked for.
    """

    long: pd.DataFrame
    scores: pd.DataFrame
    coverage: pd.DataFrame
    strategies: pd.DataFrame
    histories: tuple[History, ...]
    features: Mapping[str, tuple[str, ...]]
    plan: Plan
    method: Method
    cost: float
    options: Options
    explanations: Explanations | None = None

    @property
    def remarks(self) -> dict[str, str]:
        """What must be said beside the verdicts of some models, by their name."""
        return {name: said for name in self.scores["model"].unique() if (said := remark(name))}

    def summary(self, protocols: pd.DataFrame | None = None) -> dict[str, Any]:
        """Return all but the forecasts; what is unknown is None, never NaN.

        Parameters
        ----------
        protocols
            Of ``protocols.reproduce``.
        """
        body = {
            "version": VERSION,
            "misleading": [MISLEADING],
            "remarks": self.remarks,
            "plan": dataclasses.asdict(self.plan),
            "intervals": {"method": self.method, "levels": list(LEVELS)},
            "cost_basis_points": self.cost,
            "options": self.options,
            "histories": [_about(it, self.features[it.ticker]) for it in self.histories],
            "versions": versions(),
            "scores": self.scores.to_dict("records"),
            "coverage": self.coverage.to_dict("records"),
            "strategies": self.strategies.to_dict("records"),
            "explanations": None if self.explanations is None else self.explanations.as_json(),
            "protocols": None if protocols is None else protocols.to_dict("records"),
        }
        found: dict[str, Any] = plain(body)
        return found

    def as_json(self, protocols: pd.DataFrame | None = None) -> dict[str, Any]:
        """Return what ``evaluation.json`` holds.

        Returns
        -------
        dict
            The summary; ``forecasts``, one list for each of ``COLUMNS``, prices with ``plain.DIGITS`` digits; and below
            ``explanations``, ``fits``: one list for each of ``explanation.COLUMNS``.
        """
        forecasts = self.long.assign(
            **{name: self.long[name].dt.strftime("%Y-%m-%d") for name in ("ds", "cutoff")},
            **{name: shortened(self.long[name].to_numpy(np.float64)) for name in ("y", "y_hat", *_BOUNDS)},
        )[COLUMNS]
        body = {**self.summary(protocols), "forecasts": columns(forecasts)}
        if self.explanations is not None:
            body["explanations"]["fits"] = columns(self.explanations.long)
        return body

    def write(self, folder: Path, protocols: pd.DataFrame | None = None) -> Path:
        """Write ``evaluation.json`` into a folder and return its path."""
        path = folder / FILE
        write_whole(path, json.dumps(self.as_json(protocols), allow_nan=False, separators=(",", ":")) + "\n")
        return path


def evaluate(
    histories: Sequence[History],
    models: Sequence[str],
    plan: Plan,
    *,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    jobs: int = 1,
    method: Method = "enbpi",
    cost: float = COST,
    final: bool = False,
    options: Options | None = None,
    smooth: Sequence[str] = (),
    explain: bool = False,
    report: Report | None = None,
) -> Evaluation:
    """Evaluate models on tickers.

    Parameters
    ----------
    final
        Touch the block that the plan keeps for the end.
    options
        Of models, by their name, such as a network's ``epochs``.
    smooth
        Models whose forecasts are also shown as an exponential mean over the path, as ``NAME_smoothed``.
    explain
        Tell what each fit of the folds goes by; for a network, that takes about as long as its training.
    report
        Told of each fit, with the ticker before the model's name; counts begin anew with each ticker.

    Raises
    ------
    TickloomError
        A ticker comes twice or has too few sessions, the folds are too few for intervals, or ``final`` with no block
        kept.
    """
    tickers = [it.ticker for it in histories]
    if len(set(tickers)) != len(tickers):
        raise TickloomError(f"tickers {', '.join(tickers)}: one comes twice; give each a file of its own")
    frames = [feature_frame(it) for it in histories]
    for frame in frames:  # refused before the first fit
        if final:
            plan.last(len(frame))
        folds_of(frame, models, plan, options or {})
    _refuse_few(plan, method, final)
    parts, features = [], {}
    explanations: list[pd.DataFrame] = []
    given = explanations.append if explain else None
    for frame in frames:
        features[frame.history.ticker] = frame.names
        parts.append(_forecast(frame, models, plan, seeds, jobs, final, options, report, given))
        parts += [smoothed_paths(parts[-1], name) for name in smooth]
    long = with_intervals(with_volatility(pd.concat(parts, ignore_index=True), histories), method)
    last = long["fold"] > plan.folds
    blocks = [_scores(long[~last]).assign(block=FOLDS)]
    if final:
        blocks.append(_scores(long[last]).assign(block=LAST))
    return Evaluation(
        long, pd.concat(blocks, ignore_index=True), coverage(long), strategies(long, cost), tuple(histories), features,
        plan, method, cost, options or {}, summarise(explanations) if explain else None,
    )  # fmt: skip


def _refuse_few(plan: Plan, method: Method, final: bool) -> None:
    """Raise a TickloomError where no cutoff would have an interval."""
    folds, last = plan.folds * plan.test, (plan.holdout - plan.horizon + 1) if final else 0
    known = (folds if last else folds - plan.test) if method == "split" else folds + last - 1
    if known < CALIBRATION:
        raise TickloomError(
            f"{plan.folds} folds of {plan.test} sessions are too few for intervals ({method}): they need {CALIBRATION} "
            f"errors of earlier cutoffs and would have {known}; take more or longer folds (--folds, --test)"
        )


def _forecast(
    frame: FeatureFrame, models: Sequence[str], plan: Plan, seeds: Sequence[int], jobs: int, final: bool,
    options: Options | None, report: Report | None, explain: Explain | None,
) -> pd.DataFrame:  # fmt: skip
    def tell(done: int, of: int, last: str) -> None:
        if report:
            report(done, of, f"{frame.history.ticker} {last}")

    found = walk_forward(frame, models, plan, seeds=seeds, jobs=jobs, options=options, report=tell, explain=explain)
    if not final:
        return found
    kept = last_block(frame, models, plan, seeds=seeds, jobs=jobs, options=options, report=tell)
    return pd.concat([found, kept], ignore_index=True)


def _scores(long: pd.DataFrame) -> pd.DataFrame:
    table = score(long).table
    key = ["unique_id", "model", "h"]
    given = long[long["lo-80"].notna() & long["y"].notna()]
    if given.empty:
        return table.assign(**dict.fromkeys(("pinball", "crps", "coverage_80", "coverage_95"), np.nan))
    held = {f"coverage_{it}": given["y"].between(given[f"lo-{it}"], given[f"hi-{it}"]) for it in (80, 95)}
    shares = given.assign(**held).groupby(key)[list(held)].mean().reset_index()
    return table.merge(quantile_scores(given), on=key, how="left").merge(shares, on=key, how="left")


def to_utilsforecast(long: pd.DataFrame, seed: int | None = None) -> pd.DataFrame:
    """Return forecasts with a column for each model, as utilsforecast reads them.

    Parameters
    ----------
    long : DataFrame
        Of ``Evaluation.long`` or of ``evaluation.json``.
    seed
        Whose forecasts; by default each model's first.

    Returns
    -------
    DataFrame
        ``unique_id, ds, cutoff, y``, then for each model ``NAME, NAME-lo-80, NAME-hi-80, NAME-lo-95, NAME-hi-95``.
        The horizon follows from ``ds`` and ``cutoff``; every further column would be taken for a model.
    """
    first = long.groupby("model")["seed"].transform("min")
    kept = long[long["seed"] == (first if seed is None else np.minimum(np.maximum(first, seed), _last_seed(long)))]
    key = ["unique_id", "ds", "cutoff"]
    values = ["y_hat", *(name for name in _BOUNDS if name in kept)]
    wide = kept.pivot(index=key, columns="model", values=values)
    order = pd.MultiIndex.from_tuples([(value, model) for model in kept["model"].unique() for value in values])
    wide = wide[order]
    wide.columns = pd.Index([model if value == "y_hat" else f"{model}-{value}" for value, model in order.tolist()])
    outcomes = kept.drop_duplicates(key).set_index(key)[["y"]]
    return outcomes.join(wide).sort_index().reset_index()


def _last_seed(long: pd.DataFrame) -> "pd.Series[int]":
    """Return each row's greatest seed of its model: models without chance have one."""
    return long.groupby("model")["seed"].transform("max")


def read_forecasts(path: Path) -> pd.DataFrame:
    """Return the forecasts of an ``evaluation.json``: the columns ``COLUMNS``, dates as datetime64."""
    body = json.loads(path.read_text(encoding="utf-8"))
    found = pd.DataFrame(body["forecasts"], columns=COLUMNS)
    dated = {name: pd.to_datetime(found[name]).astype("datetime64[s]") for name in ("ds", "cutoff")}
    return found.assign(**dated).astype(dict.fromkeys(("y", "y_hat", *_BOUNDS), np.float64))


def versions() -> dict[str, str]:
    """Return the versions of Tickloom, Python and of the libraries that figures depend on, where installed."""
    found = {"tickloom": __version__, "python": platform.python_version(), "features": str(FEATURES_VERSION)}
    for name in _PEERS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _about(history: History, features: Sequence[str]) -> dict[str, Any]:
    return {
        "ticker": history.ticker,
        "market": history.market,
        "origin": history.origin,
        "sessions": len(history),
        "first": day_of(int(history.day[0])),
        "last": day_of(int(history.day[-1])),
        "sha256": history.sha256,
        "notes": list(history.notes),
        "features": list(features),
    }
