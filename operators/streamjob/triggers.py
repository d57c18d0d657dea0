"""What is due to be retrained now, by the policy, the calendar and the facts: pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from operators.streamjob.facts import Facts, Ticker
from operators.streamjob.moments import stamp
from operators.streamjob.retrained import Retraining
from tickloom.manifest.model import milliseconds
from tickloom.market.closes import closes, zone
from tickloom.stream.job import Spec
from tickloom.stream.retraining import QuietHours, Retrain

LATE_S = 86_400.0
"""How long after it was due a run of the schedule is still started."""
_BEFORE, _AFTER = timedelta(days=21), timedelta(days=21)
"""Days in which the last and the next close are looked for: no exchange rests for so long."""


@dataclass(frozen=True)
class Trigger:
    """A reason to retrain.

    Parameters
    ----------
    kind
        ``asked``, ``drift``, ``loss``, ``drift+loss``, ``age``, ``sessions``, ``nightly`` or ``weekly``.
    of
        What it is of: the due time of a schedule, or the evidence. A kind and what it is of start one run.
    due
        Seconds since 1970.
    tickers
        Whose models.
    answers
        What a run for it answers, by kind and ticker.
    why
        A sentence.
    """

    kind: str
    of: str
    due: float
    tickers: tuple[str, ...]
    why: str
    answers: Mapping[str, str] = field(default_factory=dict)

    @property
    def asked(self) -> bool:
        """Whether a person asked for it."""
        return self.kind == "asked"


def first(spec: Spec, kept: Retraining, facts: Facts | None, asked: str | None, now: float) -> Trigger | None:
    """Return the trigger that comes first of those which are due and were not answered.

    Parameters
    ----------
    spec
        With a policy.
    kept
        What was answered.
    facts
        None where there are none.
    asked
        Value of the annotation.
    now
        Seconds since 1970.
    """
    policy = spec.retrain
    assert policy is not None
    if asked is not None and kept.answered.get("asked") != asked:
        answers = {"asked": asked, **_evidence_now(spec, facts, now)}
        return Trigger("asked", asked, now, spec.tickers, f"asked for by annotation ({asked})", answers)
    known = facts.tickers if facts is not None and facts.fresh(now) else {}
    for kind, found in _by_facts(spec, known, now):
        fresh = {ticker: of for ticker, of in found.items() if kept.answered.get(f"{kind}:{ticker}") != of}
        if fresh:
            of = ",".join(f"{ticker}={value}" for ticker, value in sorted(fresh.items()))
            tickers = tuple(ticker for ticker in spec.tickers if ticker in fresh)
            answers = {f"{kind}:{ticker}": value for ticker, value in fresh.items()}
            return Trigger(kind, of, now, tickers, f"{_WORDS[kind]}: {_few(tickers)}", answers)
    due = last_due(policy, spec.market, now)
    if due is not None and due >= kept.since and now - due <= LATE_S:
        of = stamp(due)
        if kept.answered.get("schedule") != of:
            answers = {"schedule": of, **_evidence_now(spec, facts, now)}
            why = f"the {policy.schedule} run that was due at {of}"
            return Trigger(policy.schedule, of, due, spec.tickers, why, answers)
    return None


_WORDS = {
    "drift+loss": "drift and matured losses agree",
    "drift": "drift",
    "loss": "matured losses above the limit",
    "age": "models are older than maxAge",
    "sessions": "newSessions have passed since training",
}


def _by_facts(spec: Spec, known: Mapping[str, Ticker], now: float) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each kind of trigger with the tickers that it holds for, and what it is of."""
    policy = spec.retrain
    assert policy is not None
    there = {ticker: known[ticker] for ticker in spec.tickers if ticker in known}
    drifts = {ticker: _id(it.drift.id) for ticker, it in there.items() if policy.on_drift.enabled and it.drift.found}
    losses = {ticker: _id(it.loss.id) for ticker, it in there.items() if _lost(policy, it)}
    both = {ticker: f"{drifts[ticker]}+{losses[ticker]}" for ticker in drifts if ticker in losses}
    one = [("drift", drifts), ("loss", losses)]
    match policy.agree:
        case "both" if policy.on_drift.enabled and policy.on_loss.enabled:
            yield "drift+loss", both
        case "both" | "any":
            yield from one
        case chosen:
            yield from ((kind, found) for kind, found in one if kind == chosen)
    if policy.max_age is not None:
        yield "age", _ages(there, milliseconds(policy.max_age) / 1000, now)
    if policy.new_sessions is not None:
        most = policy.new_sessions
        # again after as many more, for a model that was not promoted keeps its date
        yield (
            "sessions",
            {
                ticker: f"{it.trained or '-'}+{it.sessions // most}"
                for ticker, it in there.items()
                if it.sessions is not None and it.sessions >= most
            },
        )


