"""Where an experiment stands, as one object: for people, for ``--json``, for the page."""

from datetime import UTC, datetime
from math import isfinite
from typing import Any

from tickloom.experiment.evidence import confidence
from tickloom.experiment.findings import Findings
from tickloom.experiment.guardrails import judge
from tickloom.experiment.health import Health
from tickloom.experiment.promotion import found_better, missing, trails
from tickloom.experiment.ratio import ALPHA
from tickloom.experiment.spec import CHAMPION, PREVIOUS
from tickloom.experiment.states import Decision, State
from tickloom.experiment.watching import opposite
from tickloom.manifest.model import milliseconds
from tickloom.market.sessions import day_of


def summary(state: State, findings: Findings, seen: Health, watched: Findings | None = None) -> dict[str, Any]:
    """Return it with plain values only; what is unknown is None.

    Parameters
    ----------
    watched
        What forecasts say of a promotion that is watched (`Judge.find_watched`).
    """
    spec, rows = state.experiment.spec, trails(state, findings)
    better = found_better(state, findings)
    return {
        "name": state.name, "status": state.status, "mode": spec.mode, "market": spec.market,
        "tickers": list(state.tickers), "started": _time(state.started_us), "revision": state.revision,
        "epoch": state.weights.epoch, "generation": state.generation, "horizon": spec.end.horizon,
        "sessions": len(findings.cutoffs), "least_sessions": spec.end.least_sessions,
        "most_sessions": spec.end.most_sessions, "alpha": spec.end.alpha, "needed": 1 / spec.end.alpha,
        "found_better": better[0] if better else None, "found_after": better[1] if better else None,
        "cutoffs": [day_of(it).isoformat() for it in findings.cutoffs],
        "arms": [_arm(state, findings, seen, rows, it) for it in state.experiment.arms],
        "ratio_p": seen.ratio_p, "ratio_is_off": seen.ratio_p <= ALPHA, "replicas": seen.replicas,
        "left_out": findings.left_out, "proposal": state.proposal, "blocked": state.blocked or None,
        "decision": _decision(state.decision), "watch_until": _time(state.watch_until_us),
        "watch": _watch(state, watched), "question": state.question or None,
        "unfinished": state.pending is not None, "missing": missing(state, findings, seen.ratio_p),
    }  # fmt: skip


def headline(found: dict[str, Any]) -> str:
    """Return in one sentence what it is and how far it is."""
    return (
        f"{found['name']}: {found['status']}, {found['mode']} on {len(found['tickers'])} tickers of {found['market']} "
        f"since {found['started'][:10]}; {found['sessions']} of {found['least_sessions']} to {found['most_sessions']} "
        f"sessions have matured, {found['horizon']} ahead"
    )


def watch_line(it: dict[str, Any]) -> str:
    """Return in one sentence what forecasts since a promotion say of it."""
    losses = [it["losses"].get(arm, {}).get("absolute") for arm in (CHAMPION, PREVIOUS)]
    mae = f"; mae {100 * losses[0]:.3f}, the former one's {100 * losses[1]:.3f}" if None not in losses else ""
    return (
        f"watched for {it['sessions']} of {it['most_sessions']} sessions: the former champion's e-value is "
        f"{it['e_value']:.3g}, and {it['needed']:.3g} takes the promotion back{mae}"
        + "".join(f"; {text}" for text in it["broken"])
    )


def shares(found: dict[str, Any]) -> str:
    """Return in one sentence whether arms get their shares."""
    if not found["replicas"]:
        return "Sample ratio: no replica of the service has counted keys in the last minutes."
    said = "NOT those of the weights" if found["ratio_is_off"] else "in order"
    return f"Sample ratio: {said} (p {found['ratio_p']:.3g}, {found['replicas']} replicas)."


