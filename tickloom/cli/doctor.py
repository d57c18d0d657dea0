"""``tickloom doctor``: what could keep the stack from running here."""

import json
from dataclasses import asdict

import typer

from tickloom.cli.options import AsJson, Home
from tickloom.settings import settings

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(epilog="Example: tickloom doctor --home /data/tickloom")
def doctor(
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Check Java, jars, memory, disk, ports and data, and say what to do; exits with 1 if something fails."""
    from tickloom.local.doctor import diagnose
    from tickloom.local.state import absolute

    where = absolute(home or settings().home)
    found = diagnose(where)
    if as_json:
        typer.echo(json.dumps({"home": str(where), "checks": [asdict(check) for check in found]}))
    else:
        for check in found:
            typer.echo(f"{check.verdict:<4}  {check.name:<14}  {check.finding}")
            if check.fix:
                typer.echo(f"{'':<22}→ {check.fix}")
    if any(check.verdict == "fail" for check in found):
        raise typer.Exit(1)
