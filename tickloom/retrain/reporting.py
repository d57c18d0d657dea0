"""What happened to each ticker and model of a retraining, for people and for programs."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tickloom
from tickloom.files import write_whole
from tickloom.forecast import lineage
from tickloom.forecast.plain import plain
from tickloom.retrain import age, pages, results
from tickloom.retrain.results import Facts

STEP = "report"
FILE = "report.json"
_SHOWN = ("name", "value", "wanted", "passed", "why")
"""Of a check; its limit alone does not tell in which direction it holds."""


def report(*, parts: Sequence[Mapping[str, Any]], out: Path, about: Mapping[str, Any] | None = None) -> Facts:
    """Write ``report.html`` and ``report.json`` of all that is known, however far the steps came.

    Parameters
    ----------
    parts
        What steps returned; and ``{"step", "ticker", "model", "failed": reason}`` for those that failed, with ticker
        and model where they are of one. ``page`` of an ``evaluate`` is the place of the walk-forward's page, relative
        to ``out``.
    about
        What else is told of the run, such as its name.

    Returns
    -------
    dict
        ``rows``, one for each ticker and model: ``outcome`` (``registered``, ``passed``, ``refused``, ``judged`` where
        nothing was trained, ``failed``, ``unfinished`` or ``skipped``), ``why`` and figures; ``skipped`` by ticker;
        ``failed``, a list; ``warnings``, sentences on tickers whose prices ended long ago; and ``counts`` by outcome.
    """
    skipped: dict[str, str] = {}
    for it in parts:
        skipped |= {str(name): str(why) for name, why in it.get("skipped", {}).items()}
        if it.get("step") == "extract":
            skipped |= {name: told["skipped"] for name, told in it.get("tickers", {}).items() if "skipped" in told}
    failed = [dict(it) for it in parts if it.get("failed")]
    pairs = dict.fromkeys((str(it["ticker"]), str(it["model"])) for it in parts if it.get("ticker") and it.get("model"))
    fairness = next((it for it in parts if it.get("step") == "fair" and not it.get("failed")), None)
    rows = [_row(ticker, model, parts, fairness) for ticker, model in pairs]
    rows += [{"ticker": name, "model": None, "outcome": "skipped", "why": why} for name, why in skipped.items()]
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["outcome"]] = counts.get(row["outcome"], 0) + 1
    checks = [
        {"ticker": it["ticker"], "model": it["model"], **_shown(row)}
        for it in parts
        if it.get("step") == "gate" and not it.get("failed")
        for row in it["checks"]
    ]
    found = {"rows": rows, "skipped": skipped, "failed": failed, "counts": counts, "warnings": _warnings(parts)}
    facts = results.write(out, STEP, found)
    write_whole(out / FILE, json.dumps({**facts, "parts": plain([dict(it) for it in parts])}, indent=1) + "\n")
    pages.write(
        out,
        "Retraining",
        [
            ("The run", [{"what": name, "value": value} for name, value in _about(parts, about or {}).items()]),
            ("Warnings", [{"warning": it} for it in facts["warnings"]]),
            ("What happened", [_linked(it) for it in facts["rows"]]),
            ("Checks of the gate", checks),
            ("Fairness over tickers", [_shown(it) for it in fairness["checks"]] if fairness else []),
            ("Failed", [{name: it.get(name) for name in ("step", "ticker", "model", "failed")} for it in failed]),
        ],
    )
    return facts


def _linked(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: pages.Link(it) if name == "walk_forward" and it else it for name, it in row.items()}


def _shown(check: Mapping[str, Any]) -> dict[str, Any]:
    return {name: check[name] for name in _SHOWN if name in check}


def _warnings(parts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what is to be said of the prices of tickers that go on; of a run that was broken off, of those known."""
    checked: dict[str, Mapping[str, Any]] = {}
    market = ""
    for it in parts:
        if it.get("step") in ("validate", "features", "split") and not it.get("failed"):
            market = str(it.get("market", market))
            checked |= {name: told.get("quality", told) for name, told in it.get("tickers", {}).items()}
    known = {name: told for name, told in checked.items() if "last_day" in told}
    return age.warnings(known, market) if known else []


def _about(parts: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the page says of the run: what was asked for, and the code."""
    split = next((it for it in parts if it.get("step") == "split"), {})
    asked = {name: split[name] for name in ("market", "horizon", "folds", "test", "gate") if name in split}
    return {
        **about,
        "written": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        **asked,
        "Tickloom": tickloom.__version__,
        "commit": lineage.commit(),
    }


def _row(
    ticker: str, model: str, parts: Sequence[Mapping[str, Any]], fairness: Mapping[str, Any] | None
) -> dict[str, Any]:
    mine = {
        it["step"]: it
        for it in parts
        if it.get("ticker") == ticker and it.get("model") == model and not it.get("failed")
    }
    broken = next(
        (it for it in parts if it.get("ticker") == ticker and it.get("model") == model and it.get("failed")), None
    )
    gate, registered = mine.get("gate"), mine.get("register")
    outcome, why = _outcome(model, mine, broken, fairness)
    return {
        "ticker": ticker,
        "model": model,
        "outcome": outcome,
        "why": why,
        "verdict": mine.get("evaluate", {}).get("verdict"),
        "walk_forward": mine.get("evaluate", {}).get("page"),
        "sessions": mine.get("train", {}).get("sessions"),
        "last_day": mine.get("train", {}).get("last_day"),
        "ratio_to_naive": gate.get("ratio") if gate else None,
        "cutoffs": gate.get("cutoffs") if gate else None,
        "champion": _champion(gate["champion"]) if gate else None,
        "version": registered.get("version") if registered else None,
        "alias": registered.get("alias") if registered else None,
    }


def _champion(champion: Mapping[str, Any]) -> str:
    """Return which version serves, or that none does yet."""
    if champion.get("version") is None:
        return "no champion yet: the random walk stands in"
    return f"{champion['model']} version {champion['version']}"


def _outcome(
    model: str, mine: Mapping[str, Any], broken: Mapping[str, Any] | None, fairness: Mapping[str, Any] | None
) -> tuple[str, str]:
    """Return how far a ticker and model came, and why no further."""
    gate, registered = mine.get("gate"), mine.get("register")
    if broken is not None:
        found = "failed", f"{broken['step']}: {broken['failed']}"
    elif registered is not None and registered["registered"]:
        named = f", {registered['alias']}" if registered.get("alias") else ""
        found = "registered", f"{registered['name']} version {registered['version']}{named}"
    elif gate is not None and not gate["passed"]:
        found = "refused", "; ".join(_said(it) for it in gate["checks"] if not it["passed"])
    elif gate is not None and fairness is not None and not fairness["passed"].get(model, True):
        found = "refused", "fair: " + next(it["why"] for it in fairness["checks"] if it["name"] == model)
    elif gate is not None:
        found = "passed", "the gate passed it, and it was not registered"
    elif "evaluate" in mine and "train" not in mine:
        found = "judged", "nothing was to be trained"
    else:
        found = "unfinished", ""
    return found


def _said(check: Mapping[str, Any]) -> str:
    return f"{check['name']}: {check['why']}"
