"""What the status keeps of retraining: runs, and what has been answered by one."""

from typing import Literal

from pydantic import Field

from operators.streamjob.moments import Moment
from tickloom.manifest.model import Model

RunState = Literal[
    "Submitting", "Pending", "Running", "Succeeded", "Failed", "Canceled", "Lost"
]  # fmt: skip
STATES: dict[str, str] = {
    "Submitting": "It is to be sent, or was sent and its answer is not known.",
    "Pending": "Kubeflow Pipelines has it and has not begun.",
    "Running": "Its steps run.",
    "Succeeded": "It ended well; whether a challenger was registered is what its report says.",
    "Failed": "It ended with a failure, or could not be sent in time.",
    "Canceled": "A person ended it.",
    "Lost": "Kubeflow Pipelines no longer has it.",
}
"""Each state of a run with its meaning."""
ACTIVE: frozenset[str] = frozenset({"Submitting", "Pending", "Running"})
WINDOW_S = 30 * 86_400.0
"""Time over which GPU hours are counted."""
MOST_RUNS = 64
"""Runs that the status keeps; while so many lie within the window, none is started."""
EVIDENCE = ("drift+loss", "drift", "loss")
"""Triggers that rest after a run for the cool-down."""
KEPT_RUNS = 5
"""Runs that are kept although they are older."""


class Run(Model):
    """One run of the pipeline."""

    name: str = Field(description="Its display name, the same whenever the trigger is seen again.")
    trigger: str = Field(description="Why it was started.")
    due: Moment = Field(description="When it was due.")
    state: RunState = Field(description="How it is.")
    tickers: tuple[str, ...] = Field((), description="Tickers that it trains; of the newest run alone.")
    attempt: int = Field(1, description="How often it was to be sent.")
    sent_at: Moment | None = Field(None, description="When it was to be sent last.")
    retry_at: Moment | None = Field(None, description="When it is sent again, after an answer that was a clear no.")
    trouble: str | None = Field(None, description="Reason for which it was not accepted.")
    id: str | None = Field(None, description="Its number in Kubeflow Pipelines.")
    started_at: Moment | None = Field(None, description="When Kubeflow Pipelines took it.")
    finished_at: Moment | None = Field(None, description="When it ended.")
    gpus: int = Field(0, description="GPUs of a training step.")
    message: str = Field("", max_length=1024, description="What Kubeflow Pipelines says of it.")

    @property
    def active(self) -> bool:
        """Whether it has not ended."""
        return self.state in ACTIVE

    def hours(self, now: float) -> float:
        """Return the GPU hours that it took within the window before ``now``, in seconds since 1970."""
        begin = self.started_at if self.started_at is not None else self.sent_at
        if not self.gpus or begin is None or (self.id is None and not self.active):
            return 0.0
        end = self.finished_at if self.finished_at is not None else now
        return self.gpus * max(0.0, end - max(begin, now - WINDOW_S)) / 3600

    @property
    def ended(self) -> float:
        """When it ended, or was last heard of, in seconds since 1970."""
        return self.finished_at or self.started_at or self.sent_at or self.due


class Retraining(Model):
    """What was retrained, and why."""

    since: Moment = Field(description="When the policy was first seen: what was due before starts nothing.")
    answered: dict[str, str] = Field(
        default_factory=dict, description="Each trigger, of a ticker where it is one's, with what was answered last."
    )
    trained: dict[str, Moment] = Field(
        default_factory=dict, description="Each ticker with the start of the last run that trained it."
    )
    runs: tuple[Run, ...] = Field((), description="Runs, the newest first.")

    @property
    def last(self) -> Run | None:
        """The newest run."""
        return self.runs[0] if self.runs else None

    @property
    def active(self) -> Run | None:
        """The run that has not ended."""
        return self.last if self.last is not None and self.last.active else None

    def with_run(self, run: Run, now: float) -> "Retraining":
        """Return what is kept once a run is as it is given: in its place, or before all others."""
        others = [item for item in self.runs if item.name != run.name]
        slim = [item.model_copy(update={"tickers": (), "message": ""}) for item in others]
        kept = [item for at, item in enumerate(slim) if at < KEPT_RUNS or now - item.ended < WINDOW_S]
        return self.model_copy(update={"runs": (run, *kept)[:MOST_RUNS]})

    def with_trained(self, run: Run, now: float) -> "Retraining":
        """Return what is kept once a run has trained its tickers: from then on the cool-down answers for evidence."""
        begun = run.started_at if run.started_at is not None else now
        stale = {f"{kind}:{ticker}" for kind in EVIDENCE for ticker in run.tickers}
        answered = {key: of for key, of in self.answered.items() if key not in stale}
        trained = {**self.trained, **dict.fromkeys(run.tickers, begun)}
        return self.model_copy(update={"answered": answered, "trained": trained})
