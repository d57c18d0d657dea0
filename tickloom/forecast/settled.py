"""Torch's global state while a network trains or forecasts: set for a block, and put back after it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from tickloom.errors import TickloomError
from tickloom.forecast.recipe import Recipe


def device_of(recipe: Recipe) -> torch.device:
    """Return where a recipe's training runs."""
    there = torch.cuda.is_available()
    if recipe.device == "cuda" and not there:
        raise TickloomError("device 'cuda': torch finds no GPU here; take device 'auto' or 'cpu'")
    return torch.device("cuda" if there and recipe.device != "cpu" else "cpu")


@contextmanager
def settled(threads: int, device: torch.device) -> Iterator[None]:
    """Set torch's threads, demand deterministic algorithms, keep its chance apart, and put all back afterwards."""
    before = torch.get_num_threads()
    demanded, warns = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    memory: Any = torch.utils.deterministic
    fills = memory.fill_uninitialized_memory
    on_gpu = device.type == "cuda"
    if on_gpu:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS gives the same bits with this alone
    try:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(True, warn_only=on_gpu)
        memory.fill_uninitialized_memory = False  # costs time, and nothing here reads such memory
        with torch.random.fork_rng(devices=[torch.cuda.current_device()] if on_gpu else []):
            yield
    finally:
        memory.fill_uninitialized_memory = fills
        torch.use_deterministic_algorithms(demanded, warn_only=warns)
        torch.set_num_threads(before)


def seed_of(seed: int, epoch: int) -> int:
    """Return one of 63 bits; epoch 0 is the making of the first weights."""
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)[0] >> np.uint64(1))
