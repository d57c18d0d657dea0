"""The state of a training after an epoch, on disk: tensors and plain numbers, never code."""

import io
from pathlib import Path
from typing import Any

import torch

from tickloom.errors import TickloomError
from tickloom.files import whole


def write(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` whole, in torch's own format."""
    with whole(path) as part:
        torch.save(state, part)


def read(path: Path) -> dict[str, Any]:
    """Return what ``write`` wrote, on the CPU.

    Only tensors and plain values are read; a file that asks for anything else to be run is refused.

    Raises
    ------
    TickloomError
        The file cannot be read as such.
    """
    return parse(path.read_bytes(), str(path))


def parse(content: bytes, name: str) -> dict[str, Any]:
    """Return what the bytes of such a file hold, as ``read`` does."""
    try:
        found: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # of a torn file torch raises whatever its bytes lead to
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise TickloomError(f"{name}: holds no state of a training ({reason}); remove it to begin anew") from None
    return found
