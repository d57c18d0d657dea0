"""The pipelines by the names that people give them, and what of them is compiled into the repository."""

from importlib import import_module
from pathlib import Path
from typing import Any

from pipelines.settings import Settings
from tickloom.errors import TickloomError
from tickloom.files import write_whole

PIPELINES = {
    "retrain": "pipelines.retrain",
    "backfill": "pipelines.backfill",
    "evaluate-only": "pipelines.evaluate_only",
}
"""Name to package."""
COMPILED = Path(__file__).parent / "compiled"
VARIANTS: dict[str, tuple[str, Settings]] = {
    **{name: (name, Settings()) for name in PIPELINES},
    "retrain-on-volume": ("retrain", Settings(volume="tickloom-retrain")),
}
"""File in ``compiled/`` to pipeline and settings."""


def known(name: str) -> str:
    """Return the name of a pipeline.

    Raises
    ------
    TickloomError
        There is no such pipeline.
    """
    if name not in PIPELINES:
        raise TickloomError(f"pipeline {name!r} is unknown; known: {', '.join(PIPELINES)}")
    return name


def display_name(name: str) -> str:
    """Return what a pipeline is called in Kubeflow."""
    return f"tickloom-{known(name)}"


def build(name: str, settings: Settings) -> Any:
    """Return a pipeline with these settings."""
    return import_module(f"{PIPELINES[known(name)]}.pipeline").build(settings)


def compiled(name: str, settings: Settings, target: Path) -> None:
    """Write a pipeline as Kubeflow takes it."""
    from kfp import compiler

    target.parent.mkdir(parents=True, exist_ok=True)
    compiler.Compiler().compile(build(name, settings), str(target))


def refresh(folder: Path, variants: dict[str, tuple[str, Settings]], *, check: bool) -> tuple[list[Path], list[Path]]:
    """Compile pipelines into a folder, and return the files that are current and those that were not.

    Parameters
    ----------
    check
        Write nothing.
    """
    import tempfile

    current, stale = [], []
    with tempfile.TemporaryDirectory() as scratch:
        for file, (name, settings) in variants.items():
            made, target = Path(scratch) / f"{file}.yaml", folder / f"{file}.yaml"
            compiled(name, settings, made)
            text = made.read_text(encoding="utf-8")
            if target.is_file() and target.read_text(encoding="utf-8") == text:
                current.append(target)
                continue
            stale.append(target)
            if not check:
                write_whole(target, text)
    return current, stale
