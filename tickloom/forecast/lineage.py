"""Where a registered version comes from, and who approved it, as tags of the version in MLflow."""

import subprocess
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tickloom
from tickloom.settings import settings

if TYPE_CHECKING:
    from tickloom.forecast.registry import Registry

RUN, APPROVER, TAKEN_BACK = "tickloom.run", "tickloom.approver", "tickloom.taken_back"
DATA, EXTRACTED, PACKAGE = "tickloom.data_sha256", "tickloom.extracted_sha256", "tickloom.package_sha256"
CODE, COMMIT = "tickloom.version", "tickloom.commit"
GATE_FIRST, GATE_LAST, GATE_SHARED = "tickloom.gate_first", "tickloom.gate_last", "tickloom.gate_shared"
NAMES = {
    "data": DATA, "extracted": EXTRACTED, "package": PACKAGE, "code": CODE, "commit": COMMIT, "run": RUN,
    "gate_first": GATE_FIRST, "gate_last": GATE_LAST, "gate_shared": GATE_SHARED,
    "approver": APPROVER, "taken_back": TAKEN_BACK,
}  # fmt: skip
"""Tags by what they tell."""
_UNKNOWN = "unknown"
_LONGEST = 1000
_GIT_S = 5


def made(data_sha256: str) -> dict[str, str]:
    """Return the tags that every version has: its data and the code that trained it.

    Parameters
    ----------
    data_sha256
        Of the frame that it was trained on, in hex.
    """
    return {DATA: data_sha256, CODE: tickloom.__version__, COMMIT: commit()}


def tags(learned: Mapping[str, Any], run: str) -> dict[str, str]:
    """Return the tags of a version of a pipeline: its data, code and run, and who approved it: nobody yet.

    Parameters
    ----------
    learned
        What ``train`` returned.
    run
        Id of the pipeline's run.
    """
    return {
        **made(str(learned["data_sha256"])),
        RUN: run,
        EXTRACTED: str(learned["extracted_sha256"]),
        PACKAGE: str(learned["package_sha256"]),
        APPROVER: "",
    }


def told(tags: Mapping[str, str]) -> dict[str, str]:
    """Return what the tags of a version say of where it comes from, by `NAMES`; what is unknown is left out."""
    return {name: tags[tag] for name, tag in NAMES.items() if tags.get(tag)}


def commit() -> str:
    """Return the commit that the code was built from: ``TICKLOOM_COMMIT``, else that of the checkout it lies in.

    ``-dirty`` is put after it where the checkout's code has changed since; ``unknown`` where there is neither.
    """
    return settings().commit or _checked_out(Path(tickloom.__file__).resolve().parent)


def approve(registry: "Registry", market: str, ticker: str, version: int, who: str) -> None:
    """Write down who approved a version: a person's name, or the rule of an experiment.

    Raises
    ------
    TickloomError
        There is no such version, or MLflow does not answer.
    """
    registry.tag(market, ticker, version, {APPROVER: who[:_LONGEST]})


def take_back(registry: "Registry", market: str, ticker: str, version: int, why: str) -> None:
    """Write down that a version was champion and was taken back: when, by whom, why.

    Raises
    ------
    TickloomError
        There is no such version, or MLflow does not answer.
    """
    registry.tag(market, ticker, version, {TAKEN_BACK: why[:_LONGEST]})


@lru_cache(maxsize=1)
def _checked_out(package: Path) -> str:
    if not (package.parent / ".git").exists():  # installed, perhaps below somebody else's checkout
        return _UNKNOWN
    try:
        head = _git(package, "rev-parse", "HEAD")
        return f"{head}-dirty" if _git(package, "status", "--porcelain", "--", ".") else head
    except (OSError, subprocess.SubprocessError):  # no git, or another user's checkout
        return _UNKNOWN


def _git(folder: Path, *words: str) -> str:
    asked = ["git", "-C", str(folder), *words]
    return subprocess.run(asked, capture_output=True, text=True, timeout=_GIT_S, check=True).stdout.strip()
