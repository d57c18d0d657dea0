"""A pipeline on this machine: each component is a process, through ``kfp.local``."""

import contextlib
import io
import json
import logging
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from pipelines import interruption
from pipelines.ending import PAGE, TOLD
from pipelines.runtime import MARK, RUN, WORK
from pipelines.settings import Settings
from tickloom.errors import TickloomError

PARALLEL = 2
"""Pairs that ``kfp.local`` has at work at the same time."""
Tell = Callable[[Mapping[str, Any]], None]
SETTINGS = Settings(retries=1, train_retries=2, backoff_s=1, cassandra_secret=None)
"""What a pipeline is compiled with for this machine, on which a login is the user's own."""


@dataclass(frozen=True)
class Finished:
    """A run that ended.

    Attributes
    ----------
    succeeded : bool
    why : str
        Of one that did not.
    report : Path or None
        Its page.
    facts : dict
        Of the report; empty where it came to none.
    log : Path
        What all processes said.
    """

    succeeded: bool
    why: str
    report: Path | None
    facts: dict[str, Any]
    log: Path


def run(pipeline: Any, arguments: Mapping[str, Any], folder: Path, name: str, *, cache: bool, tell: Tell) -> Finished:
    """Run a pipeline.

    Parameters
    ----------
    pipeline
        As ``build(SETTINGS)`` returns it.
    arguments
        Its parameters.
    folder
        Where artifacts, checkpoints, journals and logs of all runs are.
    name
        Of the run, new in this folder.
    cache
        Whether steps whose inputs are those of an earlier run are left out. Kubeflow's cache on one machine does not
        know that Tickloom's code has changed.
    tell
        Called with what each step says of itself.

    Raises
    ------
    TickloomError
        Another run is at work in the folder.

    Notes
    -----
    Ctrl-C and SIGTERM end the process and its steps at once.
    """
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with interruption.alone(folder), interruption.ends_at_once():
        return _run(pipeline, arguments, folder, name, cache, tell)


def _run(pipeline: Any, arguments: Mapping[str, Any], folder: Path, name: str, cache: bool, tell: Tell) -> Finished:
    from kfp import local

    journal = folder / "runs" / name
    journal.mkdir(parents=True)
    log = journal / "log.txt"
    local.init(
        local.SubprocessRunner(use_venv=False),
        pipeline_root=str(folder / "artifacts"),
        enable_caching=cache,
        cache_root=str(folder / "cache"),
    )
    why = ""
    scratch = journal / "tmp"  # Kubeflow's command leaves a folder for each step
    scratch.mkdir()
    given = {WORK: str(folder), RUN: name, "TMPDIR": str(scratch), **interruption.mark()}
    with log.open("w", encoding="utf-8") as file, _environment(given):
        heard = _Heard(file, tell)
        try:
            with _quiet(heard):
                pipeline(**arguments)
        except RuntimeError as error:  # so kfp.local says that a step failed
            why = heard.failed[-1] if heard.failed else _plain(str(error))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    page, told = journal / PAGE, journal / TOLD
    facts = json.loads(told.read_text(encoding="utf-8")) if told.is_file() else {}
    return Finished(not why, why, page if page.is_file() else None, facts, log)


@dataclass
class _Heard(io.TextIOBase):
    """Takes what ``kfp.local`` and the processes write: into the log, and a step's own words to who follows the run."""

    file: TextIO
    follow: Tell
    failed: list[str] = field(default_factory=list)
    _rest: str = ""

    def write(self, text: str) -> int:
        """Take a piece of text; lines may come in parts."""
        self.file.write(text)
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            _, mark, said = line.partition(MARK)
            if mark:
                with contextlib.suppress(ValueError):
                    self._hear(json.loads(said))
        return len(text)

    def flush(self) -> None:
        """Have the log show what was said."""
        self.file.flush()

    def _hear(self, facts: Mapping[str, Any]) -> None:
        if facts["state"] == "failed" and not facts.get("forgiven"):
            self.failed.append(str(facts["why"]))
        self.follow(facts)


@contextlib.contextmanager
def _quiet(heard: _Heard) -> Iterator[None]:
    """Send to ``heard`` what ``kfp.local`` prints and logs, for standard output is for results.

    It puts handlers of its own on the root logger and replaces ``print`` from several threads; both are put back.
    """
    import builtins

    root = logging.getLogger()
    handlers, level, own_print = root.handlers[:], root.level, builtins.print
    root.handlers[:] = [logging.StreamHandler(heard)]  # else what is logged would go to the terminal
    try:
        with contextlib.redirect_stdout(heard), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        builtins.print = own_print
        root.handlers[:] = handlers
        root.setLevel(level)


@contextlib.contextmanager
def _environment(chosen: Mapping[str, str]) -> Iterator[None]:
    """Set variables that the steps' processes inherit, and the path on which they find this code."""
    before = dict(os.environ)
    path = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ.update({**chosen, "PYTHONPATH": os.pathsep.join(path), "PYTHONUNBUFFERED": "1"})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _plain(text: str) -> str:
    """Return a text without the colours of a terminal."""
    import re

    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def check_python() -> None:
    """Look whether the processes can be started as Kubeflow's command starts them.

    Raises
    ------
    TickloomError
        The path of this Python holds a blank, which that command does not take.
    """
    if any(it.isspace() for it in sys.executable):
        raise TickloomError(f"{sys.executable}: Kubeflow's command cannot start a Python whose path holds a blank")
