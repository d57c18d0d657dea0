"""How a forecast is printed, wherever it was made."""

from collections.abc import Sequence
from dataclasses import dataclass

import typer

_REFERENCE = "random_walk"


@dataclass(frozen=True)
class Row:
    """A session's forecast: its date, how many sessions ahead it is, its close, and the bounds of each interval."""

    session: str
    ahead: int
    close: float
    spans: Sequence[tuple[float, float]]


def draw(
    rows: Sequence[Row],
    levels: Sequence[str],
    *,
    model: str,
    version: str | int | None,
    cutoff: str,
    close: float,
    verdict: str,
    remark: str,
) -> None:
    """Print a table of sessions, and below it who forecasts from what, and what that is worth."""
    from tickloom.cli.tables import console, table

    digits = 4 if close < 100 else 2
    names = ("session", "ahead", "close", "change", *(f"{level} %" for level in levels))
    drawn = table(*names, left=("session",))
    for row in rows:
        spans = [f"{lower:.{digits}f} to {upper:.{digits}f}" for lower, upper in row.spans]
        change = f"{row.close / close - 1:+.2%}"
        drawn.add_row(row.session, str(row.ahead), f"{row.close:.{digits}f}", change, *spans)
    console().print(drawn)
    which = "" if version is None else f" (version {version})"
    said = f"{model}{which} from the close of {cutoff}, {close:.{digits}f}"
    but = f", but {remark}" if remark else ""
    judged = "" if model == _REFERENCE else f"; against the random walk: {verdict}{but}"
    typer.echo(f"{said}{judged}")
