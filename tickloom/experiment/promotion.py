"""What is to be done about an experiment, from what is known of it; nothing here reads or writes.

`decide` says what, with reasons and numbers; `after` is the state in which it was decided, with the moves of aliases
and the rows of the audit trail that follow written into it (`State.pending`) before any of them is done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import reduce
from typing import Literal

import numpy as np

from tickloom.errors import TickloomError
from tickloom.experiment import bandit
from tickloom.experiment.evidence import Floats, adjusted
from tickloom.experiment.evidence import State as Evidence
from tickloom.experiment.guardrails import Breach
from tickloom.experiment.modes import Weights, canary_step
from tickloom.experiment.ratio import ALPHA
from tickloom.experiment.spec import CHAMPION
from tickloom.experiment.states import Decision, Entry, Epoch, Move, Pending, State
from tickloom.manifest.model import milliseconds

Kind = Literal["promote", "wait", "take out", "weights", "step", "block", "end", "roll back", "end watch", "stop"]
Named = Mapping[str, Mapping[str, int | None]]
"""By arm and ticker the version that the arm's alias names now."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do.

    Attributes
    ----------
    arm : str
        Whose, where it is of one arm.
    why : str
        In one sentence.
    numbers : Mapping
        What it rests on.
    weights : Mapping
        New ones of ``weights``.
    step, rewards
        Of a canary or a bandit, what the new weights belong to.
    """

    kind: Kind
    why: str
    arm: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    step: int = 0
    rewards: bandit.State = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Findings:
    """What matured forecasts and the registry say.

    Attributes
    ----------
    cutoffs : tuple of int
        Those that count, ascending, days since 1970: every arm has forecast them, and their closes are known.
    evidence : Mapping
        Of each challenger against the champion.
    named : Mapping
        By arm and ticker the version that the arm's alias names now.
    losses : Mapping
        By arm and name, means over tickers and cutoffs, for people.
    coverage : sequence of Breach
        Arms whose intervals do not hold.
    rewards : Mapping
        Of a bandit, matured before its present epoch began.
    left_out : int
        Forecasts of other versions than those that the experiment began with.
    """

    cutoffs: tuple[int, ...] = ()
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    named: Named = field(default_factory=dict)
    losses: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    coverage: Sequence[Breach] = ()
    rewards: bandit.State = field(default_factory=dict)
    left_out: int = 0


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
    """Return what is to be done, in this order.

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
        return _watched(state, breaches, now_us)
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


def _watched(state: State, breaches: Sequence[Breach], now_us: int) -> list[Action]:
    if state.watch_until_us is None:
        return []
    broken = next((it for it in breaches if it.arm == CHAMPION), None)
    if broken is not None:
        numbers = {"value": broken.value, "limit": broken.limit}
        return [Action("roll back", f"guardrail broken after the promotion: {broken}", CHAMPION, numbers)]
    if now_us >= state.watch_until_us:
        return [Action("end watch", "no guardrail broke while the promotion was watched", CHAMPION)]
    return []


def _weights(state: State, findings: Findings | None, now_us: int) -> list[Action]:
    spec = state.experiment.spec
    if spec.mode == "canary" and spec.canary is not None:
        passed = max(0, now_us - state.started_us) // 1000 // milliseconds(spec.canary.every)
        step = min(int(passed) + 1, len(spec.canary.steps))
        if step <= state.step or spec.canary.arm in state.out:
            return []
        shares = _without(canary_step(spec, step), state.out)
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


def after(state: State, action: Action, now_us: int, who: str) -> State:
    """Return the state in which an action was decided, one revision on, with what follows from it as pending.

    Raises
    ------
    TickloomError
        The action does not fit the state: nothing was promoted that could be rolled back, an arm takes no part.
    """
    if action.kind in ("promote", "roll back"):
        changed, moves = _moved(state, action, now_us, who)
    else:
        changed, moves = _changed(state, action, now_us, who), ()
    time = now_us // 1000 * 1000
    entry = Entry(
        id=f"{state.revision + 1:06d}", time_us=time, kind="decision", who=who, what=_WHAT[action.kind], why=action.why,
        arm=action.arm, numbers=dict(action.numbers),
    )  # fmt: skip
    told = [entry] if action.kind not in ("step",) else []
    told += [_alias(entry, move, changed.decision) for move in moves]
    before = state.pending or Pending()
    pending = Pending(moves=(*before.moves, *moves), entries=(*before.entries, *told))
    return changed.model_copy(update={"revision": state.revision + 1, "pending": pending})


