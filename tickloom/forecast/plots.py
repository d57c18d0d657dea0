"""The pictures of an evaluation, each a PNG for a page that needs no other file."""

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tickloom.forecast.coverage import ALL, REGIMES, probability_of_rise
from tickloom.forecast.models import REFERENCE
from tickloom.forecast.residuals import LEVELS, labels
from tickloom.forecast.strategy import first_seed, hold, sign_strategy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tickloom.forecast.explanation import Explanations

_PALETTE = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c564b", "#7f3c8d", "#11a579", "#f2b701",
    "#a5aa99", "#e73f74",
)  # fmt: skip
_FANS = 4
_BINS = 10
_IN_BIN = 25
_FAR = 1.15
_ACROSS = 5


def embedded(figure: "Figure") -> str:
    """Return a figure as an address that holds the whole PNG."""
    return "data:image/png;base64," + base64.b64encode(png(figure)).decode("ascii")


def png(figure: "Figure") -> bytes:
    """Return a figure as a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def error_by_horizon(scores: pd.DataFrame, ticker: str) -> "Figure":
    """Draw RMSE against sessions ahead as a multiple of the random walk's; what is far above is named and left out."""
    figure, axes = _figure()
    mine = scores[scores["unique_id"] == ticker]
    least = mine.groupby("model", sort=False)["rmsse"].min()
    near = mine[mine["model"].isin(least.index[least <= _FAR])]["rmsse"]
    for model, one in mine.groupby("model", sort=False):
        label = str(model) if not least[model] > _FAR else f"{model}: from {least[model]:.2f}, above"
        axes.plot(one["h"], one["rmsse"], marker="o", markersize=4, label=label, **_style(str(model), _models(mine)))
    low, high = float(near.min()), float(near.max())
    if (least > _FAR).any() and np.isfinite([low, high]).all():  # else nothing could be told apart at the bottom
        margin = 0.1 * max(high - low, 0.01)
        axes.set_ylim(low - margin, high + margin)
    axes.set(xlabel="sessions ahead", ylabel="RMSE / random walk's", title=f"{ticker}: error by horizon")
    axes.set_xticks(sorted(mine["h"].unique()))
    axes.ticklabel_format(axis="y", useOffset=False)
    figure.legend(loc="outside right upper")
    return figure


def fan(long: pd.DataFrame, ticker: str, model: str) -> "Figure":
    """Draw the forecasts of the last cutoffs that do not overlap, with their intervals and what came."""
    figure, axes = _figure()
    mine = long[(long["unique_id"] == ticker) & (long["model"] == model)]
    mine = mine[mine["seed"] == mine["seed"].min()].sort_values(["cutoff", "h"])
    horizon = int(mine["h"].max())
    cutoffs = mine["cutoff"].unique()
    chosen = cutoffs[::-1][: _FANS * horizon : horizon][::-1]
    closes = mine.drop_duplicates("cutoff").set_index("cutoff")["y_cutoff"].iloc[-(_FANS + 3) * horizon - 5 :]
    axes.plot(closes.index, closes, color="black", linewidth=1.2, label="close")
    for number, cutoff in enumerate(chosen):
        one = mine[mine["cutoff"] == cutoff]
        days = [cutoff, *one["ds"]]
        now = float(one["y_cutoff"].iloc[0])
        for level, (low, high), shade in zip(LEVELS, labels(LEVELS), (0.35, 0.15), strict=True):
            name = f"{100 * level:g} %" if number == 0 else None
            axes.fill_between(
                days, [now, *one[low]], [now, *one[high]], color=_PALETTE[0], alpha=shade, label=name, lw=0
            )
        label = model if number == 0 else None
        axes.plot(days, [now, *one["y_hat"]], color=_PALETTE[1], linewidth=1.4, label=label)
        if number == len(chosen) - 1:
            axes.plot(days, [now, *one["y"]], color="black", linewidth=1.2)
    axes.set(ylabel="price", title=f"{ticker}: {model}, the last cutoffs")
    axes.tick_params(axis="x", rotation=30)
    axes.legend()
    return figure


def coverage_by_regime(coverage: pd.DataFrame, h: int = 1) -> "Figure":
    """Draw coverage of each model, pooled and by regime, with its interval, beside what was asked for."""
    figure, panels = _figure(columns=len(LEVELS))
    groups = (ALL, *REGIMES)
    for axes, level in zip(panels, LEVELS, strict=True):
        mine = coverage[(coverage["h"] == h) & (coverage["level"] == level)]
        models = _models(mine)
        for at, model in enumerate(models):
            one = mine[mine["model"] == model].set_index("regime").reindex(groups)
            share = one["coverage"].to_numpy()
            reach = np.vstack([share - one["low"].to_numpy(), one["high"].to_numpy() - share])
            places = np.arange(len(groups)) + (at - (len(models) - 1) / 2) * 0.8 / max(len(models), 1)
            style = _style(model, models)
            axes.errorbar(places, share, np.maximum(reach, 0), fmt="o", markersize=4, label=model, color=style["color"])
        axes.axhline(level, color="black", linewidth=1, linestyle="--")
        axes.set_xticks(range(len(groups)), groups)
        axes.set(ylabel="share inside", title=f"{100 * level:g} % intervals, {h} ahead")
    figure.legend(*panels[-1].get_legend_handles_labels(), loc="outside right upper")
    return figure


