"""A quantized weight from the tensors that stand for it; what does not fit together is said, not met."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from weightscope.errors import CheckpointError
from weightscope.storage.base import Scheme

if TYPE_CHECKING:
    import torch


def dequantized(scheme: Scheme, name: str, raw: Callable[[str], torch.Tensor]) -> torch.Tensor:
    """The float32 weight of that name; `raw` gives each of its tensors as it is stored.

    Raises:
        CheckpointError: their shapes, types or values do not fit together, or one is not there.
        NotImplementedByWeightscope: the method is only named.
    """
    try:
        return scheme.read(name, raw)
    except (ValueError, IndexError, RuntimeError) as error:
        # A tensor too large for the memory is no fault of the file.
        if "alloc" in str(error) or "out of memory" in str(error):
            raise
        raise CheckpointError(
            f"{name} cannot be dequantized ({scheme.words}): its tensors do not fit together ({_first_line(error)})",
            where=name,
            hint="`weightscope check` says which of them is not as it should be",
            code="quantization-mismatch",
        ) from None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
