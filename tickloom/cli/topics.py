"""``tickloom topics``: make the topics of an installation."""

import json
from typing import Annotated

import typer

from tickloom.cli.options import AsJson, Bootstrap, Home

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(epilog="Example: TICKLOOM_KAFKA=kafka:9092 tickloom topics --json")
def topics(
    roles: Annotated[list[str] | None, typer.Argument(help="prices, bars, …; default all.")] = None,
    bootstrap: Bootstrap = None,
    home: Home = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds for which to wait for the broker.")] = 30.0,
    as_json: AsJson = False,
) -> None:
    """Make the topics that are absent; those that exist are never altered, and a difference is told."""
    from tickloom.bus.roles import ROLES
    from tickloom.bus.topics import ensure, topic_name
    from tickloom.local.addresses import kafka_address

    wanted = roles or list(ROLES)
    names = [topic_name(role) for role in wanted]
    made = ensure(bootstrap or kafka_address(home), wanted, timeout_s=max(wait, 1.0))
    if as_json:
        typer.echo(json.dumps({"made": made, "there": [name for name in names if name not in made]}))
        return
    for name in names:
        typer.echo(f"{name}: {'made' if name in made else 'there already'}")
