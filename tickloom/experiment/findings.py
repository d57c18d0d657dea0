"""From the ledger to what a decision rests on: pairs, evidence, losses, coverage, a bandit's rewards."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import fsum, nan

import pandas as pd
from cassandra.cluster import Session

from tickloom.experiment import bandit
from tickloom.experiment.evidence import State as Evidence
from tickloom.experiment.evidence import begin
from tickloom.experiment.guardrails import COVERAGE_CHANCE, Breach, judge_coverage
from tickloom.experiment.maturing import entries
from tickloom.experiment.pairs import evidence
from tickloom.experiment.records import Forecast, ForecastKey, Score
from tickloom.experiment.scoring import compared, newest
from tickloom.experiment.spec import CHAMPION
from tickloom.experiment.states import State
from tickloom.manifest.model import milliseconds

PATIENCE = 5
"""Newest cutoffs among which one that lacks a ticker's close is waited for; older ones count without it."""
_LOSSES = (
    "absolute",
    "squared",
    "random_walk_absolute",
    "random_walk_squared",
    "covered_80",
    "covered_95",
    "direction",
)
_INTERVAL = "1d"

Together = Sequence[Mapping[str, Score]]
Named = Mapping[str, Mapping[str, int | None]]
"""By arm and ticker the version that the arm's alias names now."""


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


def read(
    session: Session, state: State, named: Named, now_us: int, since_us: int = 0, chance: float = COVERAGE_CHANCE
) -> Findings:
    """Return what the ledger says of an experiment now, from all its rows: a corrected close counts as corrected.

    Parameters
    ----------
    named
        By arm and ticker the version that the arm's alias names now.
    now_us
        UTC microseconds since 1970.
    since_us
        Forecasts that were made before do not count.
    chance
        Of a wrong verdict on an arm's coverage.

    Raises
    ------
    TickloomError
        Cassandra does not answer.
    """
    forecasts, scores = entries(session, state.name, None, _INTERVAL)
    return find(state, forecasts, scores, named, now_us, since_us, chance)


def find(
    state: State,
    forecasts: Iterable[Forecast],
    scores: Iterable[Score],
    named: Named,
    now_us: int,
    since_us: int = 0,
    chance: float = COVERAGE_CHANCE,
) -> Findings:
    """Return what forecasts and their scores, of any revision, say; see `read`."""
    horizon, arms = state.experiment.spec.end.horizon, (CHAMPION, *state.challengers)
    of_horizon = [
        it
        for it in forecasts
        if it.horizon == horizon and it.arm in arms and it.ticker in state.tickers and it.recorded_us >= since_us
    ]
    mine = {it.key: it for it in of_horizon if _version(it) == state.versions[it.arm][it.ticker]}
    matured = [it for it in scores if it.key in mine]
    together = compared(matured, arms).get(horizon, [])
    ripe = _ripe(mine, together, arms)
    counted = [it for it in together if it[CHAMPION].cutoff in ripe]
    cutoffs = tuple(sorted({it[CHAMPION].cutoff for it in counted}))
    most = state.experiment.spec.end.most_sessions
    return Findings(
        cutoffs=cutoffs,
        evidence={
            arm: evidence(_pairs(counted, mine, arm), horizon, most) if counted else begin(horizon, most)
            for arm in state.challengers
        },
        named=named,
        losses={arm: _means([it[arm] for it in counted]) for arm in arms} if counted else {},
        coverage=_coverage(state, matured, chance),
        rewards=_rewards(state, counted, arms, now_us),
        left_out=len(of_horizon) - len(mine),
    )


def _version(forecast: Forecast) -> int | None:
    return int(forecast.version) if forecast.version.isdigit() else None


def _ripe(forecasts: Mapping[ForecastKey, Forecast], together: Together, arms: Sequence[str]) -> set[int]:
    """Return the cutoffs that count: those before the first of the newest ones that waits for a ticker's close.

    So a ticker that is late does not join a cutoff that has been decided on, and one that is suspended holds up nothing
    for longer than the patience.
    """
    there: dict[tuple[str, int], set[str]] = defaultdict(set)
    for it in forecasts.values():
        there[it.ticker, it.cutoff].add(it.arm)
    wanted: dict[int, int] = defaultdict(int)
    for (_, cutoff), of_arms in there.items():
        wanted[cutoff] += len(of_arms) == len(arms)
    come: dict[int, int] = defaultdict(int)
    for pair in together:
        come[pair[CHAMPION].cutoff] += 1
    matured = sorted(come)
    for cutoff in matured[-PATIENCE:]:
        if come[cutoff] < wanted[cutoff]:
            return {it for it in matured if it < cutoff}
    return set(matured)


def _pairs(together: Together, forecasts: Mapping[ForecastKey, Forecast], arm: str) -> pd.DataFrame:
    rows = [
        (one.cutoff, one.ticker, one.horizon, one.y, forecasts[it[CHAMPION].key].y_hat, forecasts[one.key].y_hat)
        for it in together
        for one in (it[arm],)
    ]
    return pd.DataFrame(rows, columns=["cutoff", "ticker", "horizon", "y", "a", "b"])


def _means(scores: Sequence[Score]) -> dict[str, float]:
    known = {name: [it.losses[name] for it in scores if name in it.losses] for name in _LOSSES}
    return {name: fsum(values) / len(values) for name, values in known.items() if values}


def _coverage(state: State, scores: Iterable[Score], chance: float) -> list[Breach]:
    rule = state.experiment.spec.guardrails.coverage
    if rule is None:
        return []
    covered: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for it in newest(scores).values():
        covered[it.arm][it.ds].append(it.losses.get(f"covered_{rule.level}", nan))
    horizon = state.experiment.spec.end.horizon
    verdicts = (
        judge_coverage(arm, by_session, rule, horizon=horizon, chance=chance)
        for arm, by_session in sorted(covered.items())
    )
    return [it for it in verdicts if it is not None]


def _rewards(state: State, together: Together, arms: Sequence[str], now_us: int) -> bandit.State:
    """Return the rewards that had matured when the bandit's present epoch began."""
    spec = state.experiment.spec
    if spec.mode not in ("thompson", "epsilonGreedy"):
        return {}
    step = bandit.epoch_at(spec, _time(state.started_us), _time(now_us))
    began = state.started_us + max(0, step - 1) * milliseconds(spec.bandit.every) * 1000
    sessions: dict[int, list[Mapping[str, Score]]] = defaultdict(list)
    for it in together:
        if all(score.recorded_us < began for score in it.values()):
            sessions[it[CHAMPION].cutoff].append(it)
    rewards: dict[str, list[float]] = {arm: [] for arm in arms}
    for _, pairs in sorted(sessions.items()):
        means = {arm: fsum(it[arm].losses["absolute"] for it in pairs) / len(pairs) for arm in arms}
        for arm, reward in bandit.paired(means).items():
            rewards[arm].append(reward)
    return bandit.learn({}, rewards)


def _time(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1e6, UTC)
