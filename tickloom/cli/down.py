"""``tickloom down``: stop the embedded Kafka and Cassandra."""

import json

import typer
from rich.console import Console

from tickloom.cli.options import AsJson, Home
from tickloom.settings import settings

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(epilog="Example: tickloom down --home /data/tickloom")
def down(
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Stop the embedded Kafka and Cassandra; nothing is lost, and `tickloom up` starts them again."""
    from tickloom.local import stack
    from tickloom.local.state import absolute

    where = home or settings().home
    console = Console(stderr=True)
    with console.status("looking"):
        stopped = stack.down(where, progress=lambda text: console.print(text, highlight=False, soft_wrap=True))
    if as_json:
        typer.echo(json.dumps({"home": str(absolute(where)), "stopped": stopped}))
    else:
        typer.echo(f"stopped {' and '.join(stopped)}" if stopped else f"nothing of {where} runs")