_WHAT: Mapping[Kind, str] = {
    "promote": "promoted an arm", "wait": "waits for approval", "take out": "took an arm out", "weights": "new weights",
    "block": "held a promotion back", "end": "ended it, the champion stays", "roll back": "rolled the promotion back",
    "end watch": "ended the watch", "stop": "stopped it", "step": "went on",
}  # fmt: skip


def _alias(entry: Entry, move: Move, decision: Decision | None) -> Entry:
    return Entry(
        id=f"{entry.id}-{move.ticker}", time_us=entry.time_us, kind="alias", who=entry.who,
        what=f"champion of {move.ticker} from version {move.old} to {move.new}", why=entry.why,
        arm=decision.arm if decision else "", ticker=move.ticker, version=str(move.new),
    )  # fmt: skip


def _moved(state: State, action: Action, now_us: int, who: str) -> tuple[State, tuple[Move, ...]]:
    spec, last = state.experiment.spec, state.decision
    alone = _epoch(state, {CHAMPION: 1.0}, now_us, action.why)
    alone |= {"generation": state.generation + 1, "status": "decided", "proposal": None, "blocked": ""}
    if action.kind == "promote":
        if not state.is_open or action.arm not in state.challengers:
            raise TickloomError(f"experiment {state.name}: arm {action.arm!r} cannot be promoted; it is {state.status}")
        pairs = ((ticker, state.versions[CHAMPION][ticker], new) for ticker, new in state.versions[action.arm].items())
        moves = tuple(Move(ticker=ticker, old=old, new=new) for ticker, old, new in pairs if old != new)
        made = Decision(arm=action.arm, who=who, why=action.why, at_us=now_us, moves=moves)
        watch = now_us + milliseconds(spec.end.watch) * 1000
        return state.model_copy(update={**alone, "decision": made, "watch_until_us": watch}), moves
    if last is None or not last.moves or last.rolled_back:
        raise TickloomError(
            f"experiment {state.name}: there is no promotion to roll back; `tickloom experiment status`"
        )
    back = tuple(Move(ticker=it.ticker, old=it.new, new=it.old) for it in last.moves)
    made = last.model_copy(update={"rolled_back": True})
    return state.model_copy(update={**alone, "decision": made, "watch_until_us": None}), back


def _changed(state: State, action: Action, now_us: int, who: str) -> State:
    update: dict[str, object]
    if action.kind == "take out":
        shares = _without(state.weights, {action.arm: action.why})
        out = {**state.out, action.arm: action.why}
        update = _epoch(state, shares, now_us, action.why) | {"out": out, "generation": state.generation + 1}
        if state.proposal == action.arm:
            update |= {"status": "running", "proposal": None}
    elif action.kind == "weights":
        update = _epoch(state, action.weights, now_us, action.why) | {"step": action.step, "rewards": action.rewards}
    elif action.kind == "step":
        update = {"step": action.step}
    elif action.kind == "wait":
        update = {"status": "waiting", "proposal": action.arm, "blocked": ""}
    elif action.kind == "block":
        text = action.why.split(" is not promoted: ", 1)[-1]
        update = {"blocked": text, "status": "running", "proposal": None}
    elif action.kind == "end watch":
        update = {"watch_until_us": None}
    else:  # end, stop
        if not state.is_open:
            raise TickloomError(
                f"experiment {state.name} is {state.status} already; `tickloom experiment audit` says why"
            )
        made = Decision(arm=CHAMPION, who=who, why=action.why, at_us=now_us)
        status = "stopped" if action.kind == "stop" else "decided"
        update = {"status": status, "decision": made, "proposal": None, "blocked": ""}
    return state.model_copy(update=update)


def _epoch(state: State, shares: Mapping[str, float], now_us: int, why: str) -> dict[str, object]:
    weights = Weights(state.weights.epoch + 1, dict(shares))
    return {"weights": weights, "epochs": (*state.epochs, Epoch(weights=weights, since_us=now_us, why=why))}


def _without(weights: Weights, out: Mapping[str, str]) -> dict[str, float]:
    kept = [arm for arm in out if arm in weights.values]
    return dict(reduce(lambda given, arm: given.without(arm, given.epoch), kept, weights).values)


def _counts(rewards: bandit.State) -> str:
    return ", ".join(f"{it.count} rewards of {arm}" for arm, it in rewards.items()) or "no rewards"


def _time(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1e6, UTC)
