"""What is to be done about an experiment, from what is known of it, with reasons; nothing here reads or writes."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from tickloom.experiment import bandit
from tickloom.experiment.actions import Action, without
from tickloom.experiment.evidence import Floats, adjusted
from tickloom.experiment.findings import Findings
from tickloom.experiment.guardrails import Breach
from tickloom.experiment.modes import canary_step
from tickloom.experiment.ratio import ALPHA
from tickloom.experiment.spec import CHAMPION
from tickloom.experiment.states import State
from tickloom.manifest.model import milliseconds


def trails(state: State, findings: Findings) -> dict[str, Floats]:
    """Return for each challenger its e-value after each cutoff, adjusted over all of them, shape (cutoffs,)."""
    raw = {}
    for arm in (it for it in state.challengers if it in findings.evidence):
        found = findings.evidence[arm]
        at = np.searchsorted(found.cutoffs, np.asarray(findings.cutoffs, np.int64), side="right")
        raw[arm] = np.concatenate([[1.0], found.trail[:, 0]])[at]
    if not raw:
        return {}
    rows = [adjusted(list(row)) for row in np.column_stack(list(raw.values()))]
    table = np.array(rows).reshape(len(findings.cutoffs), len(raw))
    return {arm: table[:, at] for at, arm in enumerate(raw)}


def found_better(state: State, findings: Findings) -> tuple[str, int] | None:
    """Return the challenger that was first found better, and the number of the cutoff; of several that of most money.

    The first look is after ``leastSessions``. What was found stands, though the e-value may fall again.
    """
    end = state.experiment.spec.end
    rows = trails(state, findings)
    for at in range(end.least_sessions - 1, min(len(findings.cutoffs), end.most_sessions)):
        over = {arm: trail[at] for arm, trail in rows.items() if trail[at] >= 1 / end.alpha}
        if over:
            return max(over, key=lambda arm: (over[arm], -state.experiment.arms.index(arm))), at + 1
    return None


def blocks(state: State, findings: Findings, arm: str, ratio_p: float) -> list[str]:
    """Return what stands against promoting an arm, a sentence each."""
    found = []
    if ratio_p <= ALPHA:
        found.append(
            "the arms do not get the shares of their weights, so requests of an arm are lost or assigned by something "
            "else; find out by what, and start anew under another name"
        )
    for name in (arm, CHAMPION):
        for ticker, number in state.versions.get(name, {}).items():
            now = findings.named.get(name, {}).get(ticker)
            if now != number:
                alias = state.experiment.arm(name).model
                found.append(
                    f"{alias} of {ticker} names version {now if now is not None else 'none'}, and {number} was "
                    f"compared; move it back to {number}, or start anew under another name"
                )
    return found


def missing(state: State, findings: Findings, ratio_p: float) -> list[str]:
    """Return what is still missing for a decision, a sentence each."""
    if state.status == "asking":
        other = (
            "the version that was rolled back" if state.decision and state.decision.rolled_back else "the former one"
        )
        return [
            f"a person's word: `tickloom experiment approve {state.name}` has champion name {other} again, `reject` "
            "leaves it as it is"
        ]
    if not state.is_open:
        return []
    if state.status == "waiting":
        return [f"a person's word: `tickloom experiment approve {state.name}` or `reject`"]
    end, n = state.experiment.spec.end, len(findings.cutoffs)
    found = []
    if n < end.least_sessions:
        found.append(f"{end.least_sessions - n} more sessions: {n} of at least {end.least_sessions} have matured")
    better = found_better(state, findings)
    if better is not None:
        return found + blocks(state, findings, better[0], ratio_p)
    for arm, trail in trails(state, findings).items():
        last = float(trail[-1]) if len(trail) else 1.0
        found.append(
            f"evidence for {arm}: its e-value is {last:.3g}, and {1 / end.alpha:.3g} is needed; the champion stays "
            f"after {end.most_sessions} sessions ({n} so far)"
        )
    return found


def decide(
    state: State, findings: Findings | None, breaches: Sequence[Breach], ratio_p: float, now_us: int
) -> list[Action]:
    """Return what is to be done about an experiment that is open, in this order.

    Parameters
    ----------
    findings
        None for a look at requests alone: nobody is promoted then, and no bandit learns.
    breaches
        Of guardrails on requests, of all arms.
    ratio_p
        Anytime-valid p-value of the arms' shares.
    now_us
        UTC microseconds since 1970.
    """
    if not state.is_open:
        return []
    found: list[Action] = []
    broken = [*breaches, *(findings.coverage if findings else ())]
    for breach in broken:
        taken = [it.arm for it in found]
        if breach.arm in state.challengers and breach.arm not in taken:
            numbers = {"value": breach.value, "limit": breach.limit}
            found.append(Action("take out", f"guardrail broken: {breach}", breach.arm, numbers))
    left = [arm for arm in state.challengers if arm not in [it.arm for it in found]]
    if not left:
        return [*found, Action("end", "no challenger is left, so the champion stays")]
    if found:
        return found  # what they leave is looked at next time, with weights and pairs of those that are left
    ending = _ending(state, findings, ratio_p) if findings else []
    over = any(it.kind in ("promote", "end") for it in ending)
    return [*(() if over else _weights(state, findings, now_us)), *ending]


def _weights(state: State, findings: Findings | None, now_us: int) -> list[Action]:
    spec = state.experiment.spec
    if spec.mode == "canary" and spec.canary is not None:
        passed = max(0, now_us - state.started_us) // 1000 // milliseconds(spec.canary.every)
        step = min(int(passed) + 1, len(spec.canary.steps))
        if step <= state.step or spec.canary.arm in state.out:
            return []
        shares = without(canary_step(spec, step), state.out)
        why = f"step {step} of {len(spec.canary.steps)} of the ramp: no guardrail has broken"
        return [Action("weights", why, spec.canary.arm, {"share": shares[spec.canary.arm]}, shares, step)]
    if spec.mode in ("thompson", "epsilonGreedy") and findings is not None:
        step = bandit.epoch_at(spec, _time(state.started_us), _time(now_us))
        if step <= state.step:
            return []
        shares = dict(bandit.weights(state.experiment, step, findings.rewards, set(state.out)).values)
        if shares == dict(state.weights.values):
            return [Action("step", f"epoch {step} of the bandit changes nothing", step=step)]
        why = f"epoch {step} of the bandit: shares by {_counts(findings.rewards)}"
        numbers = {f"share_{arm}": share for arm, share in shares.items()}
        numbers |= {f"reward_{arm}": it.mean for arm, it in findings.rewards.items()}
        return [Action("weights", why, "", numbers, shares, step, findings.rewards)]
    return []


def _ending(state: State, findings: Findings, ratio_p: float) -> list[Action]:
    end, n = state.experiment.spec.end, len(findings.cutoffs)
    better = found_better(state, findings)
    reasons = blocks(state, findings, better[0], ratio_p) if better else []
    if better is not None and not reasons:
        arm, at = better
        if state.status == "waiting" and state.proposal == arm:
            return []
        rows = trails(state, findings)[arm]
        told = findings.evidence[arm]
        numbers = {
            "e_value": float(rows[at - 1]), "e_value_now": float(rows[-1]), "needed": 1 / end.alpha,
            "sessions": float(at), "sessions_now": float(n), "mean_difference": float(told.differences.mean()),
            "ratio_p": ratio_p,
        }  # fmt: skip
        why = (
            f"{arm} forecasts better than the champion: after {at} sessions its e-value was {rows[at - 1]:.4g}, and "
            f"{1 / end.alpha:.4g} is needed; no guardrail is broken"
        )
        return [Action("promote" if end.decision == "automatic" else "wait", why, arm, numbers)]
    if n >= end.most_sessions:
        values = {arm: float(trail[-1]) for arm, trail in trails(state, findings).items()}
        highest = max(values.values(), default=1.0)
        why = f"after {n} sessions the champion stays: " + (
            f"{better[0]} was found better, but {reasons[0]}"
            if better
            else f"the highest e-value is {highest:.4g}, and {1 / end.alpha:.4g} is needed"
        )
        return [Action("end", why, CHAMPION, {f"e_value_{arm}": it for arm, it in values.items()} | {"sessions": n})]
    text = "; ".join(reasons[:3]) + (f"; and {len(reasons) - 3} more" if len(reasons) > 3 else "")
    if better is not None and text != state.blocked:
        return [Action("block", f"{better[0]} was found better and is not promoted: {text}", better[0])]
    return []


def _counts(rewards: bandit.State) -> str:
    return ", ".join(f"{it.count} rewards of {arm}" for arm, it in rewards.items()) or "no rewards"


def _time(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1e6, UTC)
