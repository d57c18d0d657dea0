"""What each step leaves for the next one: a folder with ``result.json``."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tickloom.errors import TickloomError
from tickloom.files import write_whole
from tickloom.forecast.plain import plain

FILE = "result.json"
Facts = dict[str, Any]


def write(out: Path, step: str, facts: Mapping[str, Any]) -> Facts:
    """Write what a step found into its folder, and return it as JSON has it: None for what is no number.

    The file comes last, so that a folder with one is whole.
    """
    found: Facts = {"step": step, **plain(dict(facts))}
    write_whole(out / FILE, json.dumps(found, indent=1, allow_nan=False) + "\n")
    return found


def read(folder: Path, step: str) -> Facts:
    """Return what a step found.

    Raises
    ------
    TickloomError
        The folder holds nothing of this step.
    """
    path = folder / FILE
    try:
        found: Facts = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TickloomError(f"{folder}: no {FILE}, so the step {step} has not ended here; run it first") from None
    except ValueError as error:
        raise TickloomError(f"{path}: no JSON ({error}); run the step {step} again") from None
    if found.get("step") != step:
        raise TickloomError(f"{folder}: holds what the step {found.get('step')!r} found, not {step!r}; name its folder")
    return found


def about(ticker: str, facts: Mapping[str, Any], step: str) -> Facts:
    """Return what a step found of one ticker.

    Raises
    ------
    TickloomError
        The ticker was skipped, with the reason, or is not in it.
    """
    if ticker in facts["skipped"]:
        raise TickloomError(f"{ticker}: was skipped: {facts['skipped'][ticker]}")
    if ticker not in facts["tickers"]:
        raise TickloomError(f"{ticker}: the step {step} knows nothing of it; known: {', '.join(facts['tickers'])}")
    found: Facts = facts["tickers"][ticker]
    return found


def digest(folder: Path) -> str:
    """Return the SHA-256 of all files below a folder, with their names, but for ``result.json``."""
    found = hashlib.sha256()
    for path in sorted(it for it in folder.rglob("*") if it.is_file() and it != folder / FILE):
        found.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        found.update(path.read_bytes())
    return found.hexdigest()
