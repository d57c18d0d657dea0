"""A trained model in a folder: what it is, what it was learned from, how well it did, and what a forecast needs.

``manifest.json`` says all of it for programs, ``card.md`` for people, ``model/`` holds what the model itself saved,
``requirements.txt`` names what a forecast needs, and ``evaluation/``, where the model was judged, holds the report.
"""

import importlib.metadata
import json
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from tickloom import __version__
from tickloom.errors import TickloomError
from tickloom.files import write_whole
from tickloom.forecast.features import VERSION, FeatureFrame
from tickloom.forecast.models import REFERENCE, Model, load, remark
from tickloom.forecast.models.naive import Simple
from tickloom.forecast.residuals import FILE as ERRORS
from tickloom.forecast.residuals import ConformalResiduals
from tickloom.market.sessions import day_of

Errors = Mapping[str, ConformalResiduals]
MANIFEST, CARD, MODEL, REQUIREMENTS, EVALUATION = (
    "manifest.json", "card.md", "model", "requirements.txt", "evaluation",
)  # fmt: skip
SCHEMA = 1
_SERVED_BY = ("tickloom", "numpy", "pandas", "scipy", "numba", "exchange_calendars")
_PACKAGES = (
    *_SERVED_BY, "onnxruntime", "onnx", "scikit-learn", "statsforecast", "lightgbm", "torch", "chronos-forecasting",
    "transformers",
)  # fmt: skip


