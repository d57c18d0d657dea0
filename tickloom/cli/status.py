"""``tickloom status``: what of the embedded stack runs."""

import json
from dataclasses import asdict

import typer

from tickloom.cli.options import AsJson, Home
from tickloom.settings import settings

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(epilog="Example: tickloom status --json")
def status(
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Say what of the embedded stack runs, where, for how long and with how much memory."""
    from tickloom.local import stack
    from tickloom.local.state import absolute

    where = home or settings().home
    parts = stack.status(where)
    if as_json:
        typer.echo(json.dumps({"home": str(absolute(where)), "parts": [asdict(part) for part in parts]}))
        return
    typer.echo(f"{'part':<10} {'condition':<10} {'pid':>7} {'address':<16} {'uptime':>9} {'memory':>9}")
    for part in parts:
        uptime = "" if part.uptime_s is None else f"{part.uptime_s:.0f} s"
        memory = "" if part.resident_mb is None else f"{part.resident_mb:.0f} MB"
        typer.echo(
            f"{part.part:<10} {part.condition:<10} {part.pid or '':>7} {part.address or '':<16} {uptime:>9} {memory:>9}"
        )
        if part.explanation:
            typer.echo(f"  {part.explanation}; `tickloom up` starts it again and recovers its data")
