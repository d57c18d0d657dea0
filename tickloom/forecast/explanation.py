"""What fitted models go by: each feature's importance in every fold, and whether the folds agree about it.

A ranking of features is read as a finding, so it needs what every finding here needs: how far it holds. Each fit of a
walk-forward is explained on its own test cutoffs, and the rankings are compared pair by pair. Permutation importance
looks at outcomes of these cutoffs: it is for reports, and nothing here goes back into a fit.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from tickloom.forecast.features import FeatureFrame
from tickloom.forecast.folds import Fold
from tickloom.forecast.history import Floats
from tickloom.forecast.models.base import GRADIENTS, PERMUTATION, Model

COLUMNS = ["unique_id", "model", "method", "fold", "seed", "feature", "value"]
TOP = 10
"""Features that count as leading."""
LOW = 0.5
"""Rank correlation below which a ranking is called unstable: two fits share less than a quarter of its variance."""
MEANING: Mapping[str, str] = {
    GRADIENTS: "how far the feature's window moves the mean forecast, in log-return; absolute values, averaged",
    PERMUTATION: "growth of the mean squared error of log-returns when the feature's windows are shuffled among the "
    "test cutoffs; below 0 where shuffling helped",
}
NOTE = (
    "Each fit is explained on its own test cutoffs. Permutation importance looks at their outcomes, so it is a report "
    "and never chooses features. Features that say nearly the same share their importance. Folds of an expanding plan "
    "learn from much the same sessions, so their agreement is flattered."
)
LEGEND = (
    f"Beside a feature: in how many fits it is among the leading {TOP}. Stability is the mean rank correlation of the "
    "features' importance over pairs of fits: 1 where every fold and seed ranks them alike, 0 by chance. Where it is "
    f"low, below {LOW:g}, another year or another seed names other features: at most one that leads in every fit is "
    "worth a thought, and none is a cause."
)
_KEY = ["unique_id", "model", "method"]
_MEASURES = ["fits", "silent", "pairs", "spearman", "overlap", "overlap_chance", "seed_pairs", "seed_spearman"]
_RANKED = ["feature", "mean", "share", "share_low", "share_high", "rank", "leads"]


def explained(model: Model, frame: FeatureFrame, fold: Fold, seed: int) -> pd.DataFrame:
    """Return what a fold's fitted model goes by on the fold's test cutoffs, in every way that it has.

    Parameters
    ----------
    model
        Fitted.
    frame
        With the outcomes of the fold's cutoffs; nothing after them is looked at.

    Returns
    -------
    DataFrame
        ``COLUMNS``: a row for each method and feature, none where the model reads no features. ``value`` has the unit
        that ``Model.explain`` says.
    """
    known = frame.first(int(fold.rows[-1]) + 1 + model.horizon)
    rows = [
        (frame.history.ticker, model.name, method, fold.number, seed, feature, value)
        for method in model.explained_by
        for feature, value in model.explain(known, fold.rows, method).items()
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


@dataclass(frozen=True, eq=False)
class Explanations:
    """The importance of features over all fits of a walk-forward.

    Attributes
    ----------
    long : DataFrame
        ``COLUMNS``, a row for each fit, method and feature.
    importance : DataFrame
        A row for each ``unique_id, model, method, feature``: ``mean`` of the values; ``share``, the mean over fits of
        the value divided by the sum of the fit's absolute values, so that a wild fold counts no more than a calm one,
        with ``share_low`` and ``share_high``, the least and the greatest of a fit; ``rank`` by ``share`` from 1;
        ``leads``, in how many fits it is among the at most ``TOP`` features with the greatest values above 0.
    stability : DataFrame
        A row for each ``unique_id, model, method``: ``fits``, of which ``silent`` rank nothing (a network that was
        shrunk to no forecast); ``pairs`` of the others; ``spearman``, the pairs' mean rank correlation, 1 where all
        rank alike and 0 by chance; ``overlap``, the mean Jaccard index of the features that lead in both, and
        ``overlap_chance``, what as many features drawn at random would have; ``seed_pairs`` and ``seed_spearman``,
        the same of pairs that differ in the seed alone. NaN where no pair is.
    """

    long: pd.DataFrame
    importance: pd.DataFrame
    stability: pd.DataFrame

    def as_json(self) -> dict[str, Any]:
        """Return all but the single fits; numbers may be NaN."""
        return {
            "note": NOTE,
            "methods": dict(MEANING),
            "stability": self.stability.to_dict("records"),
            "importance": self.importance.to_dict("records"),
        }

    def leading(self, ticker: str, model: str, method: str, count: int = TOP) -> pd.DataFrame:
        """Return the rows of ``importance`` of the first features."""
        it = self.importance
        mine = it[(it["unique_id"] == ticker) & (it["model"] == model) & (it["method"] == method)]
        return mine.nsmallest(count, "rank")

    def sentences(self) -> Iterator[str]:
        """Yield, for each ticker, model and method, what leads and how far that holds; ``LEGEND`` explains it."""
        for row in self.stability.to_dict("records"):
            first = self.leading(row["unique_id"], row["model"], row["method"], 3)
            what = f"{row['unique_id']} {row['model']}, {row['method'].replace('_', ' ')}: "
            if row["silent"] < row["fits"]:
                pairs = zip(first["feature"], first["leads"], strict=True)
                what += ", ".join(f"{name} {leads}/{row['fits']}" for name, leads in pairs) + "; "
            yield what + stability_in_words(row)


def summarise(fits: Sequence[pd.DataFrame]) -> Explanations:
    """Return importance and stability of explanations.

    Parameters
    ----------
    fits : sequence of DataFrame
        Of ``explained``, in any order.
    """
    long = pd.concat(fits, ignore_index=True) if fits else pd.DataFrame(columns=COLUMNS)
    importance, stability = [], []
    for key, group in long.groupby(_KEY, sort=True):
        names = dict(zip(_KEY, map(str, key), strict=True))
        table = group.pivot(index=["fold", "seed"], columns="feature", values="value")[group["feature"].unique()]
        values = table.to_numpy(np.float64)
        importance.append(_importance(values, list(table.columns)).assign(**names))
        folds = [int(fold) for fold, _ in table.index]
        stability.append({**names, **_stability(values, folds)})
    found = pd.concat(importance, ignore_index=True) if importance else pd.DataFrame(columns=[*_KEY, *_RANKED])
    return Explanations(long, found[[*_KEY, *_RANKED]], pd.DataFrame(stability, columns=[*_KEY, *_MEASURES]))


def _importance(values: Floats, names: Sequence[str]) -> pd.DataFrame:
    whole = np.abs(values).sum(axis=1, keepdims=True)
    shares = values / np.where(whole > 0, whole, 1.0)
    found = pd.DataFrame(
        {
            "feature": names,
            "mean": values.mean(axis=0),
            "share": shares.mean(axis=0),
            "share_low": shares.min(axis=0),
            "share_high": shares.max(axis=0),
            "leads": np.bincount([at for row in values for at in _leading(row)], minlength=len(names)),
        }
    )
    ranks = found["share"].rank(ascending=False, method="first").astype(int)
    return found.assign(rank=ranks).sort_values("rank")


def _leading(values: Floats) -> set[int]:
    """Return which of float64[k] are the greatest above 0, ``TOP`` at most."""
    return {int(at) for at in np.argsort(-values, kind="stable")[:TOP] if values[at] > 0}


def _stability(values: Floats, folds: Sequence[int]) -> dict[str, float]:
    """Compare the rows of float64[fits, k] with each other."""
    from scipy.stats import rankdata

    ranks = {at: rankdata(row) for at, row in enumerate(values) if np.ptp(row) > 0}
    pairs = list(combinations(ranks, 2))
    alike = np.array([np.corrcoef(ranks[one], ranks[other])[0, 1] for one, other in pairs])
    seeds = np.array([folds[one] == folds[other] for one, other in pairs], bool)
    tops = {it: _leading(values[it]) for it in ranks}
    sets = [(tops[one], tops[other]) for one, other in pairs if tops[one] or tops[other]]
    shared = [len(one & other) / len(one | other) for one, other in sets]
    chance = [_jaccard_by_chance(values.shape[1], len(one), len(other)) for one, other in sets]
    return {
        "fits": len(values),
        "silent": int((values == 0).all(axis=1).sum()),
        "pairs": len(pairs),
        "spearman": _mean(alike),
        "overlap": _mean(shared),
        "overlap_chance": _mean(chance),
        "seed_pairs": int(seeds.sum()),
        "seed_spearman": _mean(alike[seeds]),
    }


def _mean(values: Sequence[float] | Floats) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _jaccard_by_chance(k: int, one: int, other: int) -> float:
    """Return the mean Jaccard index of two sets of so many of k things, drawn at random."""
    from scipy.stats import hypergeom

    shared = np.arange(min(one, other) + 1)
    return float(np.sum(hypergeom.pmf(shared, k, one, other) * shared / (one + other - shared)))


def stability_in_words(row: Mapping[Any, Any]) -> str:
    """Return what a row of ``stability`` says, for people."""
    fits, silent, pairs = (int(row[name]) for name in ("fits", "silent", "pairs"))
    if silent == fits:
        return f"no feature moves a forecast of its {fits} fits (shrunk to no move), so stability is unknown"
    if not pairs:
        return "stability is unknown, for fewer than two fits rank their features"
    said = f"stability {row['spearman']:.2f} over {pairs} pairs of fits"
    if row["overlap"] == row["overlap"]:  # else no feature has a value above 0 anywhere
        said += f", leading {TOP} shared {row['overlap']:.2f} (by chance {row['overlap_chance']:.2f})"
    if silent:
        said += f"; {silent} of {fits} fits forecast no move and are left out"
    return said + ("; low" if row["spearman"] < LOW else "")
