"""What a plan may ask for; ``apply`` alone carries it out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from operators.streamjob.status import Status


@dataclass(frozen=True)
class WriteStatus:
    """Write the status; nothing after it is done when another hand was faster."""

    status: Status
    why: str


@dataclass(frozen=True)
class Apply:
    """Make an object as the manifest says, or bring it back to that."""

    manifest: Mapping[str, Any]
    why: str


@dataclass(frozen=True)
class Start:
    """Make the driver of an epoch, once no other driver of the job is alive."""

    manifest: Mapping[str, Any]
    epoch: int
    why: str
    forced: bool = False


@dataclass(frozen=True)
class Delete:
    """Delete an object, if it is still the one that was seen."""

    kind: str
    name: str
    uid: str
    why: str


@dataclass(frozen=True)
class SetFinalizer:
    """Put the operator's finalizer on the StreamJob, or take it off."""

    present: bool
    why: str


@dataclass(frozen=True)
class Tell:
    """Write an event of Kubernetes about the StreamJob."""

    type: str
    reason: str
    message: str

    @property
    def why(self) -> str:
        """Return what the event says."""
        return self.message


@dataclass(frozen=True)
class Submit:
    """Have a run of a pipeline made, unless there is one of its name: nothing waits for it here.

    Parameters
    ----------
    name
        Its display name.
    attempt
        How often it was to be sent; an answer is of one attempt.
    pipeline
        Display name of the pipeline, of which the last version is run.
    """

    name: str
    attempt: int
    pipeline: str
    parameters: Mapping[str, Any]
    description: str
    why: str


Action = WriteStatus | Apply | Start | Delete | SetFinalizer | Submit | Tell


@dataclass(frozen=True)
class Plan:
    """Actions in their order, and when to look again at the latest, in seconds."""

    actions: tuple[Action, ...] = ()
    again_s: float = 300.0
