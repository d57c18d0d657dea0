"""The tasks that all pipelines begin with: from bars to features, and to the pairs of ticker and model."""

from dataclasses import dataclass
from typing import Any

from pipelines.components import data
from pipelines.placement import Placement


@dataclass(frozen=True)
class Prepared:
    """Outputs of the first tasks: the digest of all bars, bars, checks, features, and what is told of these."""

    digest: Any
    bars: Any
    checked: Any
    frames: Any
    told: Any


def prepare(place: Placement, *, tickers: Any, market: Any, folder: Any, least: Any) -> Prepared:
    """Put in the tasks look, extract, validate and features.

    ``look`` runs each time and says what the bars are; the others stand in the cache by that. Kubeflow's cache knows an
    artifact by its number, so what followed an ``extract`` that runs each time would never be found there.
    """
    seen = place.small(data.look(tickers=tickers, market=market, folder=folder), cached=False, name="look")
    digest = seen.outputs["Output"]
    bars = place.small(
        data.extract(tickers=tickers, market=market, folder=folder, digest=digest), cached=True, name="extract"
    )
    for task in (seen, bars):
        place.store(task)
    checked = place.small(
        data.validate(bars=bars.outputs["bars"], market=market, least=least, digest=digest),
        cached=True,
        name="validate",
    )
    frames = place.small(
        data.features(bars=bars.outputs["bars"], checked=checked.outputs["checked"], market=market, digest=digest),
        cached=True,
        name="features",
    )
    return Prepared(
        digest,
        bars.outputs["bars"],
        checked.outputs["checked"],
        frames.outputs["frames"],
        frames.outputs["Output"],
    )


@dataclass(frozen=True)
class Divided:
    """Outputs of the tasks that follow: the plan, and the pairs of ticker and model."""

    plan: Any
    pairs: Any


def divide(place: Placement, prepared: Prepared, *, models: Any, options: Any, **plan: Any) -> Divided:
    """Put in the tasks split and pair."""
    task = place.small(data.split(frames=prepared.frames, digest=prepared.digest, **plan), cached=True, name="split")
    made = task.outputs["plan"]
    pairs = data.pair(plan=made, models=models, options=options, digest=prepared.digest)
    return Divided(made, place.small(pairs, cached=False, name="pair").outputs["Output"])
