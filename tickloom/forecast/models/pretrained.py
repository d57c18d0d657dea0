"""Pretrained networks behind one call; the libraries that know them are imported here and nowhere else."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tickloom.errors import TickloomError
from tickloom.forecast.history import Floats
from tickloom.forecast.models.foundation import LEAST
from tickloom.forecast.settled import seed_of, settled

BATCH = 32
_CPU = torch.device("cpu")
_LOCAL: dict[str, Any] = {
    "local_files_only": True,
    "use_safetensors": True,
    "trust_remote_code": False,
    "dtype": torch.float32,
}
"""Nothing is fetched, unpickled or run that lies beside the weights."""


class Network(ABC):
    """A pretrained network on the CPU.

    Attributes
    ----------
    longest : int
        Sessions ahead that it was trained for.
    samples : bool
        Whether it draws its forecasts.
    """

    longest: int
    samples: bool = False

    def forecast(
        self,
        contexts: Sequence[Floats],
        horizon: int,
        levels: Sequence[float],
        chances: Sequence[tuple[int, int]],
        threads: int,
    ) -> tuple[Floats, Floats]:
        """Return prices: mean or median float64[m, horizon], and quantiles float64[m, horizon, levels].

        Parameters
        ----------
        contexts
            Of m cutoffs, each the closes that end there.
        chances
            For each, what decides about its samples.
        """
        mean, quantiles = np.empty((len(contexts), horizon)), np.empty((len(contexts), horizon, len(levels)))
        with settled(threads, _CPU), torch.no_grad():
            for at in self._batches(contexts):
                torch.manual_seed(seed_of(*chances[at[0]]))
                given = torch.from_numpy(np.stack([contexts[it] for it in at])).to(torch.float32)
                found = self._ask(given, horizon, list(levels))
                mean[at], quantiles[at] = (it.double().numpy() for it in found)
        return mean, quantiles

    def _batches(self, contexts: Sequence[Floats]) -> Iterator[list[int]]:
        """Yield which contexts go together: of one length, for none is padded; alone where they are sampled."""
        by_length: dict[int, list[int]] = {}
        for at, context in enumerate(contexts):
            by_length.setdefault(len(context), []).append(at)
        size = 1 if self.samples else BATCH
        for same in by_length.values():
            for start in range(0, len(same), size):
                yield same[start : start + size]

    @abstractmethod
    def _ask(self, contexts: torch.Tensor, horizon: int, levels: list[float]) -> tuple[torch.Tensor, torch.Tensor]: ...


class ChronosNetwork(Network):
    """Any network of the Chronos family, through its publisher's library."""

    def __init__(self, folder: str) -> None:
        from chronos import BaseChronosPipeline, ForecastType

        self._pipeline: Any = BaseChronosPipeline.from_pretrained(folder, **_LOCAL)
        # some of Chronos-Bolt's may be missing by its library's leave, and would be filled by chance
        _check_whole(_missing(self._pipeline.inner_model, folder))
        self.longest = int(self._pipeline.model_prediction_length)
        self.samples = self._pipeline.forecast_type == ForecastType.SAMPLES

    def _ask(self, contexts: torch.Tensor, horizon: int, levels: list[float]) -> tuple[torch.Tensor, torch.Tensor]:
        series = list(contexts)
        quantiles, mean = self._pipeline.predict_quantiles(series, prediction_length=horizon, quantile_levels=levels)
        if isinstance(quantiles, list):  # Chronos-2: one [variates, horizon, levels] for each series
            return torch.cat(mean), torch.cat(quantiles)
        return mean, quantiles


class TimesFmNetwork(Network):
    """TimesFM 2.0 and 2.5 through transformers."""

    def __init__(self, folder: str) -> None:
        from transformers import AutoConfig, TimesFm2_5ModelForPrediction, TimesFmModelForPrediction

        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        self._later = config.model_type == "timesfm2_5"
        class_: Any = TimesFm2_5ModelForPrediction if self._later else TimesFmModelForPrediction
        self._model, told = class_.from_pretrained(folder, output_loading_info=True, **_LOCAL)
        _check_whole(sorted(told["missing_keys"]))  # names in files are not those of the model
        self._patch, self._most = int(config.patch_length), int(config.context_length)
        if self._patch > LEAST:
            raise ValueError(f"patch_length {self._patch} is above {LEAST}")
        self._levels = [round(float(it), 6) for it in config.quantiles]
        self.longest = int(config.horizon_length)

    def _ask(self, contexts: torch.Tensor, horizon: int, levels: list[float]) -> tuple[torch.Tensor, torch.Tensor]:
        # whole patches: what is missing of one would be filled with zeros, which 2.5 counts in its mean and deviation
        length = min(contexts.shape[1], self._most) // self._patch * self._patch
        series = list(contexts[:, -length:])
        daily = {} if self._later else {"freq": [0] * len(series)}  # 0: sessions of a day or shorter
        found = self._model(past_values=series, forecast_context_len=length, **daily)
        columns = [1 + self._levels.index(it) for it in levels]  # column 0 is the mean
        return found.mean_predictions[:, :horizon], found.full_predictions[:, :horizon, columns]


_NETWORKS: dict[str, type[Any]] = {"chronos": ChronosNetwork, "timesfm": TimesFmNetwork}


@lru_cache(maxsize=1)
def opened(model: str, folder: str, sha256: str) -> Network:
    """Return the network whose weights lie in a folder; the same one again while their SHA-256 is the same.

    Raises
    ------
    TickloomError
        The files are not of such a network, or not all of them are there.
    """
    try:
        with _quietly():
            found: Network = _NETWORKS[model](folder)
    except ImportError:
        raise
    except Exception as error:  # whatever the libraries stumble over in files that are not as they should be
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise TickloomError(
            f"{model}: {folder} cannot be read as its weights ({reason}); take the folder from its source again"
        ) from None
    return found


def _missing(model: torch.nn.Module, folder: str) -> list[str]:
    """Return the names of the weights that the files lack."""
    from safetensors import safe_open

    there: set[str] = set()
    for path in Path(folder).glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            there.update(file.keys())
    named = dict(model.named_parameters(remove_duplicate=False))
    shared = {it.data_ptr() for name, it in named.items() if name in there}  # one tensor may go by several names
    return [name for name, it in named.items() if it.data_ptr() not in shared]


def _check_whole(missing: list[str]) -> None:
    if missing:
        raise ValueError(f"{len(missing)} tensors are missing, such as {missing[0]}")


@contextmanager
def _quietly() -> Iterator[None]:
    """Have transformers show no bars and no report of what it reads; errors are raised all the same."""
    from transformers import utils

    logging: Any = utils.logging
    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
