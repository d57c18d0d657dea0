"""Networks on windows of features; this module is read without torch, and so are saved networks.

The layers stand in ``architectures``, their training in ``tickloom.forecast.training``.
"""

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tickloom.errors import TickloomError
from tickloom.forecast.features import FeatureFrame
from tickloom.forecast.history import Floats
from tickloom.forecast.models.base import GRADIENTS, PERMUTATION, Progress, Rows
from tickloom.forecast.models.onnx import OnnxModel
from tickloom.forecast.recipe import Recipe
from tickloom.forecast.windows import Parts, Windows, least_rows, parts

if TYPE_CHECKING:
    from tickloom.forecast.training import Scaled

WEIGHTS = "weights.pt"
"""The weights in torch's format, for explanations and further training; read with ``weights_only``."""


class Network(OnnxModel):
    """A network on a window of features, with one output for each of 1..horizon sessions ahead.

    Parameters
    ----------
    horizon
        Sessions ahead.
    window
        Sessions that it reads, the cutoff's own included.
    width
        Share of the units of each layer; 1 is the size in ``sizes.SIZES``.
    options
        Of the training: see ``tickloom.forecast.recipe.Recipe``.

    The last ``validation`` of the training rows decide when training ends, purged by the horizon; means and deviations
    come of the rows before them. No session after the frame given to ``fit`` is ever seen.
    """

    random: bool = True
    beside: ClassVar[tuple[str, ...]] = (WEIGHTS,)
    usual_window: ClassVar[int] = 60

    def __init__(self, horizon: int, *, window: int | None = None, width: float = 1.0, **options: Any) -> None:
        super().__init__(horizon)
        self.window = self.usual_window if window is None else window
        if self.window < 2:
            raise TickloomError(f"{self.name}: window {self.window} must be 2 or more sessions")
        if not 0 < width <= 8:
            raise TickloomError(f"{self.name}: width {width} must be above 0 and at most 8, a share of the usual units")
        self.width = width
        self.recipe = Recipe.of(self.name, options)
        self._network: Scaled | None = None

    @property
    def least_rows(self) -> int:
        """A window, and a hundred cutoffs beside those that are purged."""
        return least_rows(self.window, self.horizon)

    @property
    def epochs(self) -> list[dict[str, float]]:
        """``epoch, loss, val_loss, lr`` of each epoch of the training."""
        return list(self.learned.get("epochs", []))

    def options(self) -> dict[str, Any]:
        """Return window, width and the recipe's choices."""
        return {"window": self.window, "width": self.width, **self.recipe.choices()}

    def parts(self, frame: FeatureFrame) -> Parts:
        """Return which cutoffs of a frame are learned from, and which end the training."""
        return parts(len(frame), frame.ready, self.window, self.horizon, self.recipe.validation)

    def _learn(self, frame: FeatureFrame, seed: int, progress: Progress | None) -> dict[str, Any]:
        try:
            from tickloom.forecast.models.architectures import BUILDERS, count
            from tickloom.forecast.training import train
        except ModuleNotFoundError as error:
            raise _without(error, f"training {self.name}") from None
        if seed < 0:
            raise TickloomError(f"{self.name}: seed {seed} must be 0 or more")
        folder = self.recipe.checkpoints
        trained = train(
            lambda: BUILDERS[self.name](len(frame.names), self.horizon, self.width),
            frame,
            self.parts(frame),
            self.window,
            self.horizon,
            self.recipe,
            seed,
            state=folder / f"{self.name}-{self._key(frame, seed)}.pt" if folder else None,
            progress=progress,
        )
        self._network = trained.network
        return {
            "seed": seed,
            "weights": count(trained.network),
            "best_epoch": trained.best,
            "shrinkage": trained.shrinkage,
            "torch": _torch_version(),
            "epochs": trained.epochs,
        }

    def _key(self, frame: FeatureFrame, seed: int) -> str:
        """Return what is the same for two trainings that must come to the same result."""
        said = {**self.contract(frame).as_json(), **self.options(), "seed": seed, "torch": _torch_version()}
        digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
        digest.update(frame.history.sha256.encode())
        digest.update(np.ascontiguousarray(frame.values).tobytes())
        return digest.hexdigest()[:16]

    def _fitted(self, windows: Windows) -> Floats:
        from tickloom.forecast.training import forecast

        return forecast(self._torch(), windows, self.recipe.threads)

    def _torch(self) -> "Scaled":
        """Return the network; of a loaded model, from its weights."""
        if self._network is None:
            if self._saved is None:
                raise self._unfitted()
            from tickloom.forecast import checkpoint
            from tickloom.forecast.models.architectures import BUILDERS
            from tickloom.forecast.training import Scale, Scaled

            if WEIGHTS not in self._saved.files:
                raise TickloomError(
                    f"{self.name}: was loaded from a folder without {WEIGHTS}, which explaining it needs; copy it from "
                    "the folder it was saved to, and load the model again"
                )
            k = len(self.features)
            net = BUILDERS[self.name](k, self.horizon, self.width)
            self._network = Scaled(net, Scale(np.zeros(k), np.ones(k), np.ones(self.horizon))).eval()
            self._network.load_state_dict(checkpoint.parse(self._saved.files[WEIGHTS], WEIGHTS))
        return self._network

    def _graph(self) -> Any:
        from tickloom.forecast.models.export import graph_of

        return graph_of(self._torch(), self.window)

    def save(self, folder: Path) -> None:
        """Write ``model.onnx``, ``parameters.json`` and ``weights.pt``; of a loaded model, what it was loaded from.

        Raises
        ------
        TickloomError
            It was neither fitted nor loaded, or the graph does not give the network's forecasts.
        """
        super().save(folder)
        if self._saved is None:
            from tickloom.forecast import checkpoint

            checkpoint.write(folder / WEIGHTS, self._torch().state_dict())

    @property
    def explained_by(self) -> tuple[str, ...]:
        """Integrated gradients, which need torch and captum, and shuffling."""
        return (GRADIENTS, PERMUTATION)

    def _explain(self, frame: FeatureFrame, rows: Rows, method: str) -> Mapping[str, float]:
        if method == PERMUTATION:
            return self.permutation_importance(frame, rows)
        self.check_features(frame)
        try:
            from tickloom.forecast.models.export import integrated_gradients

            network = self._torch()
            found = [integrated_gradients(network, it, self.recipe.threads) for it in self._windows(frame, rows)]
        except ModuleNotFoundError as error:
            raise _without(error, f"explaining {self.name}") from None
        added = np.abs(np.concatenate(found)).mean(0) if found else np.zeros(len(self.features))
        return dict(zip(self.features, added.tolist(), strict=True))

    def parameters(self) -> Mapping[str, Any]:
        """Return choices, size and outcome of the training."""
        found = {"horizon": self.horizon, "strategy": "direct", "options": self.options(), **self.learned}
        return {name: it for name, it in found.items() if name != "epochs"}