def _ages(there: Mapping[str, Ticker], most_s: float, now: float) -> dict[str, str]:
    found = {}
    for ticker, it in there.items():
        if it.trained is not None:
            age = now - datetime.combine(it.trained, time(), UTC).timestamp()
            if age >= most_s:
                found[ticker] = f"{it.trained}+{int(age // most_s)}"
    return found


def _lost(policy: Retrain, it: Ticker) -> bool:
    rules = policy.on_loss
    return rules.enabled and it.loss.sessions >= rules.sessions and it.loss.ratio > rules.ratio


def _evidence_now(spec: Spec, facts: Facts | None, now: float) -> dict[str, str]:
    """Return what a run of all tickers answers beside its own trigger."""
    known = facts.tickers if facts is not None and facts.fresh(now) else {}
    return {f"{kind}:{ticker}": of for kind, found in _by_facts(spec, known, now) for ticker, of in found.items()}


def still(answered: Mapping[str, str], spec: Spec, facts: Facts | None, now: float) -> dict[str, str]:
    """Return what is worth keeping of what was answered: no evidence that fresh facts no longer have."""
    if facts is None or not facts.fresh(now):
        return dict(answered)
    current = _evidence_now(spec, facts, now)
    return {key: of for key, of in answered.items() if ":" not in key or key in current}


def last_due(policy: Retrain, market: str, now: float) -> float | None:
    """Return when the schedule's last run was due, in seconds since 1970; None without a schedule."""
    return max((due for due in _dues(policy, market, now) if due <= now), default=None)


def next_due(policy: Retrain, market: str, now: float) -> float | None:
    """Return when the schedule's next run is due, in seconds since 1970; None without a schedule."""
    return min((due for due in _dues(policy, market, now) if due > now), default=None)


def _dues(policy: Retrain, market: str, now: float) -> list[float]:
    if policy.schedule == "never":
        return []
    delay = milliseconds(policy.delay) / 1000
    # counted from the close before the delay, which may be of weeks
    around = datetime.fromtimestamp(now - delay, UTC).date()
    begin, end = around - _BEFORE, around + _AFTER
    sessions = list(closes(market, begin - timedelta(days=begin.weekday()), end + timedelta(days=6 - end.weekday())))
    if policy.schedule == "weekly":
        weeks: dict[tuple[int, int], tuple[date, float]] = {}
        for day, close in sessions:
            weeks[day.isocalendar()[:2]] = (day, close)
        sessions = list(weeks.values())
    return [close + delay for _, close in sessions]


def quiet_until(quiet: QuietHours | None, market: str, now: float) -> float | None:
    """Return when the quiet hours end, in seconds since 1970; None outside of them."""
    if quiet is None:
        return None
    place = zone(market)
    here = datetime.fromtimestamp(now, place)
    begin, end = time.fromisoformat(quiet.begin), time.fromisoformat(quiet.end)
    at = here.time()
    inside = begin <= at < end if begin < end else at >= begin or at < end
    if not inside:
        return None
    day = here.date() + timedelta(days=int(begin > end and at >= begin))
    return datetime.combine(day, end, place).timestamp()


def _id(text: str) -> str:
    return text or "-"


def _few(tickers: tuple[str, ...], most: int = 5) -> str:
    more = f" and {len(tickers) - most} more" if len(tickers) > most else ""
    return ", ".join(tickers[:most]) + more
