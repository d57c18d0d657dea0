"""One look at what runs, and another, and another: score, weigh, decide, write down, do.

Several judges at a time are harmless: a state is changed by one of them alone (by comparison of its revision), moves of
aliases name versions and not directions, and a row of the trail that is written twice is one row.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce

import structlog
from cassandra.cluster import Session

from tickloom.errors import TickloomError
from tickloom.experiment import aliases, findings, health, states, trail
from tickloom.experiment.guardrails import judge
from tickloom.experiment.manifest import Experiment, check_together
from tickloom.experiment.maturing import score_ledger
from tickloom.experiment.modes import initial
from tickloom.experiment.promotion import Action, Findings, after, blocks, decide
from tickloom.experiment.spec import CHAMPION
from tickloom.experiment.states import Entry, Epoch, Pending, State
from tickloom.experiment.trail import JUDGE
from tickloom.forecast.registry import Registry
from tickloom.manifest.model import milliseconds
from tickloom.store import experiments

log = structlog.get_logger(__name__)

EVERY_S = 10.0
EVIDENCE_EVERY_S = 600.0
_TRIES = 3
_BUSY = "experiment {}: somebody else changed it at the same time; look at `tickloom experiment status`, and try again"


@dataclass
class Look:
    """What a look saw and did.

    Attributes
    ----------
    states : Mapping
        By experiment, after the look.
    findings : Mapping
        By experiment, where its forecasts were looked at.
    actions : list of (str, Action)
    failures : dict of str
        By experiment, why it could not be looked at or what was decided could not be done; the next look goes on.
    """

    states: dict[str, State] = field(default_factory=dict)
    findings: dict[str, Findings] = field(default_factory=dict)
    actions: list[tuple[str, Action]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)


class Judge:
    """Looks at experiments.

    Parameters
    ----------
    session
        With a keyspace.
    registry
        Whose aliases are moved.
    clock_us
        UTC microseconds since 1970.
    """

    def __init__(
        self, session: Session, registry: Registry, clock_us: Callable[[], int] = lambda: time.time_ns() // 1000
    ) -> None:
        self._session, self._registry, self._clock_us = session, registry, clock_us

    def look(self, name: str | None = None, *, forecasts: bool = True) -> Look:
        """Look at all experiments, or at one, and do what follows.

        Parameters
        ----------
        forecasts
            Whether to score what has matured and weigh it; False looks at requests alone, which is quick.

        Raises
        ------
        TickloomError
            Cassandra does not answer, so that not even the states are known.
        """
        done = Look(states={it: state for it, state in states.read(self._session).items() if name in (None, it)})
        for it, state in done.states.items():
            try:
                done.states[it] = self._one(state, done, forecasts)
            except TickloomError as error:
                done.failures[it] = str(error)
            except Exception as error:  # of one experiment, which must not keep the others from being looked at
                log.exception("could not judge", experiment=it)
                done.failures[it] = f"{type(error).__name__}: {error}"
        return done

    def _one(self, state: State, done: Look, forecasts: bool) -> State:
        for _ in range(_TRIES):
            state = finish(self._session, self._registry, state)
            changed, actions = self._decided(state, done, forecasts)
            if not actions:
                return state
            if states.write(self._session, changed, state.revision):
                break
            state = known(self._session, state.name)  # another was faster: look at what he left
        else:
            return state
        for action in actions:
            done.actions.append((state.name, action))
            log.info("decided", experiment=state.name, action=action.kind, arm=action.arm, why=action.why)
        return finish(self._session, self._registry, changed)

    def _decided(self, state: State, done: Look, forecasts: bool) -> tuple[State, list[Action]]:
        if not state.routes:
            return state, []
        now_us = self._clock_us()
        seen = see(self._session, state)
        found = None
        if forecasts and state.is_open:
            score_ledger(self._session, now_us, experiment=state.name)
            found = done.findings[state.name] = self.find(state)
        limits = state.experiment.spec.guardrails
        breaches = [it for it in (judge(arm, counts, limits) for arm, counts in seen.counts.items()) if it is not None]
        actions = decide(state, found, breaches, seen.ratio_p, now_us)
        return reduce(lambda given, action: after(given, action, now_us, JUDGE), actions, state), actions

    def find(self, state: State) -> Findings:
        """Return what matured forecasts and the registry say of an experiment."""
        named = aliases.named(state.experiment, self._registry.catalogue(), state.tickers)
        return findings.read(self._session, state, named, self._clock_us())

    def run(
        self, stop: threading.Event, *, every_s: float = EVERY_S, evidence_every_s: float = EVIDENCE_EVERY_S
    ) -> None:
        """Look until told to stop; what fails is logged, and looked at again.

        Parameters
        ----------
        every_s
            Seconds between looks at requests: a broken guardrail is acted on within that time.
        evidence_every_s
            Seconds between looks at forecasts.
        """
        # two threads, for a look at many forecasts takes longer than a broken guardrail may wait
        slow = threading.Thread(target=self._again, args=(stop, evidence_every_s, True), daemon=True)
        slow.start()
        self._again(stop, every_s, False)
        slow.join()

    def _again(self, stop: threading.Event, every_s: float, forecasts: bool) -> None:
        while not stop.is_set():
            began = time.monotonic()
            wait = every_s
            try:
                for name, why in self.look(forecasts=forecasts).failures.items():
                    log.error("could not judge", experiment=name, why=why)
                    wait = min(every_s, EVERY_S)
            except TickloomError as error:
                log.error("could not look", why=str(error))
                wait = min(every_s, EVERY_S)
            stop.wait(max(0.0, wait - (time.monotonic() - began)))


def see(session: Session, state: State) -> health.Health:
    """Return how the arms of an experiment fare at requests."""
    window = milliseconds(state.experiment.spec.guardrails.window) / 1000
    return health.read(session, state.name, state.generation, recent_s=min(health.KEPT_S, window))


def finish(session: Session, registry: Registry, state: State) -> State:
    """Do what was decided and may not be done yet, and return the state without it.

    Raises
    ------
    TickloomError
        Cassandra or MLflow does not answer; whoever looks next goes on.
    """
    if state.pending is None:
        return state

    def still() -> bool:
        return experiments.revision(session, state.name) == state.revision

    refused = aliases.apply(registry, state.experiment.spec.market, state.pending.moves, still)
    trail.add(session, state.name, state.pending.entries)
    time_us = max((it.time_us for it in state.pending.entries), default=0)
    trail.add(session, state.name, [
        Entry(
            id=f"{state.revision:06d}-refused-{at}", time_us=time_us, kind="alias", who=JUDGE,
            what="left an alias as it is", why=why,
        )
        for at, why in enumerate(refused)
    ])  # fmt: skip
    done = state.model_copy(update={"pending": None, "revision": state.revision + 1})
    # where another was faster, he has finished the same
    return done if states.write(session, done, state.revision) else states.read(session)[state.name]


def start(session: Session, registry: Registry, experiment: Experiment, who: str, now_us: int) -> tuple[State, bool]:
    """Have an experiment run, and return its state and whether it is new.

    One that runs takes over what may change of its file: guardrails, the ramp, the fewest sessions, who decides.

    Raises
    ------
    ConfigurationError
        An arm has no model for a ticker.
    TickloomError
        Another one takes a ticker of its, or one of the name was started with other arms.
    """
    there = states.read(session)
    mark, known = states.fingerprint(experiment), there.get(experiment.name)
    if known is not None:
        return _take_over(session, registry, known, experiment, mark, who, now_us), False
    versions = aliases.resolve(experiment, registry.catalogue())
    _check_numbers(registry, experiment, versions)
    tickers = tuple(versions[CHAMPION])
    resolved = experiment.model_copy(update={"spec": experiment.spec.model_copy(update={"tickers": tickers})})
    check_together([*states.routed(there.values())[0], resolved])
    weights = initial(resolved.spec)
    why = f"arms {', '.join(resolved.arms)} on {len(tickers)} tickers, mode {resolved.spec.mode}"
    entry = Entry(
        id="000000", time_us=now_us // 1000 * 1000, kind="decision", who=who, what="started it", why=why,
        numbers={"tickers": len(tickers), **{f"share_{arm}": it for arm, it in weights.values.items()}},
    )  # fmt: skip
    state = State(
        experiment=resolved, fingerprint=mark, started_us=now_us, versions=versions, weights=weights,
        epochs=(Epoch(weights=weights, since_us=now_us, why="the file's"),), pending=Pending(entries=(entry,)),
    )  # fmt: skip
    if not states.write(session, state, None):
        raise TickloomError(_BUSY.format(experiment.name))
    return finish(session, registry, state), True


def _check_numbers(registry: Registry, experiment: Experiment, versions: Mapping[str, Mapping[str, int]]) -> None:
    for arm in experiment.spec.arms:
        if arm.model.isdigit():
            for ticker, number in versions[arm.name].items():
                there = [it.number for it in registry.versions(experiment.spec.market, ticker)]
                if number not in there:
                    raise TickloomError(
                        f"Experiment {experiment.name}: arm {arm.name}: {ticker} has no version {number}; "
                        f"it has {', '.join(map(str, sorted(there))) or 'none'}"
                    )


def _take_over(
    session: Session, registry: Registry, known: State, experiment: Experiment, mark: str, who: str, now_us: int
) -> State:
    name = experiment.name
    if not known.is_open:
        raise TickloomError(
            f"experiment {name} is {known.status} already; give the new one another name, for the ledger keeps what "
            "was forecast under this one"
        )
    if known.fingerprint != mark:
        raise TickloomError(
            f"experiment {name} runs with other arms, tickers, mode, stickiness, salt, alpha, horizon or mostSessions; "
            "what was counted so far would not be of this file: give it another name, and "
            f"`tickloom experiment stop {name}`"
        )
    known = finish(session, registry, known)
    kept = experiment.spec.model_copy(update={"tickers": known.tickers})
    resolved = experiment.model_copy(update={"spec": kept})
    if resolved == known.experiment:
        return known
    entry = Entry(
        id=f"{known.revision + 1:06d}", time_us=now_us // 1000 * 1000, kind="decision", who=who,
        what="changed its rules", why="guardrails, ramp, fewest sessions or who decides are others in the file",
    )  # fmt: skip
    update = {"experiment": resolved, "revision": known.revision + 1, "pending": Pending(entries=(entry,))}
    changed = known.model_copy(update=update)
    if not states.write(session, changed, known.revision):
        raise TickloomError(_BUSY.format(name))
    return finish(session, registry, changed)


def decide_by_hand(
    session: Session, registry: Registry, name: str, verb: str, who: str, why: str, now_us: int
) -> State:
    """Do what a person says: ``approve``, ``reject``, ``stop`` or ``rollback``.

    Raises
    ------
    TickloomError
        There is no such experiment, it is not in a state for that, or an alias was moved since it was compared.
    """
    state = finish(session, registry, known(session, name))
    action = _by_hand(session, registry, state, verb, why)
    changed = after(state, action, now_us, who)
    if not states.write(session, changed, state.revision):
        raise TickloomError(_BUSY.format(name))
    return finish(session, registry, changed)


def known(session: Session, name: str) -> State:
    """Return the state of an experiment; raise a `TickloomError` with the known names where there is none."""
    there = states.read(session)
    if name not in there:
        names = ", ".join(there) or "none; `tickloom experiment start FILE` starts one"
        raise TickloomError(f"experiment {name!r} was never started; known: {names}")
    return there[name]


def _by_hand(session: Session, registry: Registry, state: State, verb: str, why: str) -> Action:
    if verb in ("approve", "reject") and state.status != "waiting":
        raise TickloomError(
            f"experiment {state.name} is {state.status}, and waits for nobody's approval; "
            f"`tickloom experiment status {state.name}` says what is missing"
        )
    if verb == "approve":
        arm = state.proposal or ""
        named = aliases.named(state.experiment, registry.catalogue(), state.tickers)
        reasons = blocks(state, Findings(named=named), arm, see(session, state).ratio_p)
        if reasons:
            raise TickloomError(f"experiment {state.name}: {arm} cannot be promoted: {reasons[0]}")
        return Action("promote", why or "approved", arm)
    if verb == "reject":
        return Action("end", why or "rejected", CHAMPION)
    if verb == "stop":
        return Action("stop", why or "stopped by hand", CHAMPION)
    return Action("roll back", why or "rolled back by hand", CHAMPION)
