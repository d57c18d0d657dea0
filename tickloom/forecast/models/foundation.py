"""Chronos and TimesFM: pretrained on other series, asked as they are; this module is read without torch.

Weights are a folder on this machine and nothing else: no name of a hub is looked up, and no network is touched. What
the networks themselves need stands in ``pretrained``.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from tickloom.errors import TickloomError
from tickloom.forecast.features import FeatureFrame
from tickloom.forecast.models.base import Prediction, Progress, Rows
from tickloom.forecast.models.naive import FILE, Simple

LEAST = 32
"""Closes that a forecast reads at least: one patch of the published networks."""
LEVELS = tuple(round(0.1 * it, 1) for it in range(1, 10))
"""Probabilities of the quantiles that all of them were trained for."""
FLOOR = 0.01
"""Share of the last close below which no forecast of a price is taken: it has no logarithm at 0."""
_CONFIG, _TENSORS = "config.json", "*.safetensors"
_HUB = re.compile(r"[\w.-]+/[\w.-]+|\w+://.*")


class Foundation(Simple):
    """A pretrained network that forecasts from the closes up to the cutoff, without having been fitted to them.

    Parameters
    ----------
    horizon
        Sessions ahead, at most as many as the network was trained for.
    weights
        Folder with ``config.json`` and ``*.safetensors``, as the network's publisher has them.
    context
        Closes that a forecast reads at most, the cutoff's included; all there are where there are fewer.
    threads
        Of torch; results are the same bits for the same number only.

    Prices go in and come out; a price below ``FLOOR`` of the last close is taken for that. ``fit`` learns nothing: it
    reads the weights, takes their SHA-256 and keeps the seed, which decides for networks that sample. What was saved
    names the folder and the SHA-256 and holds no weights, so a forecast needs the folder, torch and ``[foundation]``.

    The network may have been trained on the sessions that it is judged by; no walk-forward can rule that out.
    """

    served_by: tuple[str, ...] = ("torch", "chronos-forecasting", "transformers")

    def __init__(
        self, horizon: int, *, weights: str | Path | None = None, context: int = 512, threads: int = 1
    ) -> None:
        super().__init__(horizon)
        for said, value, least in (("context", context, LEAST), ("threads", threads, 1)):
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise TickloomError(f"{self.name}: {said} {value!r} must be {least} or more")
        self.weights = _folder(self.name, weights)
        self.context, self.threads = context, threads
        self.seed = 0
        self.sha256: str | None = None

    @property
    def least_rows(self) -> int:
        """One session: nothing is learned."""
        return 1

    @property
    def reads_before(self) -> int:
        """All but one of the closes that a forecast reads at least."""
        return LEAST - 1

    def _fit(self, frame: FeatureFrame, seed: int, progress: Progress | None) -> None:
        if seed < 0:
            raise TickloomError(f"{self.name}: seed {seed} must be 0 or more")
        self.seed, self.sha256 = seed, digest(self.weights)
        self._network()

    def _network(self) -> Any:
        if self.sha256 is None:
            raise TickloomError(f"{self.name} is not fitted yet; call fit or load first")
        try:
            from tickloom.forecast.models.pretrained import opened

            network = opened(self.name, str(self.weights), self.sha256)
        except ModuleNotFoundError as error:
            if error.name and error.name.startswith("tickloom"):
                raise
            raise TickloomError(f"{self.name} needs {error.name}: pip install 'tickloom[foundation]'") from None
        if self.horizon > network.longest:
            raise TickloomError(
                f"{self.name}: the network of {self.weights} forecasts {network.longest} sessions ahead, not "
                f"{self.horizon}; take a shorter horizon"
            )
        return network

    def _predict(self, frame: FeatureFrame, rows: Rows) -> Prediction:
        network, closes = self._network(), frame.history.close
        # per cutoff, so that a forecast does not depend on which others are asked for with it
        chances = [(self.seed, int(frame.history.day[row])) for row in rows]
        contexts = [closes[max(0, row + 1 - self.context) : row + 1] for row in rows]
        mean, quantiles = network.forecast(contexts, self.horizon, LEVELS, chances, self.threads)
        if not (np.isfinite(mean).all() and np.isfinite(quantiles).all()):
            raise TickloomError(
                f"{self.name}: the network of {self.weights} gives forecasts that are no numbers; take its files from "
                "their source again"
            )
        last = closes[rows][:, None]
        returns = np.log(np.maximum(mean / last, FLOOR))
        # each quantile is an output of its own, and two may cross
        ordered = np.sort(np.log(np.maximum(quantiles / last[:, :, None], FLOOR)), axis=2)
        return Prediction(rows, returns, {level: ordered[:, :, at] for at, level in enumerate(LEVELS)})

    def state(self) -> dict[str, Any]:
        """Return where the weights are, their SHA-256, the context and the seed."""
        return {"weights": str(self.weights), "sha256": self.sha256, "context": self.context, "seed": self.seed}

    def save(self, folder: Path) -> None:
        """Write ``parameters.json``, which names the weights and does not hold them.

        Raises
        ------
        TickloomError
            It was neither fitted nor loaded.
        """
        if self.sha256 is None:
            raise TickloomError(f"{self.name} is not fitted yet; call fit or load first")
        super().save(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return what ``save`` wrote.

        Raises
        ------
        TickloomError
            The file is of another model, or the weights are not there or not the same.
        """
        path = folder / FILE
        body = json.loads(path.read_text(encoding="utf-8"))
        if body.get("model") != cls.name:
            raise TickloomError(f"{path}: holds the model {body.get('model')!r}, not {cls.name!r}")
        try:
            horizon, context, seed = (int(body[it]) for it in ("horizon", "context", "seed"))
            weights, sha256 = Path(str(body["weights"])), str(body["sha256"])
        except (KeyError, TypeError, ValueError) as error:
            raise TickloomError(f"{path}: not what a model writes ({error}); take it from its source again") from None
        if not weights.is_dir():
            raise TickloomError(
                f"{cls.name}: its weights are not at {weights} on this machine, and are not saved with the model; "
                f"bring the folder there whose SHA-256 is {sha256}"
            )
        made = cls(horizon, weights=weights, context=context)
        found = digest(made.weights)
        if found != sha256:
            raise TickloomError(
                f"{cls.name}: the weights in {weights} are others than it was judged with: their SHA-256 is {found}, "
                f"not {sha256}; bring the former ones back, or train it again with these"
            )
        made.seed, made.sha256 = seed, sha256
        return made


