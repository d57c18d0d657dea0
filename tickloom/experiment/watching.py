"""Whether a champion that was promoted is taken back, from requests and from the ledger; nothing here reads or writes.

While a promotion is watched the former champion forecasts on, as the shadow arm `previous-champion`. The same bets are
made as before a promotion, the other way round: that the former champion forecasts better. Its own alarms are shared
between both tests, so a champion as good as the former one, whose intervals hold, is taken back with a probability of
at most ``alpha``.
"""

from collections.abc import Mapping, Sequence

from tickloom.experiment.actions import Action
from tickloom.experiment.findings import Findings
from tickloom.experiment.guardrails import Breach
from tickloom.experiment.promotion import found_better, trails
from tickloom.experiment.spec import CHAMPION, PREVIOUS, Coverage
from tickloom.experiment.states import JUDGE, State, Watch

_LOSSES = 0.8  # of alpha; what is left is the intervals'


def loss_alpha(alpha: float) -> float:
    """Return the part of an experiment's ``alpha`` with which losses take a promotion back."""
    return _LOSSES * alpha


def coverage_chance(alpha: float) -> float:
    """Return the part of an experiment's ``alpha`` with which intervals do: 0.01 of 0.05."""
    return (1 - _LOSSES) * alpha


def opposite(state: State, watch: Watch) -> State:
    """Return what is watched as an experiment of its own: the champion of now, and the former one as its challenger."""
    spec = state.dealt.spec
    rule = (spec.guardrails.coverage or Coverage()).model_copy(update={"sessions": watch.sessions})
    end = {"alpha": loss_alpha(spec.end.alpha), "least_sessions": 1, "most_sessions": watch.sessions}
    update = {
        "guardrails": spec.guardrails.model_copy(update={"coverage": rule}),
        "end": spec.end.model_copy(update=end),
    }
    versions = {CHAMPION: watch.champion, PREVIOUS: watch.former}
    compared = state.dealt.model_copy(update={"spec": spec.model_copy(update=update)})
    return state.model_copy(update={"experiment": compared, "versions": versions, "out": {}, "status": "running"})


def rolled_before(state: State, others: Mapping[str, State]) -> str | None:
    """Return the experiment whose promotion of one of the same tickers, the last before this one, the judge took back.

    Parameters
    ----------
    others
        All experiments by name; the state's own does not count.
    """
    if state.decision is None or state.watch is None:
        return None
    for ticker in state.watch.champion:
        before = [
            (it.decision.at_us, it.name, it.decision.rolled_back_by)
            for it in others.values()
            if it.name != state.name
            and it.experiment.spec.market == state.experiment.spec.market
            and it.decision is not None
            and it.decision.at_us < state.decision.at_us
            and ticker in {move.ticker for move in it.decision.moves}
        ]
        if before and max(before)[2] == JUDGE:
            return max(before)[1]
    return None


def watched(
    state: State, findings: Findings | None, breaches: Sequence[Breach], before: str | None, now_us: int
) -> list[Action]:
    """Return what is to be done about a promotion that is watched.

    Parameters
    ----------
    findings
        Of `opposite`; None for a look at requests alone.
    breaches
        Of guardrails on requests, of all arms.
    before
        What `rolled_before` says.
    now_us
        UTC microseconds since 1970.
    """
    if state.watch_until_us is not None:
        broken = next((it for it in breaches if it.arm == CHAMPION), None)
        if broken is not None:
            numbers = {"value": broken.value, "limit": broken.limit}
            return [Action("roll back", f"guardrail broken after the promotion: {broken}", CHAMPION, numbers)]
    found: list[Action] = []
    if state.watch is not None and findings is not None and state.status != "asking":
        found += _by_ledger(state, state.watch, findings, before)
    if any(it.kind == "roll back" for it in found):
        return found
    if state.watch_until_us is not None and now_us >= state.watch_until_us:
        why = "no guardrail broke while the promotion was watched"
        found.append(Action("end watch", why, CHAMPION))
    return found


def _by_ledger(state: State, watch: Watch, findings: Findings, before: str | None) -> list[Action]:
    found = _turned_bad(state, watch, findings)
    if found is None:
        if len(findings.cutoffs) < watch.sessions:
            return []
        why = f"in {watch.sessions} sessions the champion was not found worse than the former one"
        return [Action("end ledger watch", why, CHAMPION, {"sessions": len(findings.cutoffs)})]
    why, numbers = found
    doubt = _doubt(state, findings, before)
    if doubt is None:
        return [Action("roll back", why, CHAMPION, numbers)]
    return [Action("ask", f"{why}; nothing was moved, for {doubt}", CHAMPION, numbers)]


def _turned_bad(state: State, watch: Watch, findings: Findings) -> tuple[str, dict[str, float]] | None:
    """Return why the champion is to go, and the numbers; None while it is not."""
    compared = opposite(state, watch)
    needed = 1 / compared.experiment.spec.end.alpha
    worse = found_better(compared, findings)
    rows = trails(compared, findings).get(PREVIOUS)
    numbers = {"sessions_now": float(len(findings.cutoffs)), "needed": needed}
    if worse is not None and rows is not None:
        told = findings.evidence[PREVIOUS]
        numbers |= {
            "e_value": float(rows[worse[1] - 1]), "e_value_now": float(rows[-1]), "sessions": float(worse[1]),
            "mean_difference": float(-told.differences.mean()),
        }  # fmt: skip
        why = (
            f"it forecasts worse than the former champion: after {worse[1]} sessions the former one's e-value was "
            f"{numbers['e_value']:.4g}, and {needed:.4g} is needed"
        )
        return why, numbers
    broken = next((it for it in findings.coverage if it.arm == CHAMPION), None)
    if broken is None:
        return None
    return f"its intervals do not hold: {broken}", numbers | {"value": broken.value, "limit": broken.limit}


def _doubt(state: State, findings: Findings, before: str | None) -> str | None:
    """Return why a person has to say what becomes of the champion, None where it goes back on its own."""
    if state.decision is not None and state.decision.rolled_back:
        return "it is the one that was rolled back to"
    if before is not None:
        return f"the promotion before, by experiment {before}, was rolled back as well"
    broken = next((it for it in findings.coverage if it.arm == PREVIOUS), None)
    return None if broken is None else f"the former champion is no better: {broken}"
