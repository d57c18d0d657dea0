"""How an experiment begins to run, and takes over what may change of its file."""

from collections.abc import Iterable, Mapping

from cassandra.cluster import Session

from tickloom.errors import TickloomError
from tickloom.experiment import aliases, states
from tickloom.experiment.finishing import BUSY, finish
from tickloom.experiment.manifest import Experiment, check_together
from tickloom.experiment.modes import initial
from tickloom.experiment.spec import CHAMPION
from tickloom.experiment.states import Entry, Epoch, Pending, State
from tickloom.forecast.registry import Registry


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
    _check_watched(there.values(), resolved)
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
        raise TickloomError(BUSY.format(experiment.name))
    return finish(session, registry, state), True


def _check_watched(there: Iterable[State], experiment: Experiment) -> None:
    """Refuse tickers whose last promotion is watched: what a new experiment promoted would end that unseen."""
    for it in there:
        if it.watch is None or it.experiment.spec.market != experiment.spec.market:
            continue
        if taken := sorted(set(it.watch.champion) & set(experiment.spec.tickers or ())):
            raise TickloomError(
                f"experiment {it.name} watches what it promoted for {', '.join(taken[:5])} until {it.watch.sessions} "
                f"sessions have matured; `tickloom experiment stop {it.name}` ends that, and the champion stays"
            )


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
        raise TickloomError(BUSY.format(name))
    return finish(session, registry, changed)
