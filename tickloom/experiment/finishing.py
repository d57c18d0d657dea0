"""What was decided is done, by whoever comes next, as often as it takes."""

from cassandra.cluster import Session

from tickloom.experiment import aliases, states, trail
from tickloom.experiment.states import JUDGE, Entry, State
from tickloom.forecast.registry import Registry
from tickloom.store import experiments

BUSY = "experiment {}: somebody else changed it at the same time; look at `tickloom experiment status`, and try again"


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
