"""Learn one model of one ticker from the sessions that the plan lets it see."""

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tickloom.errors import TickloomError
from tickloom.forecast import package
from tickloom.forecast.models import Model, make
from tickloom.forecast.models.networks import Network
from tickloom.forecast.package import Manifest
from tickloom.retrain import results, tuning
from tickloom.retrain.division import case
from tickloom.retrain.left import TRAIN
from tickloom.retrain.results import Facts


def train(
    *,
    ticker: str,
    model: str,
    extracted: Path,
    plan: Path,
    tuned: Path,
    market: str,
    out: Path,
    seed: int = 0,
    checkpoint: Path | None = None,
    device: str = "cpu",
) -> Facts:
    """Learn a model and write it as a package.

    Parameters
    ----------
    checkpoint
        Folder for the state after each epoch of a network, on a disk that outlives the process. A training that was
        killed goes on from there and ends with the same model; one of other data, options or seed has a file of its
        own. Models that learn in seconds begin anew.
    device
        ``cpu``, ``cuda`` or ``auto``, of a network; others know the processor alone.

    Returns
    -------
    dict
        What was learned from what: ``sessions``, ``last_day``, ``data_sha256`` of the sessions that were learned from,
        ``extracted_sha256`` of all, ``package_sha256``, ``options``, ``seed``, ``seconds``, ``tuning``, and of a
        network ``epochs``, and ``remark`` where it went on from a checkpoint.
    """
    found = case(ticker, extracted, plan, market)
    chosen = results.read(tuned, tuning.STEP)
    if (chosen["ticker"], chosen["model"]) != (ticker, model):
        raise TickloomError(
            f"{tuned}: holds options of {chosen['model']} of {chosen['ticker']}, not of {model} of {ticker}"
        )
    made = of_options(model, found.horizon, chosen["options"], checkpoint=checkpoint, device=device)
    begin = time.monotonic()
    first: list[float] = []
    made.fit(found.learned, seed=seed, progress=lambda _, figures: first.append(figures.get("epoch", 1)))
    seconds = time.monotonic() - begin
    manifest = Manifest.of(made, found.learned, seed=seed)
    shutil.rmtree(out / package.MODEL, ignore_errors=True)  # of an earlier attempt, perhaps of another model
    package.write(out, made, manifest)
    return results.write(
        out,
        TRAIN,
        {
            "ticker": ticker,
            "model": model,
            "market": market,
            "horizon": found.horizon,
            "sessions": manifest.sessions,
            "last_day": manifest.last_day,
            "data_sha256": manifest.data_sha256,
            "extracted_sha256": found.history.sha256,
            "package_sha256": results.digest(out),
            "options": chosen["options"],
            "seed": seed,
            "seconds": seconds,
            "tuning": {name: chosen[name] for name in ("trials", "deflated_sharpe", "why")},
            "epochs": made.epochs if isinstance(made, Network) else [],
            "remark": _resumed(made, first),
        },
    )


def _resumed(made: Model, told: Sequence[float]) -> str | None:
    """Return where a network's training went on, from the epochs that were told of."""
    if not isinstance(made, Network) or not told or told[0] <= 1:
        return None
    return f"resumed from a checkpoint at epoch {told[0]:g} of at most {made.recipe.epochs}"


def of_options(
    model: str,
    horizon: int,
    options: Mapping[str, Any],
    *,
    checkpoint: Path | None = None,
    device: str = "cpu",
) -> Model:
    """Return a model that is not fitted yet; a network with its device and the folder of its states."""
    made = make(model, horizon, **options)
    if not isinstance(made, Network):
        return made
    return make(model, horizon, **{**options, "device": device, "checkpoints": checkpoint})
