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
from tickloom.experiment import aliases, findings, health, states
from tickloom.experiment.actions import Action, after
from tickloom.experiment.findings import Findings
from tickloom.experiment.finishing import finish
from tickloom.experiment.guardrails import judge
from tickloom.experiment.maturing import score_ledger
from tickloom.experiment.promotion import decide
from tickloom.experiment.states import JUDGE, State
from tickloom.experiment.watching import coverage_chance, opposite, rolled_before, watched
from tickloom.forecast.registry import Registry

log = structlog.get_logger(__name__)

EVERY_S = 10.0
EVIDENCE_EVERY_S = 600.0
_TRIES = 3


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
        everyone = states.read(self._session)
        done = Look(states={it: state for it, state in everyone.items() if name in (None, it)})
        for it, state in done.states.items():
            try:
                done.states[it] = self._one(state, everyone, done, forecasts)
            except TickloomError as error:
                done.failures[it] = str(error)
            except Exception as error:  # of one experiment, which must not keep the others from being looked at
                log.exception("could not judge", experiment=it)
                done.failures[it] = f"{type(error).__name__}: {error}"
        return done

    def _one(self, state: State, everyone: Mapping[str, State], done: Look, forecasts: bool) -> State:
        for _ in range(_TRIES):
            state = finish(self._session, self._registry, state)
            changed, actions = self._decided(state, everyone, done, forecasts)
            if not actions:
                return state
            if states.write(self._session, changed, state.revision):
                break
            state = states.known(self._session, state.name)  # another was faster: look at what he left
        else:
            return state
        for action in actions:
            done.actions.append((state.name, action))
            tell = log.warning if action.kind in ("ask", "roll back") else log.info
            tell("decided", experiment=state.name, action=action.kind, arm=action.arm, why=action.why)
        return finish(self._session, self._registry, changed)

    def _decided(
        self, state: State, everyone: Mapping[str, State], done: Look, forecasts: bool
    ) -> tuple[State, list[Action]]:
        if not state.routes:
            return state, []
        now_us = self._clock_us()
        seen = health.of(self._session, state)
        found = None
        if forecasts and (state.is_open or state.watch is not None):
            score_ledger(self._session, now_us, experiment=state.name)
            found = self.find(state) if state.is_open else self.find_watched(state)
            if found is not None:
                done.findings[state.name] = found
        limits = state.experiment.spec.guardrails
        breaches = [it for it in (judge(arm, counts, limits) for arm, counts in seen.counts.items()) if it is not None]
        if state.is_open:
            actions = decide(state, found, breaches, seen.ratio_p, now_us)
        else:
            actions = watched(state, found, breaches, rolled_before(state, everyone), now_us)
        return reduce(lambda given, action: after(given, action, now_us, JUDGE), actions, state), actions

    def find(self, state: State) -> Findings:
        """Return what matured forecasts and the registry say of an experiment."""
        named = aliases.named(state.experiment, self._registry.catalogue(), state.tickers)
        return findings.read(self._session, state, named, self._clock_us())

    def find_watched(self, state: State) -> Findings | None:
        """Return what forecasts that matured since a promotion say of it; None where they are not watched."""
        if state.watch is None:
            return None
        chance = coverage_chance(state.experiment.spec.end.alpha)
        compared = opposite(state, state.watch)
        return findings.read(self._session, compared, {}, self._clock_us(), state.watch.since_us, chance)

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
