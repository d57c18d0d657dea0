"""Tickers with prices and a registered simple LSTM each, for the service to forecast."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tickloom.bench.forecast import made_history
from tickloom.forecast import package
from tickloom.forecast.features import FeatureFrame, feature_frame
from tickloom.forecast.history import History
from tickloom.forecast.models import make
from tickloom.forecast.models.graphs import GRAPH
from tickloom.forecast.models.naive import FILE
from tickloom.forecast.package import MODEL, Manifest, environment
from tickloom.forecast.registry import ARTIFACTS, Registry
from tickloom.forecast.residuals import LEVELS, ConformalResiduals
from tickloom.forecast.versions import CHAMPION
from tickloom.market.sessions import day_of

MARKET = "XNYS"
SESSIONS, HORIZON, EPOCHS = 1_000, 5, 2
ARMS = (CHAMPION, "challenger-one", "challenger-two")
"""Each ticker's versions 1, 2 and 3."""
Say = Callable[[str], None]


class World:
    """A folder with prices, a registry, and models as a service has fetched them.

    Parameters
    ----------
    folder
        Empty.
    tickers
        How many.
    shared
        Whether all tickers have one model, as a model of a whole market is, or each its own.
    """

    def __init__(self, folder: Path, tickers: int, shared: bool) -> None:
        self.folder, self.shared = folder, shared
        self.names = [f"T{number:04d}" for number in range(tickers)]
        self.prices, self.fetched = folder / "prices", folder / "fetched"
        self.registry = f"sqlite:///{folder / 'mlflow.db'}"

    def make(self, say: Say) -> None:
        """Train one network, and write it for each ticker; one of its own differs from it in its weights by noise."""
        self.prices.mkdir(parents=True)
        history = made_history(SESSIONS, 0.0, 0)
        frame = feature_frame(history)
        say("training a simple LSTM")
        model = make("lstm", HORIZON, epochs=EPOCHS).fit(frame)
        master = self.folder / "master"
        model.save(master)
        errors = _errors()
        for number, name in enumerate(self.names):
            mine = made_history(SESSIONS, 0.0, number)
            write_prices(self.prices / f"{name}.csv", mine)
            manifest = _manifest(model, frame, history, name)
            for arm in range(len(ARMS)):
                place = self.fetched / MARKET / name / str(arm + 1)
                shutil.copytree(master, place / MODEL)
                if not self.shared:
                    _perturb(place / MODEL, seed=len(ARMS) * number + arm)
                elif arm:
                    _perturb(place / MODEL, seed=arm)
                errors.save(place)
                (place / package.MANIFEST).write_text(json.dumps(manifest))
        self._register(say)

    def _register(self, say: Say) -> None:
        """Enter versions and aliases; the files were fetched already."""
        from mlflow import MlflowClient

        Registry(self.registry)
        client = MlflowClient(tracking_uri=self.registry, registry_uri=self.registry)
        run = client.create_run("0").info.run_id
        for number, name in enumerate(self.names):
            model = f"tickloom.{MARKET}.{name}"
            client.create_registered_model(model)
            for alias in ARMS:
                made = client.create_model_version(model, f"{self.fetched}/{ARTIFACTS}", run)
                client.set_registered_model_alias(model, alias, made.version)
            if number % 25 == 24:
                say(f"registered {number + 1} of {len(self.names)} tickers")

    def settings(self, **more: str) -> dict[str, str]:
        """Return the variables of a service over this world."""
        return {
            "TICKLOOM_MLFLOW": self.registry,
            "TICKLOOM_SERVE_DATA": str(self.prices),
            "TICKLOOM_SERVE_FOLDER": str(self.fetched),
            "TICKLOOM_SERVE_CACHE": "off",
            **more,
        }

    def windows(self) -> dict[str, "np.ndarray[Any, np.dtype[np.float32]]"]:
        """Return what the first version of each ticker reads at its last close: float32[window, k]."""
        from tickloom.forecast.histories import from_file
        from tickloom.forecast.models.onnx import windows_of

        found = {}
        for name in self.names:
            model, _ = package.read(self.fetched / MARKET / name / "1")
            frame = feature_frame(from_file(self.prices / f"{name}.csv", market=MARKET, ticker=name), model.features)  # type: ignore[attr-defined]
            found[name] = windows_of(model, frame.values, len(frame) - 1)  # type: ignore[arg-type]
        return found


def _manifest(model: Any, frame: FeatureFrame, history: History, ticker: str) -> dict[str, Any]:
    from dataclasses import asdict

    made = asdict(Manifest.of(model, frame))
    return {**made, "ticker": ticker, "environment": environment()}


def _errors() -> ConformalResiduals:
    rng = np.random.default_rng(0)
    scores = tuple(rng.normal(0, 1, 500) for _ in range(HORIZON))
    return ConformalResiduals("lstm", "enbpi", LEVELS, True, scores, np.tile([1 - it for it in LEVELS], (HORIZON, 1)))


def write_prices(path: Path, history: History) -> None:
    """Write a ticker's daily bars as ``--data`` reads them."""
    columns = {name: getattr(history, name) for name in ("open", "high", "low", "close", "volume")}
    dates = [day_of(int(day)).isoformat() for day in history.day]
    pd.DataFrame({"date": dates, **columns}).to_csv(path, index=False)


def _perturb(folder: Path, seed: int) -> None:
    """Make the network another one: its weights with noise of a thousandth of their spread."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(folder / GRAPH))
    rng = np.random.default_rng(seed)
    for held in graph.graph.initializer:
        values = numpy_helper.to_array(held)
        if values.dtype == np.float32 and values.size > 1:
            noisy = values + rng.normal(0, 1e-3 * (values.std() + 1e-12), values.shape).astype(np.float32)
            held.CopyFrom(numpy_helper.from_array(noisy, held.name))
    content = graph.SerializeToString(deterministic=True)
    (folder / GRAPH).write_bytes(content)
    body = json.loads((folder / FILE).read_text())
    (folder / FILE).write_text(json.dumps({**body, "sha256": hashlib.sha256(content).hexdigest()}))
