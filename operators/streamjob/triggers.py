"""What is due to be retrained now, by the policy, the calendar and the facts: pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from operators.streamjob.facts import Facts
from operators.streamjob.moments import stamp
from operators.streamjob.retrained import EVIDENCE, Retraining
from tickloom.manifest.model import milliseconds
from tickloom.market.closes import closes, zone
from tickloom.stream.facts import Ticker
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
    for kind, found in _by_facts(spec, facts, now):
        fresh = {ticker: of for ticker, of in found.items() if kept.answered.get(f"{kind}:{ticker}") != of}
        if kind in EVIDENCE:
            fresh = {ticker: of for ticker, of in fresh.items() if _rested(spec, kept, ticker, now) is None}
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
    "loss": "matured losses are bad",
    "age": "models are older than maxAge",
    "sessions": "newSessions have passed since training",
}


def _by_facts(spec: Spec, facts: Facts | None, now: float) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each kind of trigger with the tickers that it holds for, and what it is of; nothing of facts too old."""
    policy = spec.retrain
    assert policy is not None
    if facts is None or not facts.fresh(now, spec.market):
        return
    there = {ticker: facts.tickers[ticker] for ticker in spec.tickers if ticker in facts.tickers}
    seen = {ticker: it for ticker, it in there.items() if not it.problem} if measured(policy, facts) else {}
    drifts = {ticker: _id(it.drift.id) for ticker, it in seen.items() if policy.on_drift.enabled and it.drift.found}
    losses = {ticker: _id(it.loss.id) for ticker, it in seen.items() if _lost(policy, it)}
    match policy.rule:
        case "both":
            yield "drift+loss", {it: f"{drifts[it]}+{losses[it]}" for it in drifts if it in losses}
        case "any":
            yield from (("drift", drifts), ("loss", losses))
        case "drift":
            yield "drift", drifts
        case "loss":
            yield "loss", losses
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


def measured(policy: Retrain, facts: Facts) -> bool:
    """Return whether findings are of the policy's rule: those of another have other false alarms, and say nothing."""
    return facts.rule is None or facts.rule == policy.rule


def cooling(spec: Spec, kept: Retraining, facts: Facts | None, now: float) -> dict[str, int]:
    """Return the tickers whose evidence rests, each with the sessions since the run that trained it."""
    found = {
        ticker: _rested(spec, kept, ticker, now)
        for kind, its in _by_facts(spec, facts, now)
        if kind in EVIDENCE
        for ticker in its
    }
    return {ticker: passed for ticker, passed in found.items() if passed is not None}


def _rested(spec: Spec, kept: Retraining, ticker: str, now: float) -> int | None:
    """Return how many sessions have closed since a ticker was trained; None where they are the cool-down or more."""
    policy = spec.retrain
    assert policy is not None
    begun = kept.trained.get(ticker)
    if begun is None:
        return None
    first, last = (datetime.fromtimestamp(it, UTC).date() for it in (begun - LATE_S, now))
    if (last - first).days > 2 * policy.cool_down + _AFTER.days:
        return None  # of two days one has a session, so nothing is to be counted
    passed = sum(begun < close <= now for _, close in closes(spec.market, first, last))
    return passed if passed < policy.cool_down else None


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
    if not rules.enabled:
        return False
    ratio = it.loss.ratio if it.loss.sessions >= rules.sessions else None
    return it.loss.found or (rules.ratio is not None and ratio is not None and ratio > rules.ratio)


def _evidence_now(spec: Spec, facts: Facts | None, now: float) -> dict[str, str]:
    """Return what a run of all tickers answers beside its own trigger."""
    return {f"{kind}:{ticker}": of for kind, found in _by_facts(spec, facts, now) for ticker, of in found.items()}


def still(answered: Mapping[str, str], spec: Spec, facts: Facts | None, now: float) -> dict[str, str]:
    """Return what is worth keeping of what was answered: no evidence that fresh facts no longer have."""
    if facts is None or not facts.fresh(now, spec.market):
        return dict(answered)
    current = _evidence_now(spec, facts, now)
    unknown = {ticker for ticker, it in facts.tickers.items() if it.problem}
    return {
        key: of for key, of in answered.items() if ":" not in key or key in current or key.partition(":")[2] in unknown
    }


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