@dataclass(frozen=True)
class Manifest:
    """What is known of a trained model.

    Attributes
    ----------
    model, ticker, market : str
    horizon : int
        Sessions ahead.
    features : tuple of str
        Of ``feature_version``; empty where it reads closes alone.
    first_day, last_day : str
        Dates of the first and the last session that it was fitted to.
    sessions : int
    data_sha256, data_origin : str
        Of the history.
    seed : int
    parameters : dict
        Chosen and learned, of the model's own.
    scores : tuple of dict
        Rows of the walk-forward's table, without what is not a number; empty where none was done.
    verdict : str
        One session ahead against the random walk; ``not evaluated`` where no walk-forward was done.
    remark : str
        What must be said beside the verdict, such as that the model may have seen the sessions before; mostly empty.
    environment : dict
        Versions.
    created : str
        UTC.
    """

    model: str
    ticker: str
    market: str
    horizon: int
    features: tuple[str, ...]
    feature_version: int
    first_day: str
    last_day: str
    sessions: int
    data_sha256: str
    data_origin: str
    seed: int
    parameters: Mapping[str, Any]
    scores: tuple[Mapping[str, Any], ...] = ()
    verdict: str = "not evaluated"
    remark: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    created: str = ""
    schema: int = SCHEMA

    @property
    def registered_name(self) -> str:
        """Name in the registry."""
        return f"tickloom.{self.market}.{self.ticker}"

    @classmethod
    def of(
        cls, model: Model, frame: FeatureFrame, *, seed: int = 0, scores: tuple[Mapping[str, Any], ...] = ()
    ) -> Self:
        """Describe a model that was fitted to the whole of a frame."""
        history = frame.history
        return cls(
            model=model.name,
            ticker=history.ticker,
            market=history.market,
            horizon=model.horizon,
            features=() if isinstance(model, Simple) else frame.names,
            feature_version=frame.version,
            first_day=day_of(int(history.day[0])).isoformat(),
            last_day=day_of(int(history.day[-1])).isoformat(),
            sessions=len(history),
            data_sha256=history.sha256,
            data_origin=history.origin,
            seed=seed,
            parameters=model.parameters(),
            scores=scores,
            verdict=_verdict(scores, model.name),
            remark=remark(model.name),
            environment=environment(),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def of_reference(self, model: Model) -> Self:
        """Describe the random walk beside this model: it learns nothing, so the same data say all of it."""
        return replace(
            self,
            model=REFERENCE,
            features=(),
            seed=0,
            parameters=model.parameters(),
            verdict=_verdict(self.scores, REFERENCE),
            remark=remark(REFERENCE),
            environment=environment(),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )


def _verdict(scores: Sequence[Mapping[str, Any]], model: str) -> str:
    first = next((it for it in scores if it.get("h") == 1 and it.get("model") == model), None)
    return str(first["verdict"]) if first else "not evaluated"


def environment() -> dict[str, str]:
    """Return the versions of Python and of what models are made with."""
    # its code may be there without being installed, as in the image of the pipelines' steps
    found = {"python": platform.python_version(), "tickloom": __version__}
    for name in _PACKAGES[1:]:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def requirements(environment: Mapping[str, str], model: Model) -> str:
    """Return what pip is to install to forecast with a model, and nothing that only training needs: mostly no torch.

    Parameters
    ----------
    environment
        Of the manifest.
    """
    names = (*_SERVED_BY, *model.served_by)
    pinned = [f"{name}=={environment[name]}" for name in names if name in environment]
    return "\n".join([f"# Python {environment.get('python', 'of unknown version')}", *pinned, ""])


def write(folder: Path, model: Model, manifest: Manifest, errors: Errors | None = None) -> None:
    """Write a trained model; the manifest comes last, so that a folder with one is whole.

    Parameters
    ----------
    errors
        By model's name, its own and the random walk's: with them forecasts have intervals.
    """
    model.save(folder / MODEL)
    for name, made in (errors or {}).items():
        made.save(folder if name == model.name else folder / name)
    write_whole(folder / REQUIREMENTS, requirements(manifest.environment, model))
    write_whole(folder / CARD, card(manifest))
    write_whole(folder / MANIFEST, json.dumps(_finite(asdict(manifest)), indent=1, allow_nan=False) + "\n")


def read_errors(folder: Path, model: str | None = None) -> ConformalResiduals | None:
    """Return the errors of the trained model, or of the one named that was written beside it; None without any."""
    place = folder if model is None else folder / model
    return ConformalResiduals.load(place) if (place / ERRORS).is_file() else None


def _finite(value: Any) -> Any:
    """Return it without the numbers that JSON does not have: left out of mappings, null in lists."""
    if isinstance(value, Mapping):
        return {key: _finite(it) for key, it in value.items() if not _unsayable(it)}
    if isinstance(value, (list, tuple)):
        return [None if _unsayable(it) else _finite(it) for it in value]
    return value


def _unsayable(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def read(folder: Path) -> tuple[Model, Manifest]:
    """Return a trained model and what is known of it.

    Raises
    ------
    TickloomError
        The folder holds none, or one of another schema or of other features.
    """
    manifest = read_manifest(folder)
    if manifest.features and manifest.feature_version != VERSION:
        raise TickloomError(
            f"{folder}: {manifest.model} was trained on features of version {manifest.feature_version}, and this "
            f"release makes those of version {VERSION}; train it again"
        )
    return load(folder / MODEL), manifest


def read_manifest(folder: Path) -> Manifest:
    """Return what is known of a trained model.

    Raises
    ------
    TickloomError
        The folder holds none, or one that this release does not know.
    """
    path = folder / MANIFEST
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TickloomError(
            f"{folder}: no {MANIFEST}, so no trained model; name the folder of `tickloom train`"
        ) from None
    except ValueError as error:
        raise TickloomError(f"{path}: no JSON ({error}); take the folder from its source again") from None
    schema = body.get("schema") if isinstance(body, dict) else None
    if schema != SCHEMA:
        raise TickloomError(f"{path}: schema {schema!r} is not {SCHEMA}; train it with this release")
    names = {it.name for it in fields(Manifest)}
    if names != set(body):
        odd = ", ".join(sorted(names ^ set(body)))
        raise TickloomError(f"{path}: fields are missing or unknown ({odd}); take the folder from its source again")
    return Manifest(**{**body, "features": tuple(body["features"]), "scores": tuple(body["scores"])})


def card(manifest: Manifest) -> str:
    """Return the model card, in Markdown: the verdict first."""
    rows = [it for it in manifest.scores if it.get("model") in (manifest.model, "random_walk")]
    lines = [
        f"# {manifest.registered_name}: {manifest.model}",
        "",
        f"**Verdict, one session ahead: {manifest.verdict}{_but(manifest)}.** Against the random walk on the same "
        "sessions, by a Diebold-Mariano test of squared errors of log-returns at 5 %, adjusted over models (Holm).",
        "",
        f"- {_learned(manifest)} {manifest.sessions} sessions, {manifest.first_day} to {manifest.last_day}, of "
        f"{manifest.data_origin or 'unnamed data'} (SHA-256 {manifest.data_sha256[:16]}…).",
        f"- Forecasts log-returns 1 to {manifest.horizon} sessions ahead"
        + (
            f" from {len(manifest.features)} features of version {manifest.feature_version}."
            if manifest.features
            else "."
        ),
        f"- Seed {manifest.seed}; made {manifest.created}.",
    ]
    if weights := manifest.parameters.get("weights"):
        lines += [
            f"- Its weights are not part of it: a forecast needs torch and `{weights}`, SHA-256 "
            f"{str(manifest.parameters.get('sha256'))[:16]}…"
        ]
    if rows:
        lines += ["", "| model | sessions ahead | RMSE | of the random walk's | direction | base rate | verdict |"]
        lines += ["|---|---|---|---|---|---|---|"]
        lines += [_row(it) for it in rows]
    if manifest.remark:
        known = "prices up to the cutoff and all that it was pretrained on, which may be later"
    else:
        made = " and what is made of them" if manifest.features else ""
        known = f"prices{made} up to the cutoff and nothing else"
    lines += [
        "",
        f"It knows {known}. It is no advice to trade: where the verdict is not `beats_naive`, the last price is as "
        "good a forecast.",
        "",
    ]
    return "\n".join(lines)


def _but(manifest: Manifest) -> str:
    return f", but {manifest.remark}" if manifest.remark else ""


def _learned(manifest: Manifest) -> str:
    return "Pretrained, and learned nothing from" if manifest.remark else "Learned from"


def _row(it: Mapping[str, Any]) -> str:
    def shown(key: str, form: str) -> str:
        value = it.get(key)
        return "" if value is None or _unsayable(value) else format(value, form)

    cells = [it["model"], it["h"], shown("rmse", ".4g"), shown("rmsse", ".4f"), shown("direction", ".1%")]
    return "| " + " | ".join(str(cell) for cell in [*cells, shown("base_rate", ".1%"), it.get("verdict", "")]) + " |"
