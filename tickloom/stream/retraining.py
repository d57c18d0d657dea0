"""The part of the ``StreamJob`` manifest that says when its tickers' models are trained anew, and on what."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from tickloom.manifest.mistakes import mistake
from tickloom.manifest.model import Duration, Model, Quantity
from tickloom.stream.deployment import Toleration
from tickloom.stream.facts import Rule

COOL_DOWN = 120
"""Sessions, half a year: twice the slow window of the tests of drift, so that a loud quarter is told once."""
Clock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
ModelName = Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")]


class OnDrift(Model):
    """Whether drift is evidence."""

    enabled: bool = Field(True, description="Whether drift that the monitor found is evidence.")


class OnLoss(Model):
    """When matured losses are evidence."""

    enabled: bool = Field(True, description="Whether losses of forecasts that have matured are evidence.")
    ratio: float | None = Field(
        None,
        ge=0.5,
        le=10,
        description=(
            "Loss over the random walk's on the same sessions, above which it is evidence too, beside what the "
            "monitor found; its false alarms are not bounded."
        ),
    )
    sessions: int = Field(20, ge=1, le=60, description="Matured sessions that the ratio must stand on.")


class QuietHours(Model):
    """Hours of the day in which nothing is started."""

    begin: Clock = Field(description="From this time of day, `HH:MM` at the exchange.")
    end: Clock = Field(description="To this time of day, on the next day where it is before `begin`.")


class Pipeline(Model):
    """What is run, with which parameters, on what."""

    name: str = Field(
        "tickloom-retrain", min_length=1, max_length=128, description="Display name of the pipeline; its last version."
    )
    models: tuple[ModelName, ...] = Field(
        ("lstm", "ridge"), min_length=1, max_length=16, description="Models that are trained for each ticker."
    )
    horizon: int = Field(5, ge=1, le=60, description="Sessions ahead that are forecast.")
    folds: int = Field(4, ge=1, le=50, description="Folds of the walk-forward evaluation.")
    test: int = Field(125, ge=10, le=2000, description="Sessions of each fold's test.")
    gate: int = Field(60, ge=5, le=1000, description="Last sessions that are held back for the gate.")
    trials: int = Field(0, ge=0, le=1000, description="Trials of tuning for each ticker and model; 0 takes defaults.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of training and tuning.")
    cpu: Quantity = Field("1", description="Processors of a training step; its networks learn with one thread.")
    memory: Quantity = Field("4Gi", description="Memory of a training step.")
    gpus: int = Field(0, ge=0, le=16, description="GPUs of a training step; 0 trains on processors.")
    accelerator: str = Field(
        "nvidia.com/gpu",
        min_length=1,
        max_length=253,
        description="Resource that GPUs are counted as; read where `gpus` is above 0.",
    )
    node_selector: dict[str, str] = Field(
        default_factory=dict, max_length=32, description="Labels of the nodes that training steps may run on."
    )
    tolerations: tuple[Toleration, ...] = Field(
        (), max_length=32, description="Taints that training steps put up with."
    )
    pool_scales_from_zero: bool = Field(
        False,
        description=(
            "Whether an autoscaler makes nodes of the selector's labels when they are asked for. Without it a run "
            "whose labels no node has is held back."
        ),
    )

    @field_validator("models")
    @classmethod
    def _distinct_models(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        twice = next((name for at, name in enumerate(value) if name in value[:at]), None)
        if twice is not None:
            raise ValueError(f"model {twice!r} is listed twice; leave one out")
        return value


class Retrain(Model):
    """When the models of a job's tickers are trained anew, and what that may take."""

    schedule: Literal["never", "nightly", "weekly"] = Field(
        "never", description="After each session's close, or after that of a week's last session, by the calendar."
    )
    delay: Duration = Field("1h", description="How long after the close the schedule's run is due.")
    on_drift: OnDrift = Field(default_factory=OnDrift, description="Whether drift is evidence.")
    on_loss: OnLoss = Field(default_factory=OnLoss, description="When matured losses are evidence.")
    agree: Rule = Field(
        "both",
        description=(
            "Which evidence of a ticker starts a run: `both`: all that is enabled; `any`: one of the two; `drift` or "
            "`loss`: that one alone."
        ),
    )
    max_age: Duration | None = Field(None, description="Age of a ticker's model at which it is trained anew.")
    new_sessions: int | None = Field(
        None, ge=1, le=5000, description="Sessions since a ticker's model was trained after which it is trained anew."
    )
    cool_down: int = Field(
        COOL_DOWN,
        ge=0,
        le=1000,
        description=(
            "Sessions after the last run that trained a ticker in which no evidence of it starts another. Of less than "
            "120 the false alarms were not measured."
        ),
    )
    pause: Duration = Field("1d", description="Between the end of one run and the start of the next.")
    gpu_hours: float = Field(
        20.0,
        gt=0,
        le=100_000,
        description="GPU hours that the runs of 30 days may take: each one's GPUs times how long it took.",
    )
    concurrency: int = Field(
        1, ge=1, le=100, description="Runs of the namespace's StreamJobs at once; above, this job's wait."
    )
    quiet_hours: QuietHours | None = Field(None, description="Hours in which no run is started.")
    suspend: bool = Field(False, description="Start nothing; a run that is under way goes on.")
    pipeline: Pipeline = Field(default_factory=Pipeline, description="What is run, with which parameters, on what.")

    @property
    def rule(self) -> Rule | None:
        """The rule that decides once what is not enabled is left out; None where no evidence is."""
        enabled = {"drift": self.on_drift.enabled, "loss": self.on_loss.enabled}
        if self.agree in ("drift", "loss") or all(enabled.values()):
            return self.agree
        return "drift" if enabled["drift"] else "loss" if enabled["loss"] else None

    @model_validator(mode="after")
    def _parts_agree(self) -> "Retrain":
        for name, part in (("drift", self.on_drift), ("loss", self.on_loss)):
            if self.agree == name and not part.enabled:
                raise mistake("agree", f"{name!r} needs on{name.capitalize()}.enabled: true")
        quiet = self.quiet_hours
        if quiet is not None and quiet.begin == quiet.end:
            raise mistake("quietHours", f"begins and ends at {quiet.begin}; name two times, or leave it out")
        return self
