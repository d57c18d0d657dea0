"""Whether a model is to be trained again: from findings to one answer with its reason. No clock, no files."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

from tickloom.errors import ConfigurationError
from tickloom.monitor.findings import Finding, worst
from tickloom.stream.facts import Rule
from tickloom.stream.retraining import COOL_DOWN

FALSE_ALARMS = 2.5
ALONE = 0.5
"""False alarms a year of a signal that trains without the other one."""
FEATURE_LEVEL = 0.1


@dataclass(frozen=True)
class Policy:
    """When to train again.

    Parameters
    ----------
    rule
        ``both``: drift and matured losses agree; ``any``: one of them is enough; ``drift`` or ``loss``: that one alone.
    false_alarms
        A year, of returns that did not change, and as many of losses. With ``both`` the two have to err at the same
        time, so each may err often; for the other rules take 0.5.
    feature_level
        Share of years without any change in which a feature may look changed, over all features together.
    cool_down
        Sessions after a retraining in which there is no other.

    Raises
    ------
    ConfigurationError
        A value is outside of what it may be.
    """

    rule: Rule = "both"
    false_alarms: float = FALSE_ALARMS
    feature_level: float = FEATURE_LEVEL
    cool_down: int = COOL_DOWN

    def __post_init__(self) -> None:
        if self.rule not in get_args(Rule):
            raise ConfigurationError(f"policy: rule {self.rule!r} is unknown; known: {', '.join(get_args(Rule))}")
        if not 0 < self.feature_level < 1:
            raise ConfigurationError(f"policy: feature_level {self.feature_level} must lie between 0 and 1")
        if not 0 < self.false_alarms < math.inf:
            raise ConfigurationError(f"policy: false_alarms {self.false_alarms} a year must be above 0, such as 0.5")
        if self.cool_down < 0:
            raise ConfigurationError(f"policy: cool_down {self.cool_down} must be 0 sessions or more")

    @property
    def level(self) -> float:
        """Share of years with an alarm, where alarms come by themselves ``false_alarms`` times a year."""
        return 1 - math.exp(-self.false_alarms)

    @classmethod
    def usual(cls, rule: Rule) -> "Policy":
        """Return a rule with the false alarms that it was measured with."""
        return cls(rule, FALSE_ALARMS if rule == "both" else ALONE)


@dataclass(frozen=True)
class Decision:
    """What a policy says of some findings.

    Attributes
    ----------
    retrain : bool
    why : str
        One sentence.
    evidence : dict of str to float
        Adjusted p-values and values of what decided.
    drift, loss : str
        What drifted, and what of the losses did, at the policy's level; empty where nothing.
    """

    retrain: bool
    why: str
    evidence: Mapping[str, float] = field(default_factory=dict)
    drift: str = ""
    loss: str = ""


def decide(findings: Sequence[Finding], policy: Policy | None = None, since: int | None = None) -> Decision:
    """Decide for one ticker's model.

    Parameters
    ----------
    findings
        Of one ticker, adjusted; of one look.
    policy
        By default ``Policy()``.
    since
        Sessions since the last retraining; None where there was none.
    """
    policy = Policy() if policy is None else policy
    target, features, losses = (worst(findings, it) for it in ("target", "features", "losses"))
    moved = [it for it in (target,) if it is not None and it.adjusted <= policy.level]
    moved += [it for it in (features,) if it is not None and it.adjusted <= policy.feature_level]
    hurt = [losses] if losses is not None and losses.adjusted <= policy.level else []
    evidence = {
        f"{it.family}_{what}": value
        for it in (target, features, losses)
        if it is not None
        for what, value in (("p", it.adjusted), ("value", it.value), ("limit", it.limit))
    }
    drifted, lost = bool(moved), bool(hurt)
    wanted = {"both": drifted and lost, "any": drifted or lost, "drift": drifted, "loss": lost}[policy.rule]
    found = _told(moved, policy), _told(hurt, policy)
    said = f"{_said(found[0], 'drift')}; {_said(found[1], 'worse losses', known=losses is not None)}"
    if not wanted:
        return Decision(False, f"{said}: rule {policy.rule} asks for {_ASKED[policy.rule]}", evidence, *found)
    if since is not None and since < policy.cool_down:
        why = f"{said}: trained {since} sessions ago, and cool_down is {policy.cool_down} sessions"
        return Decision(False, why, evidence, *found)
    return Decision(True, f"{said}: rule {policy.rule} is met", evidence, *found)


_ASKED = {"both": "both", "any": "one of them", "drift": "drift", "loss": "losses"}


def _said(found: str, what: str, *, known: bool = True) -> str:
    if not found:
        return f"no sign of {what}" if known else "no losses are known"
    return f"{what}: {found}"


def _told(findings: Sequence[Finding], policy: Policy) -> str:
    """Return the findings in words, each with its p-value and the one up to which the policy takes it."""
    return ", ".join(
        f"{it.statistic} of {it.subject} "
        f"(p {it.adjusted:.3g}, taken up to {policy.feature_level if it.family == 'features' else policy.level:.2g})"
        for it in findings
    )