class Lstm(Network):
    """Three layers of LSTM with 100, 100 and 50 units."""

    name: ClassVar[str] = "lstm"


class BiLstm(Network):
    """Three layers of LSTM that read the window in both directions; it ends at the cutoff."""

    name: ClassVar[str] = "bilstm"


class AttentionLstm(Network):
    """Two layers of LSTM, and additive attention of the cutoff's session to the window's states."""

    name: ClassVar[str] = "attention_lstm"


class MultiheadLstm(Network):
    """Two layers of LSTM, and attention with four heads of 32."""

    name: ClassVar[str] = "multihead_lstm"


class EnsembleNetwork(Network):
    """An LSTM, a GRU and a Transformer, whose forecasts a dense network puts together."""

    name: ClassVar[str] = "ensemble"


class StackedLstm(Network):
    """Two layers of LSTM with 64 units and a dense one of 32, on 50 sessions."""

    name: ClassVar[str] = "stacked_lstm"
    usual_window: ClassVar[int] = 50


def _torch_version() -> str:
    return importlib.metadata.version("torch")


def _without(error: ModuleNotFoundError, what: str) -> Exception:
    """Return what to raise where a module is missing: the extra to install, unless it is one of our own."""
    if error.name and error.name.startswith("tickloom"):
        return error
    return TickloomError(f"{what} needs {error.name}: pip install 'tickloom[train]'")
