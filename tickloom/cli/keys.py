"""``tickloom keys``: API keys of the forecast service."""

import json
from datetime import datetime
from typing import Annotated

import typer

from tickloom.cli.forecasting import installed
from tickloom.cli.options import AsJson

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    epilog="Example: tickloom keys new desk --market XNYS --rate 100/second",
)


@app.callback()
def keys() -> None:
    """Make API keys of the forecast service."""


@app.command(epilog="Examples: tickloom keys new desk --market XNYS | tickloom keys new all --market '*' --json")
@installed("serve", "making keys")
def new(
    name: Annotated[str, typer.Argument(help="Who gets it: small letters, digits and '-'.")],
    market: Annotated[list[str], typer.Option(help="Market that it may ask for, or '*'; may be given more than once.")],
    rate: Annotated[str | None, typer.Option(help="Such as 100/second; default the service's own.")] = None,
    expires: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day, in UTC, on which it counts.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key, and print it once, with the entry for the file that TICKLOOM_SERVE_KEYS names.

    The file holds a hash alone: a key that is lost cannot be had again, but another one can be made.
    """
    import yaml

    from tickloom.serving.protection.keys import new_key

    key, entry = new_key(name, market, rate, None if expires is None else expires.date())
    if as_json:
        typer.echo(json.dumps({"key": key, "entry": entry}))
        return
    typer.echo(f"{key}\n")
    typer.echo("the key is not shown again; put this entry below `keys:` in the file of TICKLOOM_SERVE_KEYS", err=True)
    typer.echo(yaml.safe_dump([entry], sort_keys=False).rstrip())
