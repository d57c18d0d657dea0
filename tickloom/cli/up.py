"""``tickloom up``: start the embedded Kafka and Cassandra."""

import json
import signal
import time
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from tickloom.cli.options import AsJson, Home
from tickloom.settings import settings

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(epilog="Example: tickloom up --home /data/tickloom --kafka-port 9092 --json")
def up(
    home: Home = None,
    kafka_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Kafka's port; default the last one, else a free one.")
    ] = None,
    cassandra_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Cassandra's port; default the last one, else a free one.")
    ] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Move the old data aside and start anew.")] = False,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait until both answer.")] = 120.0,
    as_json: AsJson = False,
) -> None:
    """Start the embedded Kafka and Cassandra, or say where they run already."""
    from tickloom.local import stack
    from tickloom.local.state import absolute

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    where = home or settings().home
    console = Console(stderr=True)
    begin = time.monotonic()
    already = stack.endpoints(where) is not None
    with console.status("looking") as line:

        def progress(text: str) -> None:
            line.update(text)
            if not text.startswith("waiting for ") and "fetched" not in text:
                console.print(text, highlight=False, soft_wrap=True)

        found = stack.up(
            where,
            kafka_port=kafka_port,
            cassandra_port=cassandra_port,
            reset=reset,
            timeout_s=timeout,
            progress=progress,
        )
    console.print("already running" if already else f"ready after {time.monotonic() - begin:.1f} s", highlight=False)
    if as_json:
        typer.echo(json.dumps(asdict(found) | {"home": str(absolute(where)), "started": not already}))
    else:
        typer.echo(f"kafka      {found.kafka}\ncassandra  {found.cassandra}")
