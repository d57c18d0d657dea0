"""``tickloom serve``: the forecast service on this machine."""

import importlib.util
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from tickloom.cli.options import Home
from tickloom.errors import TickloomError

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(epilog="Examples: tickloom serve | tickloom serve --data prices --experiments trial.yaml --port 8000")
def serve(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of HTTP.")] = 3000,
    host: Annotated[str, typer.Option(help="Address that it listens on; 0.0.0.0 for all.")] = "127.0.0.1",
    data: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Folder of CSV files of daily bars; default the store's bars."),
    ] = None,
    experiments: Annotated[
        Path | None, typer.Option(exists=True, help="File of an Experiment, or folder of such files.")
    ] = None,
    mlflow: Annotated[
        str | None, typer.Option(help="MLflow's tracking URI; default TICKLOOM_MLFLOW, else --home.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Inference processes.")] = 1,
    home: Home = None,
) -> None:
    """Answer POST /v1/forecast with the champions of the registry, until stopped; /docs shows every route.

    What else can be set are the variables TICKLOOM_SERVE_* of docs/settings.md.
    """
    if importlib.util.find_spec("bentoml") is None:
        raise TickloomError("serving needs bentoml: pip install 'tickloom[serve]'")
    chosen = {
        "TICKLOOM_SERVE_WORKERS": str(workers),
        "TICKLOOM_SERVE_DATA": data and str(data.resolve()),
        "TICKLOOM_SERVE_EXPERIMENTS": experiments and str(experiments.resolve()),
        "TICKLOOM_MLFLOW": mlflow,
        "TICKLOOM_HOME": home and str(home.resolve()),
    }
    os.environ.update({name: value for name, value in chosen.items() if value})
    typer.echo(f"http://{host}:{port}/docs shows every route; Ctrl-C stops", err=True)
    sys.stderr.flush()
    command = [sys.executable, "-m", "services.forecast", "--host", host, "--port", str(port)]
    os.execv(sys.executable, command)  # in the place of this process, so that signals reach what serves  # noqa: S606
