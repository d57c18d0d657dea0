"""How every process of Tickloom begins, and how it ends with a sentence instead of a traceback."""

import sys
from collections.abc import Callable

import typer

from tickloom.errors import TickloomError
from tickloom.logs import configure


def run(command: Callable[[], object]) -> None:
    """Configure the logs, run a command, and exit where it fails.

    The exit status is 2 on wrong usage, and with a sentence on standard error 78 on wrong configuration, 130 on Ctrl-C
    and 1 on any other failure that has one.
    """
    try:
        configure()
        command()
    except TickloomError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)
        sys.exit(130)
