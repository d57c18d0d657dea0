"""``tickloom docs``: the pages, and the CRD, that are made from the code."""

import importlib
import os
from pathlib import Path
from typing import Annotated

import typer

from tickloom.errors import TickloomError

FILES: dict[str, tuple[str, tuple[str, ...]]] = {
    "indicators": ("tickloom.indicators.page", ("indicators.md",)),
    "settings": ("tickloom.settings_page", ("settings.md",)),
    "streamjob": ("operators.streamjob.page", ("streamjob.md",)),
    "ingest": ("services.ingest.page", ("ingest.md",)),
    "experiments": ("tickloom.experiment.page", ("experiments.md",)),
    "closes": ("tickloom.market.closes_page", ("../tickloom/market/closes.csv",)),
    "crd": (
        "operators.streamjob.crd",
        (
            "../manifests/crds/streamjobs.tickloom.dev.yaml",
            "../charts/crds/files/streamjobs.tickloom.dev.yaml",  # a chart holds nothing from outside its folder
        ),
    ),
}
"""Name of a verb to the module that makes its text, and the text's files as seen from the folder of the pages."""
app = typer.Typer(
    rich_markup_mode=None, add_completion=False, no_args_is_help=True, epilog="Example: tickloom docs all --check"
)
Check = Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 if the file is not current.")]
Folder = Annotated[Path, typer.Option(help="Folder of the pages.")]
_HERE = Path("docs")


@app.callback()
def docs() -> None:
    """Write the pages, and the CRD, that are generated from the code."""


@app.command(epilog="Example: tickloom docs indicators --check")
def indicators(check: Check = False, folder: Folder = _HERE) -> None:
    """Write docs/indicators.md from the registry of indicators."""
    _make(["indicators"], folder, check)


@app.command(epilog="Example: tickloom docs settings")
def settings(check: Check = False, folder: Folder = _HERE) -> None:
    """Write docs/settings.md from the settings."""
    _make(["settings"], folder, check)


@app.command(epilog="Example: tickloom docs streamjob --check")
def streamjob(check: Check = False, folder: Folder = _HERE) -> None:
    """Write docs/streamjob.md from the models of the manifest and of its status."""
    _make(["streamjob"], folder, check)


@app.command(epilog="Example: tickloom docs ingest --check")
def ingest(check: Check = False, folder: Folder = _HERE) -> None:
    """Write docs/ingest.md from the models of the ingest service's configuration."""
    _make(["ingest"], folder, check)


@app.command(epilog="Example: tickloom docs experiments --check")
def experiments(check: Check = False, folder: Folder = _HERE) -> None:
    """Write docs/experiments.md from the models of an experiment."""
    _make(["experiments"], folder, check)


@app.command(epilog="Example: tickloom docs closes --check")
def closes(check: Check = False, folder: Folder = _HERE) -> None:
    """Write tickloom/market/closes.csv, beside the folder of the pages, from the exchanges' calendars."""
    _make(["closes"], folder, check)


@app.command(epilog="Example: tickloom docs crd")
def crd(check: Check = False, folder: Folder = _HERE) -> None:
    """Write streamjobs.tickloom.dev.yaml into manifests/crds and charts/crds/files, beside the folder of the pages."""
    _make(["crd"], folder, check)


@app.command("all", epilog="Example: tickloom docs all --check")
def everything(check: Check = False, folder: Folder = _HERE) -> None:
    """Write every generated file."""
    _make(list(FILES), folder, check)


def _make(names: list[str], folder: Path, check: bool) -> None:
    if not folder.is_dir():
        raise TickloomError(f"folder {folder} does not exist; call this in the repository, or name one with --folder")
    stale: list[str] = []
    for name in names:
        module, files = FILES[name]
        text = importlib.import_module(module).render()
        for path in (Path(os.path.normpath(folder / file)) for file in files):
            if path.exists() and path.read_text(encoding="utf-8") == text:
                typer.echo(f"{path} is current", err=True)
            elif check:
                stale.append(f"{path} differs from the code; run: tickloom docs {name}")
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
                typer.echo(f"{path} written", err=True)
    if stale:
        raise TickloomError("; ".join(stale))