def equity(long: pd.DataFrame, ticker: str, cost: float) -> "Figure":
    """Draw the value of following each model's sign after costs, and of holding."""
    figure, axes = _figure()
    mine = first_seed(long[long["unique_id"] == ticker], 1)
    for model in _models(mine):
        found = sign_strategy(mine[mine["model"] == model], cost)
        axes.plot(found.ds, found.value, label=model, **_style(model, _models(mine)))
    held = hold(mine[mine["model"] == _models(mine)[0]], cost)
    axes.plot(held.ds, held.value, color="grey", linewidth=2, alpha=0.6, label="buy and hold")
    axes.set(ylabel="value of 1", title=f"{ticker}: sign strategy, {cost:g} basis points a side")
    axes.tick_params(axis="x", rotation=30)
    figure.legend(loc="outside right upper")
    return figure


def reliability(long: pd.DataFrame) -> "Figure":
    """Draw how often the price rose against the probability that the intervals gave, each model in a panel.

    Bins hold equal numbers of cutoffs, and at least ``_IN_BIN``.
    """
    from matplotlib.figure import Figure

    mine = first_seed(long, 1)
    mine = mine[mine["lo-80"].notna() & (mine["y"] != mine["y_cutoff"])]
    mine = mine.assign(p=probability_of_rise(mine), rose=mine["y"] > mine["y_cutoff"])
    models = _models(mine)
    columns = min(_ACROSS, max(len(models), 1))
    rows = -(-len(models) // columns) or 1
    figure = Figure(figsize=(2.6 * columns, 2.4 * rows + 0.4), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    span = (0.0, 1.0) if mine.empty else tuple(float(it) for it in mine["p"].quantile([0.005, 0.995]))
    base = float(mine["rose"].mean())
    for axes in panels[len(models) :]:
        axes.set_axis_off()
    for axes, model in zip(panels, models, strict=False):
        one = mine[mine["model"] == model]
        bins = pd.qcut(one["p"], max(1, min(_BINS, len(one) // _IN_BIN)), labels=False, duplicates="drop")
        found = one.groupby(bins)[["p", "rose"]].mean()
        axes.plot(span, span, color="grey", linewidth=1, linestyle=":")
        axes.axhline(base, color="grey", linewidth=1)
        axes.plot(found["p"], found["rose"], marker="o", markersize=4, **_style(model, models))
        axes.set_title(model, fontsize="medium")
        _plain(axes)
    figure.suptitle("reliability, 1 session ahead (dotted: what was promised; line: base rate)", fontsize="medium")
    figure.supxlabel("probability of a rise", fontsize="medium")
    figure.supylabel("share that rose", fontsize="medium")
    return figure


def seeds(long: pd.DataFrame, models: Sequence[str]) -> "Figure":
    """Draw RMSE of returns of each seed as a multiple of the random walk's, one session ahead, for each ticker."""
    figure, axes = _figure()
    one = long[(long["h"] == 1) & long["y"].notna()]
    scored = one.assign(loss=np.log(one["y_hat"] / one["y"]) ** 2)
    by_seed = scored.groupby(["unique_id", "model", "seed"])["loss"].mean().pow(0.5).rename("rmse").reset_index()
    naive = by_seed[by_seed["model"] == REFERENCE].set_index("unique_id")["rmse"]
    tickers = list(naive.index)
    for at, model in enumerate(models):
        mine = by_seed[by_seed["model"] == model]
        places = mine["unique_id"].map(tickers.index) + (at - (len(models) - 1) / 2) * 0.6 / max(len(models), 1)
        ratio = mine["rmse"] / mine["unique_id"].map(naive)
        axes.plot(places, ratio, "o", markersize=5, alpha=0.7, label=model, color=_style(model, models)["color"])
    axes.axhline(1, color="black", linewidth=1, linestyle="--", label=REFERENCE)
    axes.set_xticks(range(len(tickers)), tickers)
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.set(ylabel="RMSE / random walk's", title="one point for each seed, 1 session ahead")
    figure.legend(loc="outside right upper")
    return figure


def importances(found: "Explanations", ticker: str, model: str) -> "Figure":
    """Draw what share of a fit's importance the leading features have, one panel for each way of explaining.

    A point is the mean over folds and seeds; the line beside it goes from the least of a fit to the greatest.
    """
    at = (found.stability["unique_id"] == ticker) & (found.stability["model"] == model)
    methods = list(found.stability.loc[at, "method"])
    figure, panels = _figure(columns=len(methods))
    for axes, method in zip(np.atleast_1d(panels), methods, strict=True):
        rows = found.leading(ticker, model, method)[::-1]
        reach = [rows["share"] - rows["share_low"], rows["share_high"] - rows["share"]]
        places = range(len(rows))
        axes.errorbar(rows["share"], places, xerr=np.maximum(reach, 0), fmt="o", markersize=4, color=_PALETTE[0])
        axes.axvline(0, color="black", linewidth=1, linestyle="--")
        axes.set_yticks(places, rows["feature"])
        axes.set(xlabel="share of a fit's importance", title=f"{ticker}: {model}, {method.replace('_', ' ')}")
    return figure


def _figure(columns: int = 1) -> "tuple[Figure, Any]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.4 if columns == 1 else 5.6 * columns, 4.0), layout="constrained")
    axes = figure.subplots(1, columns)
    for it in np.atleast_1d(axes):
        _plain(it)
    return figure, axes


def _plain(axes: "Axes") -> None:
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _models(table: pd.DataFrame) -> list[str]:
    return sorted(str(it) for it in table["model"].unique())


def _style(model: str, models: Sequence[str]) -> dict[str, Any]:
    if model == REFERENCE:
        return {"color": "black", "linestyle": "--", "linewidth": 1.2}
    others = [it for it in models if it != REFERENCE]
    return {"color": _PALETTE[others.index(model) % len(_PALETTE)], "linewidth": 1.4}
