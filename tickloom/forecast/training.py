"""Train a network: the same seed on the same machine gives the same bits, whether or not it was interrupted."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tickloom.errors import TickloomError
from tickloom.forecast import checkpoint
from tickloom.forecast.features import FeatureFrame
from tickloom.forecast.history import Floats
from tickloom.forecast.models.architectures import Net
from tickloom.forecast.models.base import Progress
from tickloom.forecast.recipe import Recipe
from tickloom.forecast.settled import device_of, seed_of, settled
from tickloom.forecast.windows import Parts, Windows

LIMIT = 10.0
"""Deviations beyond which a standardised feature is cut off."""
EVALUATED = 512
"""Windows that are forecast from at a time."""


@dataclass(frozen=True, eq=False)
class Scale:
    """What inputs and targets are standardised by, learned from the training rows alone.

    Attributes
    ----------
    mean, deviation : float64[k]
        Of the features; a feature that never moves has deviation 1.
    target : float64[horizon]
        Deviations of the log-returns. Their mean stays, for it is what a drift would forecast.
    """

    mean: Floats
    deviation: Floats
    target: Floats

    @classmethod
    def of(cls, values: Floats, targets: Floats) -> Self:
        """Return the scale of float64[n, k] and float64[m, horizon]."""
        return cls(values.mean(0), _deviation(values), _deviation(targets))


class Scaled(nn.Module):
    """A network with its scale inside: raw features in, log-returns out.

    Parameters
    ----------
    net
        Reads standardised windows.
    scale
        Becomes a part of its state.
    """

    mean: Tensor
    deviation: Tensor
    target: Tensor

    def __init__(self, net: Net, scale: Scale) -> None:
        super().__init__()
        self.net = net
        for name in ("mean", "deviation", "target"):
            self.register_buffer(name, torch.tensor(getattr(scale, name), dtype=torch.float32))

    def standardise(self, values: Tensor) -> Tensor:
        """Return features as the network reads them."""
        return ((values - self.mean) / self.deviation).clamp(-LIMIT, LIMIT)

    def forward(self, windows: Tensor) -> Tensor:
        """Return log-returns, float32[batch, horizon], for raw float32[batch, window, k]."""
        found: Tensor = self.net(self.standardise(windows)) * self.target
        return found


@dataclass(frozen=True, eq=False)
class Data:
    """All sessions on the device, once; windows are made of them for each step.

    Attributes
    ----------
    values : float32[n, k]
        Standardised.
    targets : float32[n, horizon]
    window : int
    """

    values: Tensor
    targets: Tensor
    window: int

    def __post_init__(self) -> None:
        back = torch.arange(1 - self.window, 1, device=self.values.device)
        object.__setattr__(self, "_back", back)

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return windows float32[m, window, k] and targets float32[m, horizon] of these cutoffs."""
        back: Tensor = self.__dict__["_back"]
        return self.values[rows[:, None] + back], self.targets[rows]


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training gives.

    Attributes
    ----------
    network : Scaled
        On the CPU, with the weights of the best epoch.
    epochs : list of dict
        ``epoch, loss, val_loss, lr`` of each.
    best : int
        The epoch whose weights these are.
    shrinkage : list of float
        By sessions ahead, what its forecasts are multiplied by; it is a part of ``network``.
    """

    network: Scaled
    epochs: list[dict[str, float]]
    best: int
    shrinkage: list[float]


def train(
    build: Callable[[], Net],
    frame: FeatureFrame,
    parts: Parts,
    window: int,
    horizon: int,
    recipe: Recipe,
    seed: int,
    *,
    state: Path | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train a network on a frame's training rows until its validation rows no longer gain by it.

    Parameters
    ----------
    build
        Makes the network; its first weights come of the seed.
    state
        File of the state after each epoch; a training goes on from it where there is one.
    progress
        Told the share and ``epoch, loss, val_loss, lr`` after each epoch.

    Raises
    ------
    TickloomError
        No GPU where one is demanded, a state that cannot be read, or a loss that is no longer a number.
    """
    device = device_of(recipe)
    with settled(recipe.threads, device):
        torch.manual_seed(seed_of(seed, 0))
        targets = frame.targets(horizon)
        first = int(parts.train[0]) - window + 1
        scale = Scale.of(frame.values[first : parts.train[-1] + 1], targets[parts.train])
        network = Scaled(build(), scale).to(device)
        values = torch.tensor(np.nan_to_num(frame.values), dtype=torch.float32, device=device)
        scaled = torch.tensor(targets / scale.target, dtype=torch.float32, device=device)
        run = _Run(network, Data(network.standardise(values), scaled, window), recipe, seed, parts, device)
        if state is not None and state.is_file():
            run.restore(checkpoint.read(state))
            if run.ended and progress is not None:
                progress(1.0, run.epochs[-1])
        while not run.ended:
            figures = run.epoch()
            if state is not None:
                checkpoint.write(state, run.state())
            if progress is not None:
                progress(1.0 if run.ended else len(run.epochs) / recipe.epochs, figures)
        network.net.load_state_dict(run.best)
        shrinkage = run.shrinkage() if recipe.shrink else torch.ones(horizon, device=device)
        network.target *= shrinkage
    return Trained(network.cpu().eval(), run.epochs, run.best_epoch, shrinkage.tolist())