class Chronos(Foundation):
    """Chronos (T5), Chronos-Bolt and Chronos-2, whichever the weights are of; the first one samples.

    Chronos (T5) knows prices in steps of 0.7 % of their mean over the context (4,093 bins from -15 to 15 times the
    mean): about the move of a day. The other two have no steps.
    """

    name: ClassVar[str] = "chronos"

    def __init__(
        self, horizon: int, *, weights: str | Path | None = None, context: int = 512, threads: int = 1
    ) -> None:
        super().__init__(horizon, weights=weights, context=context, threads=threads)
        # as the library itself tells them apart
        config = _config(self.weights)
        if "chronos_config" not in config:
            raise TickloomError(
                f"chronos: {self.weights / _CONFIG} is not of Chronos: it has no chronos_config; it says model_type "
                f"{config.get('model_type')!r}"
            )
        self.random = config.get("chronos_pipeline_class", "ChronosPipeline") == "ChronosPipeline"


class TimesFm(Foundation):
    """TimesFM 2.0 and 2.5, in the form that transformers reads."""

    name: ClassVar[str] = "timesfm"

    def __init__(
        self, horizon: int, *, weights: str | Path | None = None, context: int = 512, threads: int = 1
    ) -> None:
        super().__init__(horizon, weights=weights, context=context, threads=threads)
        kind = _config(self.weights).get("model_type")
        if kind not in ("timesfm", "timesfm2_5"):
            raise TickloomError(
                f"timesfm: {self.weights / _CONFIG} says model_type {kind!r}, not timesfm or timesfm2_5; take the "
                "files that are published for transformers"
            )


def digest(folder: Path) -> str:
    """Return the SHA-256 of a folder's weights: that of what ``sha256sum *.json *.safetensors`` prints there."""
    lines = []
    for path in sorted([*folder.glob("*.json"), *folder.glob(_TENSORS)], key=lambda it: (it.suffix, it.name)):
        with path.open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _folder(model: str, weights: str | Path | None) -> Path:
    """Return the folder of the weights, or raise a TickloomError that says what is wrong with it."""
    wanted = f"name a folder on this machine with {_CONFIG} and {_TENSORS}"
    if weights is None:
        raise TickloomError(f"{model}: option weights is missing; {wanted}, such as {model}.weights=/models/{model}")
    path = Path(str(weights)).expanduser()
    if not path.is_dir():
        if _HUB.fullmatch(str(weights)) and not path.exists():
            raise TickloomError(
                f"{model}: weights {str(weights)!r} are no folder here; nothing is downloaded, so bring the files and "
                f"{wanted}"
            )
        raise TickloomError(f"{model}: weights {str(weights)!r} are no folder; {wanted}")
    if not (path / _CONFIG).is_file():
        raise TickloomError(f"{model}: {path} has no {_CONFIG}; {wanted}")
    if (path / "adapter_config.json").exists():
        raise TickloomError(
            f"{model}: {path} holds an adapter, whose network is elsewhere; merge both and name the merged one's folder"
        )
    if not any(path.glob(_TENSORS)):
        raise TickloomError(f"{model}: {path} has no {_TENSORS}, and pickled weights are not read; convert them")
    return path.resolve()


def _config(folder: Path) -> Mapping[str, Any]:
    path = folder / _CONFIG
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TickloomError(f"{path}: no JSON ({error}); take the folder from its source again") from None
    if not isinstance(body, dict):
        raise TickloomError(f"{path}: no JSON object; take the folder from its source again")
    return body
