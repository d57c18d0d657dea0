"""How ``tickloom pipelines run`` tells of a run: a line for each step, and a table in the end."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from pipelines.local import Finished


def tell(facts: Mapping[str, Any]) -> None:
    """Write a line for a step that ended."""
    what = " ".join(str(facts[it]) for it in ("ticker", "model") if it in facts)
    took = f" in {facts['seconds']:.1f} s" if "seconds" in facts else ""
    why = f": {facts['why']}" if "why" in facts else ""
    if facts["state"] != "begins":
        typer.echo(f"{facts['step']:9} {what:16} {facts['state']}{took}{why}", err=True)


def following(rows: Sequence[Mapping[str, Any]], market: str) -> list[str]:
    """Return for each model of which a version was registered what makes that version an arm of an experiment."""
    registered = [it for it in rows if it["outcome"] == "registered"]
    found = []
    for model in dict.fromkeys(str(it["model"]) for it in registered):
        named = [str(it["alias"]) for it in registered if it["model"] == model and it.get("alias")]
        arm = named[0].removeprefix("challenger-") if named else model
        how = "" if named else f"`tickloom experiment arm {arm} --market {market} --model {model}`, then "
        found.append(
            f"next for {model}: {how}`tickloom experiment start FILE`, which has an arm {arm} for challenger-{arm} "
            "(docs/promotion.md)"
        )
    return found


def show(done: "Finished", called: str, seconds: float, as_json: bool, given: Mapping[str, Any]) -> None:
    """Print what became of each ticker and model, what comes next, and in the last line which tickers were skipped.

    Parameters
    ----------
    given
        Parameters of the run.
    """
    rows = done.facts.get("rows", [])
    if as_json:
        told = {
            "run": called, "succeeded": done.succeeded, "why": done.why, "seconds": round(seconds, 3), "rows": rows,
            "counts": done.facts.get("counts", {}), "warnings": done.facts.get("warnings", []),
            "report": str(done.report) if done.report else None, "log": str(done.log),
        }  # fmt: skip
        typer.echo(json.dumps(told))
        return
    if rows:
        from rich.console import Console
        from rich.table import Table

        table = Table("ticker", "model", "outcome", "verdict", "why")
        for row in rows:
            table.add_row(*(str(row.get(it) or "–") for it in ("ticker", "model", "outcome", "verdict", "why")))
        Console(markup=False).print(table)
    for warning in done.facts.get("warnings", []):
        typer.echo(warning)
    for line in following(rows, given["market"]):
        typer.echo(line)
    skipped = done.facts.get("skipped", {})
    left_out = f"; SKIPPED {len(skipped)} of {len(given['tickers'])} tickers: {', '.join(skipped)}" if skipped else ""
    page = f"; report: {done.report}" if done.report else ""
    typer.echo(f"{called}: {seconds:.0f} s{left_out}{page}")
