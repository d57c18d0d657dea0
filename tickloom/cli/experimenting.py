"""How ``tickloom experiment`` shows where an experiment stands."""

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

WIDTH, HEIGHT = 72, 12
_FIGURES = (
    "arm", "share", "e-value", "mean difference", "mae", "rw mae", "in 95 %", "requests", "failed", "p99 ms",
    "guardrails",
)  # fmt: skip
_MARKS = "●▲■◆✚✖"


def show(found: dict[str, Any], console: "Console") -> None:
    """Print a summary: figures by arm, the evidence drawn, what is still missing."""
    from tickloom.cli.tables import table
    from tickloom.experiment.summary import cells, headline, shares, watch_line

    console.print(headline(found))
    decision = found["decision"]
    if decision is not None:
        console.print(f"decided by {decision['who']} at {decision['at']}: {decision['why']}")
        if decision["rolled_back"]:
            by = f" by {decision['rolled_back_by']}" if decision["rolled_back_by"] else ""
            console.print(f"rolled back since{by}: {decision['rolled_back_why'] or 'no reason is known'}")
        if decision["moves"] and found["found_better"] != decision["arm"]:
            console.print("on the closes as they are now the evidence is not reached; look, and roll back if need be")
    if found["watch_until"] is not None:
        console.print(f"a broken guardrail takes it back until {found['watch_until']}")
    if found["watch"] is not None:
        console.print(watch_line(found["watch"]))
    if found["question"] is not None:
        console.print(f"asks a person: {found['question']}")
    if found["unfinished"]:
        console.print("what was decided is not all done yet; `tickloom experiment run` finishes it")
    # arms are few and figures many: figures stand in rows, for which a terminal has room
    names, *rows = zip(_FIGURES, *(cells(it) for it in found["arms"]), strict=True)
    drawn = table(*names, left=names[:1])
    for row in rows:
        drawn.add_row(*row)
    console.print(drawn)
    console.print("losses of log-returns × 100; rw is the random walk's; difference: above 0 is better")
    for line in chart({it["arm"]: it["e_values"] for it in found["arms"] if it["e_values"]}, found["needed"]):
        console.print(line)
    console.print(shares(found))
    if found["left_out"]:
        console.print(f"{found['left_out']:,} forecasts are of other versions than were begun with, and left out")
    if found["blocked"]:
        console.print(f"held back: {found['blocked']}")
    for text in found["missing"]:
        console.print(f"still missing: {text}")


def chart(trails: dict[str, list[float]], needed: float, width: int = WIDTH, height: int = HEIGHT) -> list[str]:
    """Return lines that draw e-values over sessions on a logarithmic scale, with a dashed line at what is needed."""
    if not trails:
        return []
    logs = {arm: [math.log10(max(it, 1e-3)) for it in values] for arm, values in trails.items()}
    line = math.log10(needed)
    low = min(min(it) for it in logs.values())
    high = max(line * 1.15, *(max(it) for it in logs.values()))
    low, high = math.floor(min(low, 0.0) * 2) / 2, math.ceil(high * 2) / 2
    sessions = max(len(it) for it in logs.values())
    columns = min(width, sessions)

    def row(value: float) -> int:
        return round((high - value) / (high - low) * (height - 1))

    grid = [[" "] * columns for _ in range(height)]
    grid[row(line)] = ["╌"] * columns
    for (_, values), mark in zip(logs.items(), _MARKS * len(logs), strict=False):
        for column in range(columns):
            at = min(len(values) - 1, (column + 1) * sessions // columns - 1)
            grid[row(values[at])][column] = mark
    labels = {row(line): f"{needed:g}", row(0.0): "1", 0: f"{10**high:.3g}"}
    drawn = [f"{labels.get(at, ''):>8} ┤{''.join(cells)}" for at, cells in enumerate(grid)]
    legend = "   ".join(f"{mark} {arm}" for arm, mark in zip(logs, _MARKS * len(logs), strict=False))
    return [f"e-values over {sessions} sessions; {needed:g} is needed   {legend}", *drawn, f"{'':>8} └{'─' * columns}"]
