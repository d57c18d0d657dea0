"""What MLflow shows of a run, from the manifest of the model that was trained in it."""

import json
import math
from collections.abc import Iterator
from typing import Any

from tickloom.forecast import package
from tickloom.forecast.package import Manifest

_LONGEST_PARAMETER = 500


def dataset(manifest: Manifest) -> Any:
    """Return what MLflow shows as the data of a run; its digests have 36 characters at most."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    name, source = f"{manifest.market}.{manifest.ticker}", {"uri": manifest.data_origin}
    span = {name: getattr(manifest, name) for name in ("sessions", "first_day", "last_day", "data_sha256")}
    data = Dataset(name, manifest.data_sha256[:36], "tickloom", json.dumps(source), profile=json.dumps(span))
    return DatasetInput(data, [InputTag("mlflow.data.context", "training")])


def tags(manifest: Manifest) -> dict[str, str]:
    """Return the tags of the run."""
    return {
        "tickloom.ticker": manifest.ticker,
        "tickloom.market": manifest.market,
        "tickloom.verdict": manifest.verdict,
        "tickloom.data_sha256": manifest.data_sha256,
        "tickloom.features": ",".join(manifest.features),
        "mlflow.note.content": package.card(manifest),
    }


def parameters(manifest: Manifest) -> dict[str, str]:
    """Return what MLflow shows as parameters; long ones stand in the manifest alone."""
    told: dict[str, Any] = {
        **{f"model.{key}": value for key, value in manifest.parameters.items()},
        "model": manifest.model,
        "horizon": manifest.horizon,
        "features": len(manifest.features),
        "feature_version": manifest.feature_version,
        "first_day": manifest.first_day,
        "last_day": manifest.last_day,
        "sessions": manifest.sessions,
        "seed": manifest.seed,
        "data_origin": manifest.data_origin,
        **{f"version.{name}": value for name, value in manifest.environment.items()},
    }
    shown = {key: value if isinstance(value, str) else json.dumps(value) for key, value in told.items()}
    return {key: value for key, value in shown.items() if len(value) <= _LONGEST_PARAMETER}


def metrics(manifest: Manifest) -> Iterator[tuple[str, float, int]]:
    """Yield name, value and number of sessions ahead of this model's scores."""
    for row in manifest.scores:
        if row.get("model") == manifest.model:
            for key, value in row.items():
                if key != "h" and isinstance(value, (int, float)) and math.isfinite(value):
                    yield key, float(value), int(row["h"])
