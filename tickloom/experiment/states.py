"""What has become of an experiment: what routers need and what the judge has decided, a row changed by comparison.

A state is never changed in place. Whoever changes one says which revision he saw, and is refused where another was
faster. What follows from a decision, moves of aliases and rows of the audit trail, is written down in the state first
(``pending``) and done afterwards; whoever comes next finishes what was left undone.
"""

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Literal

from cassandra.cluster import Session
from pydantic import BaseModel, ConfigDict, ValidationError

from tickloom.errors import TickloomError
from tickloom.experiment.bandit import Rewards
from tickloom.experiment.manifest import Experiment
from tickloom.experiment.modes import Weights
from tickloom.experiment.spec import CHAMPION, PREVIOUS, Arm
from tickloom.store import experiments

Status = Literal["running", "waiting", "decided", "asking", "stopped"]
"""``waiting`` is for a person's approval, ``asking`` for his word on a promotion that turned bad; ``decided`` also
where the champion stayed."""
JUDGE = "judge"
"""Who did what no person did."""
_MATTERS = ("market", "tickers", "mode", "stickiness", "arms", "bandit")
_MATTERS_AT_END = ("alpha", "horizon", "most_sessions")


class Part(BaseModel):
    """A frozen part of a state."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Epoch(Part):
    """Weights, from when on, and why; with key and experiment they give each assignment again."""

    weights: Weights
    since_us: int
    why: str


class Move(Part):
    """A ticker's ``champion`` from one version to another, which leaves the old one as ``previous-champion``.

    Attributes
    ----------
    approver : str
        Who approved the new version, which is written into its tags; empty where it had been champion before.
    taken_back : str
        Why the old version is taken back, for its tags; empty where it is not.
    """

    ticker: str
    old: int
    new: int
    approver: str = ""
    taken_back: str = ""


class Entry(Part):
    """A row of the audit trail; the same ``id`` and ``time_us`` are the same row.

    Attributes
    ----------
    who : str
        A person's name, or ``judge``.
    """

    id: str
    time_us: int
    kind: Literal["decision", "alias"]
    who: str
    what: str
    why: str
    arm: str = ""
    ticker: str = ""
    version: str = ""
    numbers: Mapping[str, float] = {}


class Pending(Part):
    """What was decided and may not be done yet."""

    moves: tuple[Move, ...] = ()
    entries: tuple[Entry, ...] = ()


class Watch(Part):
    """What a promotion is watched for in the ledger.

    Attributes
    ----------
    since_us : int
        Forecasts that were made before do not count.
    champion, former : Mapping
        By ticker, the version that ``champion`` names now and the one that it named before.
    sessions : int
        Matured ones after which it ends.
    """

    since_us: int
    champion: Mapping[str, int]
    former: Mapping[str, int]
    sessions: int


class Decision(Part):
    """How an experiment ended.

    Attributes
    ----------
    arm : str
        Whose version is the champion now; ``champion`` where that is the one that it was.
    moves : tuple of Move
        Those of a promotion, which a rollback takes back.
    rolled_back_by, rolled_back_why : str
        Who took it back, a person or ``judge``, and why; empty where nobody did.
    """

    arm: str
    who: str
    why: str
    at_us: int
    moves: tuple[Move, ...] = ()
    rolled_back: bool = False
    rolled_back_by: str = ""
    rolled_back_why: str = ""


class State(Part):
    """An experiment that runs, or did.

    Attributes
    ----------
    experiment : Experiment
        As it was started, ``tickers`` being those that had a model for every arm.
    fingerprint : str
        Of the file, as `fingerprint` makes it.
    revision : int
        Grows by 1 with each change.
    versions : Mapping
        By arm and ticker, the version that the arm named at the start: what is compared, and promoted.
    weights : Weights
        Those of now.
    epochs : tuple of Epoch
        All weights so far, the last ones being ``weights``.
    out : Mapping
        Arms that were taken out, and why.
    generation : int
        Grows when an alias of ``champion`` moves or an arm goes: what was counted before says nothing any more.
    step : int
        Of a canary ramp or a bandit, the step or epoch by its own count.
    rewards : Mapping
        Of a bandit, what its present weights were made of.
    proposal : str or None
        The arm that waits for a person's approval.
    blocked : str
        Why the arm that was found better is not promoted; empty where nothing stands against it.
    watch_until_us : int or None
        Until when a broken guardrail takes a promotion back.
    watch : Watch or None
        What forecasts are watched for after a promotion.
    question : str
        What a person is asked while the status is ``asking``.
    """

    experiment: Experiment
    fingerprint: str
    revision: int = 0
    status: Status = "running"
    started_us: int
    versions: Mapping[str, Mapping[str, int]]
    weights: Weights
    epochs: tuple[Epoch, ...]
    out: Mapping[str, str] = {}
    generation: int = 0
    step: int = 0
    rewards: Mapping[str, Rewards] = {}
    proposal: str | None = None
    blocked: str = ""
    decision: Decision | None = None
    watch_until_us: int | None = None
    watch: Watch | None = None
    question: str = ""
    pending: Pending | None = None

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return self.experiment.name

    @property
    def tickers(self) -> tuple[str, ...]:
        """Those that take part."""
        return self.experiment.spec.tickers or ()

    @property
    def challengers(self) -> tuple[str, ...]:
        """Arms that are compared with the champion and not out, as the file has them in order."""
        return tuple(arm for arm in self.experiment.arms if arm != CHAMPION and arm not in self.out)

    @property
    def is_open(self) -> bool:
        """Tell whether it may still be decided."""
        return self.status in ("running", "waiting")

    @property
    def routes(self) -> bool:
        """Tell whether routers deal its keys: while it is open, and while a promotion is watched."""
        return self.is_open or self.watch_until_us is not None or self.watch is not None

    @property
    def dealt(self) -> Experiment:
        """What routers deal by: the experiment, and while forecasts are watched its champion beside the former one.

        Tickers whose champion did not move have no former one, and take no part then.
        """
        if self.watch is None:
            return self.experiment
        spec = self.experiment.spec
        former = Arm(name=PREVIOUS, model=PREVIOUS, weight=None, shadow=True)
        arms = (self.experiment.arm(CHAMPION).model_copy(update={"weight": None}), former)
        update = {
            "mode": "championChallenger", "arms": arms, "canary": None, "tickers": tuple(self.watch.champion),
        }  # fmt: skip
        watched = spec.model_copy(update=update)
        return self.experiment.model_copy(update={"spec": watched})


def fingerprint(experiment: Experiment) -> str:
    """Return SHA-256 of what must not change while an experiment runs, in hex.

    Arms, tickers, mode, stickiness, salt, and of its end the alpha, the horizon and the most sessions: bets were made
    for these. Guardrails, the ramp's steps, the fewest sessions and who decides may change.
    """
    spec = experiment.spec.model_dump(mode="json")
    told = {name: spec[name] for name in _MATTERS} | {name: spec["end"][name] for name in _MATTERS_AT_END}
    return sha256(json.dumps([experiment.salt, told], sort_keys=True).encode()).hexdigest()


def read(session: Session) -> Mapping[str, State]:
    """Return the states of all experiments by name.

    Raises
    ------
    TickloomError
        Cassandra does not answer, or a state is none that this version can read.
    """
    return {name: _state(name, revision, text) for name, revision, text in experiments.states(session)}


def known(session: Session, name: str) -> State:
    """Return the state of an experiment; raise a `TickloomError` with the known names where there is none."""
    there = read(session)
    if name not in there:
        names = ", ".join(there) or "none; `tickloom experiment start FILE` starts one"
        raise TickloomError(f"experiment {name!r} was never started; known: {names}")
    return there[name]


def write(session: Session, state: State, expected_revision: int | None) -> bool:
    """Write a state where the one that stands has the expected revision, and tell whether it was written.

    Parameters
    ----------
    expected_revision
        None where there is to be none yet.

    Raises
    ------
    TickloomError
        Cassandra does not answer; it may be written or not, which the next reading shows.
    """
    text = state.model_dump_json(by_alias=True)
    return experiments.put_state(session, state.name, state.revision, state.status, text, expected_revision)


def routed(states: Iterable[State]) -> tuple[tuple[Experiment, ...], dict[str, Weights]]:
    """Return what a `Router` takes: the experiments whose keys are dealt, and their weights."""
    mine = [it for it in states if it.routes]
    return tuple(it.dealt for it in mine), {it.name: it.weights for it in mine}


def _state(name: str, revision: int, text: str) -> State:
    try:
        return State.model_validate_json(text).model_copy(update={"revision": revision})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(it) for it in first["loc"])
        raise TickloomError(
            f"state of experiment {name}, revision {revision}: {place}: {first['msg']}; it was written by another "
            "version of Tickloom: run that one, or start the experiment anew under another name"
        ) from None
