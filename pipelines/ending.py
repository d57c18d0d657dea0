"""What the last components do: gather the results of steps, register what may be, and tell how the run ended."""

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.runtime import attempt, failure, journal, keep_page, known, page_of, result, whole, why_skipped
from tickloom.errors import TickloomError

PAGE, TOLD = "report.html", "report.json"
_TOLD = {
    "train": ("step", "ticker", "model", "sessions", "last_day", "seconds"),
    "evaluate": ("step", "ticker", "model", "verdict", "ratio", "p_worse"),
}
"""What the report needs of steps that return more than a parameter of Kubeflow should hold."""


def of_pair(folders: Sequence[str], gate: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what the steps of one ticker and model found, the first that failed instead of what follows it."""
    failed = failure(folders)
    if failed is not None:
        return [known(failed)]
    found = [result(it) for it in folders]
    for folder, facts in zip(folders, found, strict=True):
        keep_page(facts, folder)  # of an evaluation that was taken from the cache, too
    return [*(known(brief(it)) for it in found if it["step"] in _TOLD), known(gate)]


def brief(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return of a step's facts those that the report needs; of a failure all."""
    names = _TOLD.get(facts["step"]) if "failed" not in facts else None
    return {name: value for name, value in facts.items() if names is None or name in names}


def of_run(
    pairs: Sequence[Any], fairness: Mapping[str, Any], registered: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Return the facts of all steps after the split in one list, numbers as they were before Kubeflow made them floats.

    Parameters
    ----------
    pairs
        Facts of each pair, or lists of them.
    fairness
        Empty where the pipeline has no such step.
    """
    parts = [part for pair in pairs for part in (pair if isinstance(pair, list) else [pair])]
    return [whole(it) for it in (*parts, *([fairness] if fairness else []), *registered)]


def gates(pairs: Sequence[Sequence[Mapping[str, Any]]]) -> list[Mapping[str, Any]]:
    """Return the facts of the gates of all pairs, without those that did not come so far."""
    return [it for pair in pairs for it in pair if it["step"] == "gate" and "failed" not in it]


def register_all(
    allowed: Sequence[Mapping[str, str]],
    pairs: Sequence[Sequence[Mapping[str, Any]]],
    packages: Sequence[str],
    judged: Sequence[str],
    gated: Sequence[str],
    out: str,
    *,
    market: str,
    mlflow: str,
    arms: Mapping[str, str],
    run: str,
) -> list[dict[str, Any]]:
    """Register what is allowed, and return what the step said of each.

    Parameters
    ----------
    allowed
        Tickers and models.
    pairs
        What the steps of each pair found, in the order of the folders that follow.
    """
    wanted = {(it["ticker"], it["model"]) for it in allowed}
    found = []
    for parts, trained, evaluated, passed in zip(pairs, packages, judged, gated, strict=True):
        which = {name: parts[-1][name] for name in ("ticker", "model")}
        if (which["ticker"], which["model"]) in wanted:
            found.append(
                attempt(
                    "register",
                    str(Path(out) / "-".join(which.values())),
                    **which,
                    trained=Path(trained),
                    evaluated=Path(evaluated),
                    gated=Path(passed),
                    market=market,
                    mlflow=mlflow,
                    run=run,
                    arm=arms.get(which["model"]),
                )
            )
    return found


def report_all(parts: Sequence[Mapping[str, Any]], out: str, page: str) -> dict[str, Any]:
    """Write the report of a run, also into the journal, and return how many pairs came to which end."""
    folder = journal()
    parts = [{**it, "page": page_of(it)} if _has_page(it, folder) else it for it in parts]
    facts = attempt("report", out, parts=parts, about={"run": folder.name} if folder is not None else None)
    copy(Path(out) / PAGE, page)
    if folder is not None:
        for name in (PAGE, TOLD):
            shutil.copyfile(Path(out) / name, folder / name)
    return {"rows": facts["rows"], "counts": facts["counts"]}


def _has_page(facts: Mapping[str, Any], folder: Path | None) -> bool:
    judged = facts.get("step") == "evaluate" and "failed" not in facts
    return judged and folder is not None and (folder / page_of(facts)).is_file()


def conclusion(state: str, message: str, trigger: str, policy: str, page: str) -> None:
    """Write how a run ended; where it did not come to its report, one of what its journal knows.

    Parameters
    ----------
    state, message
        Kubeflow's, of all tasks before.
    page
        Where Kubeflow takes the page from.
    """
    folder = journal()
    if folder is not None and (folder / PAGE).is_file():
        copy(folder / PAGE, page)
        return
    parts = (
        [] if folder is None else [json.loads(it.read_text(encoding="utf-8")) for it in sorted(folder.glob("*.json"))]
    )
    if not any("failed" in it for it in parts):
        why = f"{state}: {message}" if message else state
        asked = f" (asked for by {policy or 'a person'}: {trigger})"
        parts.append({"step": "run", "failed": why + asked if state != "SUCCEEDED" else None})
    with tempfile.TemporaryDirectory() as out:
        report_all(parts, out, page)


def settle(counts: Mapping[str, float]) -> None:
    """Mark a run in which a ticker and model failed, after the others came to their end.

    Raises
    ------
    TickloomError
        One failed.
    """
    if failed := int(counts.get("failed", 0)):
        all_of_them = int(sum(count for outcome, count in counts.items() if outcome != "skipped"))
        raise TickloomError(f"{failed} of {all_of_them} models failed; the report says why, and the champions stay")


def settle_features(facts: Mapping[str, Any]) -> None:
    """Mark a run that made no features at all; where some tickers were skipped, it is the others' run.

    Raises
    ------
    TickloomError
        No ticker goes on.
    """
    if not facts.get("ok"):
        raise TickloomError(f"no ticker has features: {why_skipped(facts)}")


def copy(source: Path, target: str) -> None:
    """Give a page that a step wrote to Kubeflow, which draws it; of a step that made none, one that says so."""
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    if source.is_file():
        shutil.copyfile(source, target)
    else:
        Path(target).write_text("<p>This step made no page.</p>\n", encoding="utf-8")
