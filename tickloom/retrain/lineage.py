"""Where a registered version comes from, as tags of the version in MLflow."""

from collections.abc import Mapping
from typing import Any

from tickloom import __version__
from tickloom.forecast.registry import Registry
from tickloom.settings import settings

RUN, APPROVER = "tickloom.run", "tickloom.approver"
DATA, EXTRACTED, PACKAGE = "tickloom.data_sha256", "tickloom.extracted_sha256", "tickloom.package_sha256"
CODE, COMMIT = "tickloom.version", "tickloom.commit"


def tags(learned: Mapping[str, Any], run: str) -> dict[str, str]:
    """Return the tags of a version: its data, code and run, and who approved it: nobody yet.

    Parameters
    ----------
    learned
        What ``train`` returned.
    run
        Id of the pipeline's run.
    """
    return {
        RUN: run,
        DATA: str(learned["data_sha256"]),
        EXTRACTED: str(learned["extracted_sha256"]),
        PACKAGE: str(learned["package_sha256"]),
        CODE: __version__,
        COMMIT: settings().commit or "unknown",
        APPROVER: "",
    }


def approve(registry: Registry, market: str, ticker: str, version: int, who: str) -> None:
    """Write down who approved a version.

    Raises
    ------
    TickloomError
        There is no such version, or MLflow does not answer.
    """
    registry.tag(market, ticker, version, {APPROVER: who})
