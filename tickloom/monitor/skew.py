"""Whether the features that served forecasts are those that training knows.

Two faults look like drift and are none. Code that makes other numbers of the same bars in serving than in training
shows in the ledger, which holds the hash of each forecast's features: the same bars must give the same hash. And data
that were corrected since show where recomputed features differ from saved ones by more than 1e-9.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tickloom.errors import TickloomError
from tickloom.experiment.records import Forecast
from tickloom.forecast import package
from tickloom.forecast.features import FeatureFrame, feature_frame
from tickloom.forecast.history import History
from tickloom.forecast.models import Model
from tickloom.forecast.models.onnx import OnnxModel, windows_of
from tickloom.forecast.package import Manifest
from tickloom.market.sessions import day_of

TOLERANCE = 1e-9


@dataclass(frozen=True)
class Skew:
    """What differs between two makings of the same features.

    Attributes
    ----------
    compared : int
        Values, or forecasts.
    differing : dict of str to float
        By feature the greatest difference, relative to 1 or to the value where that is larger; by date ``nan`` where
        hashes alone are known.
    """

    compared: int
    differing: Mapping[str, float]

    @property
    def clean(self) -> bool:
        """Whether nothing differs."""
        return not self.differing


def compared(first: FeatureFrame, second: FeatureFrame, tolerance: float = TOLERANCE) -> Skew:
    """Compare the features of the sessions that two frames share, such as those saved in training and those made now.

    Raises
    ------
    TickloomError
        They share no session, or have other features.
    """
    if first.names != second.names:
        odd = sorted(set(first.names) ^ set(second.names)) or ["their order"]
        raise TickloomError(
            f"{first.history.ticker}: the features themselves differ: {', '.join(odd)}; compare the same"
        )
    _, left, right = np.intersect1d(first.history.day, second.history.day, return_indices=True)
    if not len(left):
        raise TickloomError(f"{first.history.ticker}: no session is in both; give histories that overlap")
    one, other = first.values[left], second.values[right]
    gap = np.abs(one - other) / np.maximum(1.0, np.abs(other))
    gap = np.where(np.isnan(one) & np.isnan(other), 0.0, np.where(np.isnan(gap), np.inf, gap))
    worst = gap.max(axis=0)
    return Skew(int(gap.size), {name: float(it) for name, it in zip(first.names, worst, strict=True) if it > tolerance})


def unlike_training(history: History, manifest: Manifest) -> Skew:
    """Compare the bars that a model was trained on with what the data say of the same dates now.

    Returns
    -------
    Skew
        ``bars`` where hashes differ: a close was corrected since, or another source is read.

    Raises
    ------
    TickloomError
        The history does not reach back to the training's sessions.
    """
    days = [day_of(int(it)).isoformat() for it in history.day]
    if manifest.first_day not in days or manifest.last_day not in days:
        raise TickloomError(
            f"{manifest.ticker}: trained on {manifest.first_day} to {manifest.last_day}, and these bars are of "
            f"{days[0] if days else 'no day'} to {days[-1] if days else 'no day'}; load the training's too"
        )
    part = history.between(days.index(manifest.first_day), days.index(manifest.last_day) + 1)
    same = part.sha256 == manifest.data_sha256
    return Skew(len(part), {} if same else {"bars": float("nan")})


def of_version(history: History, folder: Path, version: str, forecasts: Iterable[Forecast]) -> dict[str, Skew]:
    """Compare a registered version with what is known now: its training's bars, and the features that it was served.

    Parameters
    ----------
    history
        As `served` needs it.
    folder
        The version's package.
    version
        Its number, as the ledger has it.

    Raises
    ------
    TickloomError
        The folder holds no whole model, or the history does not reach back to its training.
    """
    model, manifest = package.read(folder)
    mine = [it for it in forecasts if it.version == version]
    return {"training": unlike_training(history, manifest), "served": served(history, model, manifest, mine)}


def served(history: History, model: Model, manifest: Manifest, forecasts: Iterable[Forecast]) -> Skew:
    """Make the features of one version's served forecasts again and compare their hashes with those in the ledger.

    Parameters
    ----------
    history
        From the same first session on as the service read, which in the store is the ticker's first bar: averages
        without an end remember where they began.
    forecasts
        Of that version, any horizon; one of each cutoff is looked at. Those of cutoffs that the history lacks are left
        out, as are those without a hash.

    Returns
    -------
    Skew
        By date of the cutoff; a hash says that something differs, not how far.
    """
    frame = feature_frame(history, manifest.features)
    rows = {int(day): row for row, day in enumerate(history.day)}
    by_cutoff = {it.cutoff: it.features for it in forecasts if it.features and it.cutoff in rows}
    differing = {
        day_of(cutoff).isoformat(): float("nan")
        for cutoff, told in sorted(by_cutoff.items())
        if digest(model, frame, rows[cutoff]) != told
    }
    return Skew(len(by_cutoff), differing)


def digest(model: Model, frame: FeatureFrame, row: int) -> str:
    """Return the hash of what a model reads at a cutoff, as the service writes it into the ledger."""
    if isinstance(model, OnnxModel):
        return hashlib.sha256(windows_of(model, frame.values, row).tobytes()).hexdigest()
    known = frame.first(row + 1)
    found = hashlib.sha256(np.ascontiguousarray(known.values).tobytes())
    found.update(np.ascontiguousarray(known.history.close).tobytes())
    return found.hexdigest()