@dataclass(frozen=True, eq=False)
class Given:
    """Windows that somebody else has made: float32[n, window, k], with targets float32[n, horizon]."""

    windows: Tensor
    targets: Tensor

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return windows and targets of these rows."""
        return self.windows[rows], self.targets[rows]


def train_on(
    build: Callable[[], Net],
    learned: tuple[Floats, Floats],
    validation: tuple[Floats, Floats],
    recipe: Recipe,
    seed: int,
) -> Net:
    """Train a network on windows and targets that are scaled already, such as a published protocol's.

    Parameters
    ----------
    learned, validation : pair of float64[n, window, k] and float64[n]
        The second ends the training and teaches nothing else.

    Returns
    -------
    Net
        On the CPU, with the weights of the best epoch.
    """
    device = device_of(recipe)
    with settled(recipe.threads, device):
        torch.manual_seed(seed_of(seed, 0))
        network = build().to(device)
        windows, targets = (
            torch.tensor(np.concatenate([learned[at], validation[at]]), dtype=torch.float32, device=device)
            for at in (0, 1)
        )
        count = len(learned[0])
        parts = Parts(np.arange(count), np.arange(count, len(windows)))
        run = _Run(Bare(network), Given(windows, targets[:, None]), recipe, seed, parts, device)
        while not run.ended:
            run.epoch()
        network.load_state_dict(run.best)
    return network.cpu().eval()


@dataclass(frozen=True, eq=False)
class Bare:
    """A network without a scale of its own."""

    net: Net


class _Run:
    """A training between two epochs; all that it needs to go on is in ``state``."""

    def __init__(
        self,
        network: Scaled | Bare,
        data: Data | Given,
        recipe: Recipe,
        seed: int,
        parts: Parts,
        device: torch.device,
    ) -> None:
        self.net, self.data, self.recipe, self.seed, self.device = network.net, data, recipe, seed, device
        self.rows = torch.tensor(parts.train, device=device)
        self.later = torch.tensor(parts.validation, device=device)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=recipe.learning_rate, fused=True)
        self.plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(self.optimizer, factor=0.5, patience=recipe.plateau)
        self.mixed = device.type == "cuda" and torch.cuda.is_bf16_supported()
        self.epochs: list[dict[str, float]] = []
        self.best: dict[str, Any] = copy.deepcopy(self.net.state_dict())
        self.best_epoch, self.best_loss = 0, float("inf")

    @property
    def ended(self) -> bool:
        done = len(self.epochs)
        return done >= self.recipe.epochs or done - self.best_epoch >= self.recipe.patience

    def epoch(self) -> dict[str, float]:
        number = len(self.epochs) + 1
        torch.manual_seed(seed_of(self.seed, number))  # an epoch's chance is its own: resuming needs no generator
        rate = self.optimizer.param_groups[0]["lr"]
        loss, validation = self._learn(), self._validate()
        if not np.isfinite([loss, validation]).all():
            raise TickloomError(
                f"the loss is {loss:g} after epoch {number} (validation {validation:g}); take a lower learning_rate "
                f"than {self.recipe.learning_rate:g}, and look for features far from the others' size"
            )
        self.plateau.step(validation)
        figures = {"epoch": float(number), "loss": loss, "val_loss": validation, "lr": float(rate)}
        self.epochs.append(figures)
        if validation < self.best_loss:
            self.best_epoch, self.best_loss = number, validation
            self.best = copy.deepcopy(self.net.state_dict())
        return figures

    def _learn(self) -> float:
        self.net.train()
        total = torch.zeros((), device=self.device)
        order = self.rows[torch.randperm(len(self.rows)).to(self.device)]
        for rows in _steps(order, self.recipe.batch):
            windows, targets = self.data.batch(rows)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
                outputs = self.net.outputs(windows)
            losses = [functional.huber_loss(it.float(), targets) for it in outputs]
            self.optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(torch.stack(losses).mean())
            nn.utils.clip_grad_norm_(self.net.parameters(), self.recipe.clip)
            self.optimizer.step()
            total += losses[0].detach() * len(rows)
        return float(total) / len(self.rows)

    @torch.no_grad()
    def _later(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield forecasts from validation rows and what came, both float32[m, horizon]."""
        self.net.eval()
        for rows in torch.split(self.later, EVALUATED):
            windows, targets = self.data.batch(rows)
            yield self.net(windows), targets

    def _validate(self) -> float:
        losses = [functional.huber_loss(found, came) * len(came) for found, came in self._later()]
        return float(torch.stack(losses).sum()) / len(self.later)

    def shrinkage(self) -> Tensor:
        """Return the share of the forecasts, float32[horizon] in 0..1, that has the least squared error here."""
        both = [((found * came).sum(0), (found * found).sum(0)) for found, came in self._later()]
        along, size = (torch.stack([it[at] for it in both]).sum(0) for at in (0, 1))
        return torch.where(size > 0, along / size, 1.0).clamp(0.0, 1.0)

    def state(self) -> dict[str, Any]:
        return {
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "plateau": self.plateau.state_dict(),
            "epochs": self.epochs,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "best_loss": self.best_loss,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.plateau.load_state_dict(state["plateau"])
        self.epochs, self.best = state["epochs"], state["best"]
        self.best_epoch, self.best_loss = state["best_epoch"], state["best_loss"]


def forecast(network: Scaled, windows: Windows, threads: int) -> Floats:
    """Return log-returns float64[m, horizon] for raw windows float32[m, window, k]."""
    with settled(threads, torch.device("cpu")), torch.no_grad():
        found: Floats = network(torch.from_numpy(windows)).numpy().astype(np.float64)
    return found


def _steps(order: Tensor, batch: int) -> list[Tensor]:
    """Split rows into batches; a last one of a single row joins the one before it, for its variance is unknown."""
    found = list(torch.split(order, batch))
    if len(found) > 1 and len(found[-1]) == 1:
        found[-2:] = [torch.cat(found[-2:])]
    return found


def _deviation(values: Floats) -> Floats:
    found = values.std(0)
    return np.where(found > 0, found, 1.0)
