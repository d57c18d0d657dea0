"""A plan in the making: the status to write, the actions, the conditions."""

from dataclasses import dataclass, field
from typing import Any

from operators.streamjob.actions import Action, Plan, Tell, WriteStatus
from operators.streamjob.moments import stamp
from operators.streamjob.names import LABEL_JOB
from operators.streamjob.seen import Seen
from operators.streamjob.status import CONDITIONS, LONGEST_MESSAGE, Condition, Phase, Status

PROGRESS_EVERY_S = 30.0
_PROGRESS = ("progress", "progress_at")
RESYNC_S = 300.0


@dataclass
class Draft:
    """Gathers what is to be done; ``finish`` puts the status in front of it.

    Parameters
    ----------
    seen
        What was observed.
    """

    seen: Seen
    status: Status = field(init=False)
    why: str = "the status is brought up to date"
    again_s: float = RESYNC_S
    _actions: list[Action] = field(default_factory=list)
    _told: list[Tell] = field(default_factory=list)
    _conditions: dict[str, tuple[str, str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.status = self.seen.status
        self.condition("Degraded", False, "AsWanted")
        self.condition("Suspended", False, "NotSuspended")
        self.condition("UpgradePending", False, "NothingPending")

    def update(self, **values: Any) -> None:
        """Change fields of the status to be."""
        self.status = self.status.model_copy(update=values)

    def phase(self, phase: Phase) -> None:
        """Set the phase."""
        self.update(phase=phase)

    def condition(self, kind: str, value: bool | None, reason: str, message: str = "") -> None:
        """Set a condition; None is Unknown."""
        self._conditions[kind] = ("Unknown" if value is None else str(value), reason, message)

    def degrade(self, reason: str, message: str, *, each_message: bool = False) -> None:
        """Set Degraded, with an event unless it is Degraded already for this reason.

        Parameters
        ----------
        each_message
            Whether another message with the same reason is an event too; not so where it holds figures that change.
        """
        self.condition("Degraded", True, reason, message)
        before = next((item for item in self.seen.status.conditions if item.type == "Degraded"), None)
        known = before is not None and before.status == "True" and before.reason == reason
        if not known or (each_message and before is not None and before.message != message[:LONGEST_MESSAGE]):
            self.tell("Warning", reason, message)

    def do(self, action: Action) -> None:
        """Add an action."""
        self._actions.append(action)

    def tell(self, type: str, reason: str, message: str) -> None:
        """Add an event; it is written once the status says what it says."""
        self._told.append(Tell(type, reason, message))

    def look_again(self, seconds: float) -> None:
        """Ask for another look within ``seconds``."""
        self.again_s = max(0.0, min(self.again_s, seconds))

    def finish(self) -> Plan:
        """Return the plan: first the status, then the events about it, then what it intends."""
        seen = self.seen
        now = stamp(seen.now)
        before: dict[str, Condition] = {item.type: item for item in seen.status.conditions}
        conditions = []
        for kind in CONDITIONS:
            if kind not in self._conditions:
                continue
            value, reason, message = self._conditions[kind]
            old = before.get(kind)
            since = old.last_transition_time if old and old.status == value else now
            conditions.append(
                Condition.model_validate(
                    {
                        "type": kind,
                        "status": value,
                        "reason": reason,
                        "message": message[:LONGEST_MESSAGE],
                        "last_transition_time": since,
                        "observed_generation": seen.generation,
                    }
                )
            )
        self.update(
            # a printed column can choose a condition by its type, and not by its status as well
            degraded=next((it.reason for it in conditions if it.type == "Degraded" and it.status == "True"), None),
            conditions=tuple(conditions),
            observed_generation=seen.generation,
            selector=f"{LABEL_JOB}={seen.name}",
        )
        self._hold_progress()
        written = [WriteStatus(self.status, self.why)] if self.status != seen.status else []
        return Plan((*written, *self._told, *self._actions), self.again_s)

    def _hold_progress(self) -> None:
        """Leave progress as it was written where it alone has changed and was written lately."""
        old, new = self.seen.status, self.status
        only_progress = new.model_copy(update={name: getattr(old, name) for name in _PROGRESS}) == old
        if new.progress == old.progress:
            self.update(progress_at=old.progress_at)
        elif only_progress and old.progress_at is not None and self.seen.now - old.progress_at < PROGRESS_EVERY_S:
            self.update(progress=old.progress, progress_at=old.progress_at)
            self.look_again(PROGRESS_EVERY_S - (self.seen.now - old.progress_at))
        else:
            self.update(progress_at=self.seen.now)
