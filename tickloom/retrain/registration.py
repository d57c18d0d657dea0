"""Register a challenger that passed the gate; the alias ``champion`` is not moved here."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from tickloom.errors import TickloomError
from tickloom.forecast import lineage, package
from tickloom.forecast.models import REFERENCE
from tickloom.forecast.registry import Registry
from tickloom.forecast.residuals import FILE as RESIDUALS
from tickloom.forecast.residuals import ConformalResiduals
from tickloom.forecast.versions import Version
from tickloom.market.sessions import days_of, session_table
from tickloom.retrain import gating, results
from tickloom.retrain.left import ERRORS, EVALUATE, EVALUATION, TRAIN
from tickloom.retrain.results import Facts

if TYPE_CHECKING:
    from cassandra.cluster import Session

STEP = "register"
FILE = "register.json"
WHO = "retraining"
"""Who names an arm in the audit trail."""


def register(
    *,
    ticker: str,
    model: str,
    trained: Path,
    evaluated: Path,
    gated: Path,
    market: str,
    mlflow: str,
    run: str,
    out: Path | None = None,
    arm: str | None = None,
) -> Facts:
    """Register the model of a ticker as a new version, where the gate passed it.

    A second call with the same run, ticker, model and package finds the version of the first, so that a call whose
    answer was lost may be made again.

    Parameters
    ----------
    run
        Id of the pipeline's run.
    out
        Folder for what is returned.
    arm
        ``challenger-ARM`` is to name the version; by default no alias does. An experiment that runs and compares this
        alias is not disturbed: then it is an error. Experiments are those of the store at ``TICKLOOM_CASSANDRA``.

    Returns
    -------
    dict
        ``registered`` and ``why``; and where it was, ``name``, ``version``, ``alias``, ``run_id`` and ``tags``.

    Raises
    ------
    TickloomError
        What was checked is not what is to be registered, MLflow does not answer, or the arm cannot be named.
    """
    passed, learned = results.read(gated, gating.STEP), results.read(trained, TRAIN)
    judged = results.read(evaluated, EVALUATE)
    for told, folder in ((passed, gated), (learned, trained), (judged, evaluated)):
        if (told["ticker"], told["model"], told["market"]) != (ticker, model, market):
            raise TickloomError(f"{folder}: is of {told['model']} of {told['ticker']}, not of {model} of {ticker}")
    facts: Facts = {"ticker": ticker, "model": model, "market": market, "registered": False, "why": ""}
    if not passed["passed"]:
        failed = [it["name"] for it in passed["checks"] if not it["passed"]]
        return _told({**facts, "why": f"the gate refused: {', '.join(failed)}"}, out)
    if results.digest(trained) != passed["package_sha256"]:
        raise TickloomError(f"{trained}: is another package than the gate checked; run compare and gate again")
    registry = Registry(mlflow)
    tags = lineage.tags(learned, run)
    same = {name: tags[name] for name in (lineage.RUN, lineage.PACKAGE)}
    versions = registry.versions(market, ticker)
    mine = [it for it in versions if same.items() <= it.tags.items()]
    tags |= _gate(passed, [it for it in versions if it not in mine])
    with _experiments(arm) as session:
        version = mine[0] if mine else _push(registry, trained, evaluated, tags)
        alias = _named(session, registry, arm, market, ticker, version, run) if arm else None
    return _told(
        {
            **facts,
            "registered": True,
            "why": "the gate passed it",
            "name": version.name,
            "version": version.number,
            "alias": alias,
            "run_id": version.run,
            "tags": tags,
        },
        out,
    )


def _gate(passed: Facts, others: list[Version]) -> dict[str, str]:
    """Return between which cutoffs the gate judged, and how many of them it had judged the last version on.

    The sessions of a gate that is asked again and again are used up: what passes on the third try may pass by chance.

    Parameters
    ----------
    others
        Versions of the ticker, newest first, without this one.
    """
    first, last = passed.get("first_cutoff"), passed.get("last_cutoff")
    if first is None or last is None:
        return {}
    found = {lineage.GATE_FIRST: str(first), lineage.GATE_LAST: str(last), lineage.GATE_SHARED: "0"}
    before = next((it.tags for it in others if it.model == passed["model"] and lineage.GATE_LAST in it.tags), None)
    if before is None:
        return found
    begin, end = max(str(first), before[lineage.GATE_FIRST]), min(str(last), before[lineage.GATE_LAST])
    if begin <= end:
        days = (days_of(date.fromisoformat(it)) for it in (begin, end))
        at = [int(session_table(passed["market"]).index_of_day([it])[0]) for it in days]
        found[lineage.GATE_SHARED] = str(at[1] - at[0] + 1)
    return found


def _push(registry: Registry, trained: Path, evaluated: Path, tags: dict[str, str]) -> Version:
    """Put scores, errors and page beside the model, and register all of it."""
    judged = results.read(evaluated, EVALUATE)
    model, manifest = package.read(trained)
    errors = {}
    for name in (manifest.model, REFERENCE):
        place = evaluated / ERRORS / name
        if (place / RESIDUALS).is_file():
            errors[name] = ConformalResiduals.load(place)
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "package"
        verdict = replace(manifest, scores=tuple(judged["scores"]), verdict=judged["verdict"])
        package.write(whole, model, verdict, errors)
        if (evaluated / EVALUATION).is_dir():
            shutil.copytree(evaluated / EVALUATION, whole / package.EVALUATION)
        return registry.push(whole, tags)


def _named(
    session: "Session | None", registry: Registry, arm: str, market: str, ticker: str, version: Version, run: str
) -> str:
    from tickloom.experiment.arming import name

    now_us = time.time_ns() // 1000
    return name(session, registry, arm, market, {ticker: version.number}, WHO, now_us, f"run {run}")


@contextmanager
def _experiments(arm: str | None) -> "Iterator[Session | None]":
    """Give a session with the store that knows the experiments; None where no store is named, or none is needed."""
    from tickloom.settings import settings

    address = settings().cassandra
    if arm is None or address is None:
        yield None
        return
    from tickloom.store.connect import connect

    session = connect(address, settings().keyspace)
    try:
        yield session
    finally:
        session.cluster.shutdown()


def _told(facts: Facts, out: Path | None) -> Facts:
    if out is not None:
        return results.write(out, STEP, facts)
    return {"step": STEP, **facts}
