"""What a person decides about an experiment."""

from cassandra.cluster import Session

from tickloom.errors import TickloomError
from tickloom.experiment import aliases, health, states
from tickloom.experiment.actions import Action, after
from tickloom.experiment.findings import Findings
from tickloom.experiment.finishing import BUSY, finish
from tickloom.experiment.promotion import blocks
from tickloom.experiment.spec import CHAMPION
from tickloom.experiment.states import State
from tickloom.forecast.registry import Registry


def decide_by_hand(
    session: Session, registry: Registry, name: str, verb: str, who: str, why: str, now_us: int
) -> State:
    """Do what a person says: ``approve``, ``reject``, ``stop`` or ``rollback``.

    Raises
    ------
    TickloomError
        There is no such experiment, it is not in a state for that, or an alias was moved since it was compared.
    """
    state = finish(session, registry, states.known(session, name))
    action = _by_hand(session, registry, state, verb, why)
    changed = after(state, action, now_us, who)
    if not states.write(session, changed, state.revision):
        raise TickloomError(BUSY.format(name))
    return finish(session, registry, changed)


def _by_hand(session: Session, registry: Registry, state: State, verb: str, why: str) -> Action:
    if state.status == "asking" and verb in ("approve", "reject"):
        return _answer(state, verb, why)
    if verb in ("approve", "reject") and state.status != "waiting":
        raise TickloomError(
            f"experiment {state.name} is {state.status}, and waits for nobody's approval; "
            f"`tickloom experiment status {state.name}` says what is missing"
        )
    if verb == "approve":
        arm = state.proposal or ""
        named = aliases.named(state.experiment, registry.catalogue(), state.tickers)
        reasons = blocks(state, Findings(named=named), arm, health.of(session, state).ratio_p)
        if reasons:
            raise TickloomError(f"experiment {state.name}: {arm} cannot be promoted: {reasons[0]}")
        return Action("promote", why or "approved", arm)
    if verb == "reject":
        return Action("end", why or "rejected", CHAMPION)
    if verb == "stop" and not state.is_open and state.routes:
        return Action("keep", why or "the watch was ended by hand", CHAMPION)
    if verb == "stop":
        return Action("stop", why or "stopped by hand", CHAMPION)
    return Action("roll back", why or "rolled back by hand", CHAMPION)


def _answer(state: State, verb: str, why: str) -> Action:
    """Return what becomes of a champion that turned bad: the other version takes its place, or it stays."""
    if verb == "reject":
        return Action("keep", why or "rejected: the champion stays", CHAMPION)
    forward = state.decision is not None and state.decision.rolled_back
    return Action("promote again" if forward else "roll back", why or "approved", CHAMPION)
