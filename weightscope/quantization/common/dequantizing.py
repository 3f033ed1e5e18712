"""A quantized weight from the tensors that stand for it; what does not fit together is said, not met."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

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
            hint="`weightscope check` says which one is wrong",
            code="quantization-mismatch",
        ) from None


@runtime_checkable
class Multiplies(Protocol):
    """A scheme of modules that multiply their input by a vector before the weight."""

    def multiplies_input(self, name: str) -> str:
        """The name of that vector, for the weight of that name; it may be absent."""
        ...


def as_used(
    scheme: Scheme, name: str, raw: Callable[[str], torch.Tensor], vector: Callable[[str], torch.Tensor | None]
) -> torch.Tensor:
    """The matrix that a module multiplies its input by: the weight, its columns times what the input is scaled by.

    `vector` gives a tensor whole, None where it is absent.

    Raises:
        CheckpointError, NotImplementedByWeightscope: as for `dequantized`.
    """
    weight = dequantized(scheme, name, raw)
    before = vector(scheme.multiplies_input(name)) if isinstance(scheme, Multiplies) else None
    if before is None:
        return weight
    if before.shape != weight.shape[-1:]:
        raise CheckpointError(
            f"{name} has {weight.shape[-1]} columns, and its input is scaled by {list(before.shape)}",
            where=name,
            code="quantization-mismatch",
        )
    return weight * before.float()


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
