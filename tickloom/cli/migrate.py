"""``tickloom migrate``: make the keyspace and the tables of an installation."""

import json
from typing import Annotated

import typer

from tickloom.cli.options import AsJson, Home
from tickloom.errors import TickloomError

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(
    epilog="Examples: tickloom migrate | TICKLOOM_CASSANDRA=cassandra:9042 tickloom migrate --data-center dc1=3 --json"
)
def migrate(
    keyspace: Annotated[str | None, typer.Option(help="Keyspace; default TICKLOOM_KEYSPACE.")] = None,
    data_center: Annotated[
        list[str] | None,
        typer.Option(help="Replicas of a new keyspace in a data centre, as dc1=3; may be repeated."),
    ] = None,
    contact_points: Annotated[
        str | None, typer.Option(help="Cassandra contact points; default the embedded node's.")
    ] = None,
    home: Home = None,
    wait: Annotated[float, typer.Option(min=1, help="Seconds for which to wait for Cassandra.")] = 120.0,
    as_json: AsJson = False,
) -> None:
    """Make what is absent of the keyspace and its tables; to do it again does nothing."""
    from tickloom.local.addresses import cassandra_address
    from tickloom.settings import settings
    from tickloom.store.migrate import migrate as run

    centers = _centers(data_center or [])
    done = run(contact_points or cassandra_address(home), keyspace, data_centers=centers or None, patience_s=wait)
    name = keyspace or settings().keyspace
    if as_json:
        typer.echo(json.dumps({"keyspace": name, "migrations": done}))
        return
    typer.echo(f"keyspace {name}: {', '.join(done) + ' done' if done else 'nothing to do'}")


def _centers(pairs: list[str]) -> dict[str, int]:
    found = {}
    for pair in pairs:
        name, _, replicas = pair.partition("=")
        if not name or not replicas.isdigit() or int(replicas) < 1:
            raise TickloomError(f"--data-center {pair!r} is not of the form dc1=3")
        found[name] = int(replicas)
    return found
