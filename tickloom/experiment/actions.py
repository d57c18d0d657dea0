"""What is done about an experiment, and the state in which that was decided; nothing here reads or writes.

`after` writes the moves of aliases and the rows of the audit trail that follow into the state (`State.pending`) before
any of them is done.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import reduce
from typing import Literal

from tickloom.errors import TickloomError
from tickloom.experiment import bandit
from tickloom.experiment.modes import Weights
from tickloom.experiment.spec import CHAMPION, PREVIOUS
from tickloom.experiment.states import JUDGE, Decision, Entry, Epoch, Move, Pending, State, Watch
from tickloom.manifest.model import milliseconds

Kind = Literal[
    "promote", "wait", "take out", "weights", "step", "block", "end", "stop",
    "roll back", "ask", "promote again", "keep", "end watch", "end ledger watch",
]  # fmt: skip


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


def after(state: State, action: Action, now_us: int, who: str) -> State:
    """Return the state in which an action was decided, one revision on, with what follows from it as pending.

    Raises
    ------
    TickloomError
        The action does not fit the state: nothing was promoted that could be rolled back, an arm takes no part.
    """
    if action.kind in ("promote", "roll back", "promote again"):
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
    "end watch": "ended the watch", "ask": "asks a person",
    "promote again": "promoted again what was rolled back", "keep": "ended the watch of forecasts",
    "end ledger watch": "ended the watch of forecasts", "stop": "stopped it", "step": "went on",
}  # fmt: skip


def _alias(entry: Entry, move: Move, decision: Decision | None) -> Entry:
    return Entry(
        id=f"{entry.id}-{move.ticker}", time_us=entry.time_us, kind="alias", who=entry.who,
        what=f"champion of {move.ticker} from version {move.old} to {move.new}", why=entry.why,
        arm=decision.arm if decision else "", ticker=move.ticker, version=str(move.new),
    )  # fmt: skip


def _moved(state: State, action: Action, now_us: int, who: str) -> tuple[State, tuple[Move, ...]]:
    update: dict[str, object]
    if action.kind == "promote":
        if not state.is_open or action.arm not in state.challengers:
            raise TickloomError(f"experiment {state.name}: arm {action.arm!r} cannot be promoted; it is {state.status}")
        pairs = ((ticker, state.versions[CHAMPION][ticker], new) for ticker, new in state.versions[action.arm].items())
        by = _approver(state, who)
        moves = tuple(Move(ticker=ticker, old=old, new=new, approver=by) for ticker, old, new in pairs if old != new)
        end = state.experiment.spec.end
        update = {
            "decision": Decision(arm=action.arm, who=who, why=action.why, at_us=now_us, moves=moves),
            "watch_until_us": now_us + milliseconds(end.watch) * 1000,
            "watch": _watch(moves, now_us, end.watch_sessions),
        }
    else:
        moves, made = _back(state, action, now_us, who)
        # what a person has said is not watched
        sessions = state.experiment.spec.end.watch_sessions if who == JUDGE else 0
        update = {"decision": made, "watch_until_us": None, "watch": _watch(moves, now_us, sessions)}
    shares = {CHAMPION: 1.0} | ({PREVIOUS: 0.0} if update["watch"] is not None else {})
    alone = _epoch(state, shares, now_us, action.why)
    alone |= {"generation": state.generation + 1, "status": "decided", "proposal": None, "blocked": "", "question": ""}
    return state.model_copy(update=alone | update), moves


def _back(state: State, action: Action, now_us: int, who: str) -> tuple[tuple[Move, ...], Decision]:
    """Return the moves that take a promotion back, or that take back its taking back."""
    last, again = state.decision, action.kind == "promote again"
    if last is None or not last.moves or last.rolled_back != again:
        raise TickloomError(
            f"experiment {state.name}: there is no promotion to roll back; `tickloom experiment status`"
        )
    if again:
        moves = tuple(it.model_copy(update={"approver": _approver(state, who)}) for it in last.moves)
        return moves, last.model_copy(update={"rolled_back": False, "rolled_back_by": "", "rolled_back_why": ""})
    day = datetime.fromtimestamp(now_us / 1e6, UTC).isoformat(timespec="seconds")
    told = f"{day}, {who}, experiment {state.name}: {action.why}"
    moves = tuple(Move(ticker=it.ticker, old=it.new, new=it.old, taken_back=told) for it in last.moves)
    return moves, last.model_copy(update={"rolled_back": True, "rolled_back_by": who, "rolled_back_why": action.why})


def _approver(state: State, who: str) -> str:
    return who if who != JUDGE else f"experiment {state.name} at alpha {state.experiment.spec.end.alpha:g}"


def _watch(moves: tuple[Move, ...], now_us: int, sessions: int) -> Watch | None:
    if not sessions or not moves:
        return None
    champion, former = {it.ticker: it.new for it in moves}, {it.ticker: it.old for it in moves}
    return Watch(since_us=now_us, champion=champion, former=former, sessions=sessions)


def _changed(state: State, action: Action, now_us: int, who: str) -> State:
    update: dict[str, object]
    if action.kind == "take out":
        shares = without(state.weights, {action.arm: action.why})
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
    elif action.kind == "ask":
        update = {"status": "asking", "question": action.why}
    elif action.kind in ("keep", "end ledger watch"):
        update = _epoch(state, {CHAMPION: 1.0}, now_us, action.why)
        update |= {"status": "decided", "watch": None, "question": ""}
        if action.kind == "keep":
            update |= {"watch_until_us": None}
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


def without(weights: Weights, out: Mapping[str, str]) -> dict[str, float]:
    """Return shares after arms were taken out, whose share the champion takes over."""
    kept = [arm for arm in out if arm in weights.values]
    return dict(reduce(lambda given, arm: given.without(arm, given.epoch), kept, weights).values)