def cells(it: dict[str, Any]) -> tuple[str, ...]:
    """Return an arm's row: share, evidence, losses, requests, guardrails."""
    losses = it["losses"]
    bounds = it["confidence"]
    difference = f"{it['mean_difference']:+.3f} [{bounds[0]:+.2f}, {bounds[1]:+.2f}]" if bounds else "–"
    return (
        it["arm"],
        "out" if it["out"] else "–" if it["weight"] is None else f"{it['weight']:.1%}",
        "–" if it["e_value"] is None else f"{it['e_value']:.3g}",
        difference,
        f"{100 * losses['absolute']:.3f}" if "absolute" in losses else "–",
        f"{100 * losses['random_walk_absolute']:.3f}" if "random_walk_absolute" in losses else "–",
        f"{losses['covered_95']:.0%}" if "covered_95" in losses else "–",
        "–" if it["requests"] is None else f"{it['requests']:,}",
        "–" if it["failures"] is None else f"{it['failures']:,}",
        "–" if it["p99_ms"] is None else f"{it['p99_ms']:.3g}",
        it["out"] or "; ".join(it["broken"]) or "in order",
    )


def _arm(state: State, findings: Findings, seen: Health, rows: Any, arm: str) -> dict[str, Any]:
    limits = state.experiment.spec.guardrails
    counts, evidence = seen.counts.get(arm), findings.evidence.get(arm)
    broken = [str(it) for it in findings.coverage if it.arm == arm]
    if counts is not None and (breach := judge(arm, counts, limits)) is not None:
        broken.insert(0, str(breach))
    slow = counts.quantile(0.99) if counts is not None else float("nan")
    trail = rows.get(arm)
    # one that was asked for no session yet has no bounds that were worth their time
    bounds = confidence(evidence, state.experiment.spec.end.alpha) if evidence and len(evidence.cutoffs) else None
    return {
        "arm": arm, "model": state.experiment.arm(arm).model, "weight": state.weights.values.get(arm),
        "out": state.out.get(arm), "versions": dict(state.versions[arm]),
        "e_value": None if arm == CHAMPION or trail is None else float(trail[-1]) if len(trail) else 1.0,
        "e_values": None if trail is None else [float(it) for it in trail],
        "mean_difference": float(evidence.differences.mean()) if bounds and evidence else None,
        "confidence": list(bounds) if bounds else None,
        "losses": dict(findings.losses.get(arm, {})),
        "requests": counts.requests if counts else None, "failures": counts.failures if counts else None,
        "p99_ms": 1000 * slow if isfinite(slow) else None,
        "p99_limit_ms": None if limits.p99 is None else milliseconds(limits.p99),
        "keys": seen.keys.get(arm), "expected_keys": seen.expected.get(arm), "broken": broken,
    }  # fmt: skip


def _watch(state: State, findings: Findings | None) -> dict[str, Any] | None:
    if state.watch is None or findings is None:
        return None
    compared = opposite(state, state.watch)
    trail, evidence = trails(compared, findings).get(PREVIOUS), findings.evidence.get(PREVIOUS)
    known = trail is not None and evidence is not None and len(trail) > 0
    return {
        "since": _time(state.watch.since_us), "sessions": len(findings.cutoffs), "most_sessions": state.watch.sessions,
        "champion": dict(state.watch.champion), "former": dict(state.watch.former),
        "e_value": float(trail[-1]) if known and trail is not None else 1.0,
        "needed": 1 / compared.experiment.spec.end.alpha,
        "mean_difference": float(-evidence.differences.mean()) if known and evidence is not None else None,
        "losses": {arm: dict(it) for arm, it in findings.losses.items()},
        "broken": [str(it) for it in findings.coverage], "left_out": findings.left_out,
    }  # fmt: skip


def _decision(it: Decision | None) -> dict[str, Any] | None:
    if it is None:
        return None
    return {
        "arm": it.arm, "who": it.who, "why": it.why, "at": _time(it.at_us), "rolled_back": it.rolled_back,
        "rolled_back_by": it.rolled_back_by or None, "rolled_back_why": it.rolled_back_why or None,
        "moves": [one.model_dump() for one in it.moves],
    }  # fmt: skip


def _time(us: int | None) -> str | None:
    return None if us is None else datetime.fromtimestamp(us / 1e6, UTC).isoformat(timespec="seconds")
