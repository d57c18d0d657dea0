"""Where an experiment stands, drawn: e-values over sessions, bounds; a page that needs no other file."""

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tickloom.errors import TickloomError
from tickloom.experiment.summary import cells, headline, shares
from tickloom.forecast.plots import embedded

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".html", ".png", ".svg")
_COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse}td,th{border-bottom:1px solid #ddd;padding:.3em .8em;text-align:left}"
    "img{max-width:100%}"
)


def save(found: dict[str, Any], path: Path) -> None:
    """Write a summary as a page or a picture, by the file's ending.

    Raises
    ------
    TickloomError
        The ending is another one, or the file cannot be written.
    """
    if path.suffix not in SUFFIXES:
        raise TickloomError(f"--output {path}: ending {path.suffix!r} is unknown; known: {', '.join(SUFFIXES)}")
    try:
        if path.suffix == ".html":
            path.write_text(page(found), encoding="utf-8")
        else:
            draw(found).savefig(path, format=path.suffix[1:], dpi=110)
    except OSError as error:
        raise TickloomError(f"--output {path}: {error.strerror}; name a file in a folder that can be written") from None


def draw(found: dict[str, Any]) -> "Figure":
    """Draw e-values over sessions beside what is needed, and the bounds of each arm's mean difference."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.2, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    for axes in (left, right):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    arms = [it for it in found["arms"] if it["e_values"] is not None]
    for it, colour in zip(arms, _COLOURS * len(arms), strict=False):
        left.plot(range(len(it["e_values"]) + 1), [1.0, *it["e_values"]], color=colour, label=it["arm"], linewidth=1.4)
    left.axhline(found["needed"], color="black", linewidth=1, linestyle="--", label=f"needed: {found['needed']:g}")
    left.axvline(found["least_sessions"], color="black", linewidth=0.6, linestyle=":", label="fewest sessions")
    left.set_yscale("log")
    left.set(xlabel="matured sessions", ylabel="e-value", title=f"{found['name']}: evidence that an arm is better")
    left.legend(fontsize="small")
    shown = [(it, colour) for it, colour in zip(arms, _COLOURS * len(arms), strict=False) if it["confidence"]]
    for at, (it, colour) in enumerate(shown):
        right.plot(it["confidence"], [at, at], color=colour, linewidth=2)
        right.plot(it["mean_difference"], at, "o", color=colour)
    right.axvline(0, color="black", linewidth=1)
    right.set_yticks(range(len(shown)), [it["arm"] for it, _ in shown])
    right.set_ylim(max(len(shown), 1) - 0.5, -0.5)
    right.set(xlabel="mean difference (right: better)", title=f"{100 * (1 - found['alpha']):g} % bounds at all times")
    return figure


def page(found: dict[str, Any]) -> str:
    """Return the page."""
    title = html.escape(f"Experiment {found['name']}")
    decision = found["decision"]
    said = f"<p><b>{html.escape(decision['why'])}</b> ({html.escape(decision['who'])})</p>" if decision else ""
    missing = "".join(f"<li>{html.escape(it)}</li>" for it in found["missing"])
    head = ("arm", "share", "e-value", "mean difference", "MAE × 100", "random walk's", "in 95 %", "requests", "failed",
            "p99 ms", "guardrails")  # fmt: skip
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in cells(it)) + "</tr>" for it in found["arms"]
    )
    return (
        f"<!doctype html>\n<html lang=en><head><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{title}</h1><p>{html.escape(headline(found))}</p>{said}"
        f"<img alt='evidence' src='{embedded(draw(found))}'>"
        f"<table><tr>{''.join(f'<th>{it}</th>' for it in head)}</tr>{rows}</table>"
        f"<p>{html.escape(shares(found))}</p>"
        + (f"<h2>Still missing for a decision</h2><ul>{missing}</ul>" if missing else "")
        + "</body></html>\n"
    )
