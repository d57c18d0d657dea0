"""Which StreamJobs are to be looked at now, and what is written of them: pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from tickloom.errors import TickloomError
from tickloom.market.closes import closes
from tickloom.stream.facts import KEY, Facts, Rule
from tickloom.stream.job import Spec

LABEL = "tickloom.dev/facts"
SETTLE_S = 1800.0
"""After a close, until the day's bar is written."""
AGAIN_S = 12 * 3600.0
"""After a close, for which what could not be looked at, or had no bar of the session yet, is looked at again."""
_LONGEST = timedelta(days=21)
"""Days in which the last close is looked for: no exchange rests for so long."""


@dataclass(frozen=True)
class Job:
    """A StreamJob with a policy that facts can start a run of.

    Parameters
    ----------
    rule
        Rule of its evidence; where it takes none, for ages alone, ``both``.
    """

    namespace: str
    name: str
    uid: str
    market: str
    tickers: tuple[str, ...]
    rule: Rule

    @property
    def object_name(self) -> str:
        """Name of the ConfigMap with its facts."""
        return f"tickloom-facts-{self.name}"


def job(body: Mapping[str, Any]) -> Job | None:
    """Return what of a StreamJob is to be looked at; None where nothing is.

    Raises
    ------
    TickloomError
        Its manifest is one of another release, which the operator says too.
    """
    meta, raw = body["metadata"], body.get("spec") or {}
    if not raw.get("retrain") and raw.get("retrain") != {}:
        return None
    try:
        spec = Spec.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(it) for it in first["loc"])
        raise TickloomError(f"StreamJob {meta['namespace']}/{meta['name']}: spec.{place}: {first['msg']}") from None
    policy = spec.retrain
    if policy is None or policy.suspend or spec.state == "suspended" or "deletionTimestamp" in meta:
        return None
    if policy.rule is None and policy.max_age is None and policy.new_sessions is None:
        return None
    return Job(meta["namespace"], meta["name"], meta["uid"], spec.market, spec.tickers, policy.rule or "both")


def known(config_map: Mapping[str, Any] | None) -> Facts | None:
    """Return the facts of a ConfigMap; None where it has none that can be read."""
    text = ((config_map or {}).get("data") or {}).get(KEY)
    try:
        return None if text is None else Facts.model_validate_json(text)
    except ValidationError:
        return None


def due(job: Job, facts: Facts | None, now: datetime) -> str:
    """Return why a job is to be looked at now, in words; empty where it is not.

    Raises
    ------
    TickloomError
        Its market is unknown.
    """
    if facts is None:
        return "there are no facts"
    if facts.rule != job.rule:
        return f"facts are of rule {facts.rule}, and the policy's is {job.rule}"
    new = [it for it in job.tickers if it not in facts.tickers]
    if new:
        return f"{', '.join(new[:5])} was not looked at yet"
    day, close = _last_close(job.market, now - timedelta(seconds=SETTLE_S))
    if facts.made.timestamp() < close + SETTLE_S:
        return f"{job.market} has closed {day}"
    lacking = [it for it in job.tickers if facts.tickers[it].problem or (facts.tickers[it].looked or date.min) < day]
    again = lacking and now.timestamp() - close < AGAIN_S
    return f"{', '.join(lacking[:5])} was not looked at after {day}" if again else ""


def config_map(job: Job, facts: Facts) -> dict[str, Any]:
    """Return the manifest of a job's facts, which goes when the job does."""
    owner = {"apiVersion": "tickloom.dev/v1alpha1", "kind": "StreamJob", "name": job.name, "uid": job.uid}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": job.object_name,
            "namespace": job.namespace,
            "labels": {LABEL: job.name},
            "ownerReferences": [owner],
        },
        "data": {KEY: facts.model_dump_json(exclude_none=True, indent=1)},
    }


def _last_close(market: str, until: datetime) -> tuple[date, float]:
    """Return the last session that has closed by then, and its close in seconds since 1970."""
    day = until.astimezone(UTC).date()
    return [it for it in closes(market, day - _LONGEST, day + timedelta(days=1)) if it[1] <= until.timestamp()][-1]
