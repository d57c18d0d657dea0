"""One HTML page of an evaluation that needs no other file and no network."""

import html
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tickloom.files import whole, write_whole
from tickloom.forecast import plots
from tickloom.forecast.evaluation import FOLDS, LAST, Evaluation, versions
from tickloom.forecast.explanation import LEGEND, MEANING, NOTE, TOP, Explanations
from tickloom.forecast.models import REFERENCE
from tickloom.market.sessions import day_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILE = "report.html"
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem;color:#1b1f23}
table{border-collapse:collapse;margin:.6rem 0 1.4rem;font-variant-numeric:tabular-nums;display:block;overflow-x:auto}
th,td{padding:.25rem .7rem;border-bottom:1px solid #dfe3e8;text-align:right;white-space:nowrap}
th:first-child,td:first-child,th:nth-child(2),td:nth-child(2){text-align:left}
thead th{background:#f3f5f7}img{max-width:100%;height:auto;margin:.3rem}
.beats_naive{color:#00693e;font-weight:600}.worse{color:#a61b1b;font-weight:600}
.misleading{color:#8a8f98;font-style:italic}small,.note{color:#57606a}
.plots{display:flex;flex-wrap:wrap;gap:.4rem}
"""
_VERDICT = {
    "ticker": "unique_id", "model": "model", "verdict": "verdict", "RMSE": "rmse", "random walk's": "naive_rmse",
    "MASE": "mase", "p better": "p_better", "p worse": "p_worse", "p in set": "p_set", "direction": "direction",
    "base rate": "base_rate", "p direction": "p_direction", "R² on returns": "r2_return",
    "R² on prices (misleading)": "r2_price", "random walk's R² on prices": "naive_r2_price", "CRPS": "crps",
    "random walk's CRPS": "naive_crps", "seeds": "seeds", "RMSE's spread": "rmse_spread",
}  # fmt: skip
_SHARES = {"direction", "base_rate", "coverage", "low", "high", "net", "gross", "drawdown", "hold_net", "width"}
_COUNTS = {"seeds", "n", "h", "sides", "sessions", "fits", "silent", "pairs", "seed_pairs"}


def write_report(found: Evaluation, folder: Path, protocols: pd.DataFrame | None = None) -> Path:
    """Write ``report.html`` into a folder and return its path.

    Parameters
    ----------
    protocols
        Of ``protocols.reproduce``, shown where it is given.
    """
    path = folder / FILE
    write_whole(path, page(found, protocols))
    return path


def write_plots(found: Evaluation, folder: Path) -> list[Path]:
    """Write the page's pictures as PNG files into a folder, for viewers that show files, and return their paths."""
    paths = []
    for name, figure in pictures(found).items():
        paths.append(folder / f"{re.sub(r'[^A-Za-z0-9.-]+', '_', name)}.png")
        with whole(paths[-1]) as part:
            part.write_bytes(plots.png(figure))
    return paths


def pictures(found: Evaluation) -> "dict[str, Figure]":
    """Draw the page's pictures, by name: what it is, then of which ticker and model."""
    tickers = [it.ticker for it in found.histories]
    folds = found.scores[found.scores["block"] == FOLDS]
    several = [str(it) for it in folds.loc[folds["seeds"] > 1, "model"].unique()]
    drawn = {f"error {it}": plots.error_by_horizon(folds, it) for it in tickers}
    drawn |= {f"fan {it}": plots.fan(found.long, it, best(folds, it)) for it in tickers}
    drawn["coverage"] = plots.coverage_by_regime(found.coverage)
    drawn |= {f"strategy {it}": plots.equity(found.long, it, found.cost) for it in tickers}
    drawn["reliability"] = plots.reliability(found.long)
    if several:
        drawn["seeds"] = plots.seeds(found.long, several)
    if found.explanations is not None:
        stable = found.explanations.stability
        shown = stable[stable["silent"] < stable["fits"]]
        for ticker, model in dict.fromkeys(zip(shown["unique_id"], shown["model"], strict=True)):
            drawn[f"importance {ticker} {model}"] = plots.importances(found.explanations, ticker, model)
    return drawn


def page(found: Evaluation, protocols: pd.DataFrame | None = None) -> str:
    """Return the page."""
    drawn = pictures(found)

    def images(kind: str) -> str:
        return _images([figure for name, figure in drawn.items() if name.split()[0] == kind])

    tickers = [it.ticker for it in found.histories]
    parts = [f"<h1>Evaluation of {html.escape(', '.join(tickers))}</h1>", _intro(found)]
    blocks = list(dict.fromkeys(found.scores["block"]))
    titles = {FOLDS: "Verdicts, 1 session ahead", LAST: "Verdicts of the last block, touched for this report alone"}
    for block in blocks:
        verdicts = _verdicts(found.scores[found.scores["block"] == block])
        parts.append(_section(titles[block], verdicts + _remarks(found)))
    if protocols is not None:
        parts.append(_section("The reports' own protocols, and what is left of them", _protocols(protocols)))
    alone = "<p>No model here has several seeds.</p>"
    parts += [
        _section("Error by horizon", images("error")),
        _section("Forecasts of the last cutoffs", images("fan")),
        _section("Coverage", images("coverage") + _coverage(found)),
        _section("Sign strategy", images("strategy") + _strategies(found)),
        _section("Probability of a rise", images("reliability")),
        _section("Spread over seeds", images("seeds") if "seeds" in drawn else alone),
    ]
    if found.explanations is not None:
        parts.append(_section("What the models go by", images("importance") + _explanations(found.explanations)))
    title = f"Evaluation of {html.escape(', '.join(tickers))}"
    return (
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
        f"<meta name=viewport content='width=device-width'><title>{title}</title>"
        f"<style>{_STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def best(scores: pd.DataFrame, ticker: str) -> str:
    """Return the model with the least error one session ahead beside the random walk."""
    mine = scores[(scores["unique_id"] == ticker) & (scores["h"] == 1) & (scores["model"] != REFERENCE)]
    return str(mine.sort_values("rmse")["model"].iloc[0]) if len(mine) else REFERENCE


def _intro(found: Evaluation) -> str:
    plan = found.plan
    lines = [
        f"{it.ticker}, {it.market}: {len(it):,} sessions, {day_of(int(it.day[0]))} to {day_of(int(it.day[-1]))}; data "
        f"{it.sha256[:12]}. {' '.join(it.notes)}"
        for it in found.histories
    ]
    used = ", ".join(f"{name} {number}" for name, number in versions().items())
    return (
        f"<p>{plan.folds} folds of {plan.test} sessions, {plan.scheme}, {plan.horizon} sessions ahead, embargo "
        f"{plan.embargo}, last block {plan.holdout}. A model is fitted to what ends before its first cutoff.</p><ul>"
        + "".join(f"<li>{html.escape(line)}</li>" for line in lines)
        + f"</ul><p class=note>{html.escape(used)}</p>"
    )


def _verdicts(scores: pd.DataFrame) -> str:
    one = scores[scores["h"] == 1]
    naive = one[one["model"] == REFERENCE].set_index("unique_id")
    beside = {f"naive_{name}": one["unique_id"].map(naive[name]) for name in ("rmse", "r2_price", "crps")}
    return _table(one.assign(**beside), _VERDICT) + (
        "<p class=note>Squared errors of returns against the random walk's on the same cutoffs: Diebold-Mariano with "
        "the small-sample correction, p-values adjusted over the models by Holm; beats_naive and worse at 5 %. MASE "
        "below 1 is better than the random walk. p in set: of the model confidence set. Direction is tested against "
        "its base rate, what always saying the more frequent direction would reach. R² on prices is near 1 for a "
        "random walk too and says nothing; it stands here because reports quote it. Figures of several seeds are "
        "means.</p>"
    )


def _remarks(found: Evaluation) -> str:
    return "".join(f"<p><b>{html.escape(f'{name}: {said}.')}</b></p>" for name, said in found.remarks.items())


def _coverage(found: Evaluation) -> str:
    names = {
        "model": "model", "ahead": "h", "level": "level", "volatility": "regime", "n": "n", "coverage": "coverage",
        "from": "low", "to": "high", "mean width": "width",
    }  # fmt: skip
    shown = found.coverage[found.coverage["h"].isin({1, found.plan.horizon})]
    sizes = f"Pooled over tickers, method {found.method}; from and to: 95 % by a bootstrap over blocks of sessions. "
    return (
        _table(shown, names)
        + f"<p class=note>{sizes}Volatility is that known at the cutoff, in thirds of each ticker's cutoffs. An "
        "interval is made of errors that were known at its cutoff alone.</p>"
    )


def _strategies(found: Evaluation) -> str:
    names = {
        "ticker": "unique_id", "model": "model", "net": "net", "buy and hold": "hold_net", "before costs": "gross",
        "worst loss from a peak": "drawdown", "sides": "sides",
    }  # fmt: skip
    return (
        _table(found.strategies, names)
        + "<p class=note>Long or short by the sign of the forecast one session ahead, changed only where the forecast "
        f"is above the cost of {found.cost:g} basis points a side; without slippage, interest or fees for "
        "borrowing.</p>"
    )


def _explanations(found: Explanations) -> str:
    if found.stability.empty:
        return "<p>No model here reads features.</p>"
    names = {
        "ticker": "unique_id", "model": "model", "way": "method", "fits": "fits", "of them silent": "silent",
        "pairs of fits": "pairs", "stability": "spearman", f"leading {TOP} shared": "overlap",
        "shared by chance": "overlap_chance", "pairs of seeds": "seed_pairs", "stability over seeds": "seed_spearman",
    }  # fmt: skip
    meaning = "; ".join(f"{name.replace('_', ' ')}: {text}" for name, text in MEANING.items())
    lines = "".join(f"<li>{html.escape(it)}.</li>" for it in found.sentences())
    return (
        _table(found.stability, names)
        + f"<ul>{lines}</ul><p class=note>{html.escape(LEGEND)} The same between seeds of one fold says how much of "
        "that is the training's own chance. A silent fit forecasts no move whatever the features are. Points of the "
        "plots are means over fits, lines go from the least of a fit to the greatest. "
        f"{html.escape(NOTE)} Ways: {html.escape(meaning)}.</p>"
    )


def _protocols(table: pd.DataFrame) -> str:
    names = {name.replace("_", " "): name for name in table.columns}
    return _table(table, names) + (
        "<p class=note>The first rows follow the report to the letter, leaks and all; persistence, which says that the "
        "price stays where it is, stands under the same protocol. The rows of the walk-forward are the same model, "
        "fitted to nothing that comes after its cutoffs.</p>"
    )


def _section(title: str, body: str) -> str:
    return f"<h2>{html.escape(title)}</h2>\n{body}"


def _images(figures: "list[Figure]") -> str:
    made = [f'<img src="{plots.embedded(it)}" alt="{html.escape(_title(it))}">' for it in figures]
    return f"<div class=plots>{''.join(made)}</div>"


def _title(figure: "Figure") -> str:
    return "; ".join(axes.get_title() for axes in figure.axes)


def _table(rows: pd.DataFrame, names: dict[str, str]) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    body = "".join(
        "<tr>"
        + "".join(f"<td{_class(name, row[name])}>{cell(name, row[name])}</td>" for name in names.values())
        + "</tr>"
        for row in rows.to_dict("records")
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _class(name: str, value: object) -> str:
    if name == "verdict":
        return f" class={html.escape(str(value))}"
    return " class=misleading" if name in {"r2_price", "naive_r2_price"} else ""


def cell(name: str, value: object) -> str:
    """Return a value as a reader wants it: fractions as percent, four digits, a dash for unknown."""
    if isinstance(value, str):
        return html.escape(value)
    if not isinstance(value, int | float | np.number) or not np.isfinite(float(value)):
        return "–"
    number = float(value)
    if name in _COUNTS:
        return f"{number:,.0f}"
    if name == "level":
        return f"{number:.0%}"
    if name in _SHARES:
        return f"{number:.1%}"
    return f"{number:,.4g}" if abs(number) < 1e4 else f"{number:,.0f}"
