"""What a scheme reads, held against what it expects: files may contradict themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from weightscope.checkpoint.dtypes import TORCH_NAMES
from weightscope.errors import CheckpointError
from weightscope.storage.base import Stored

if TYPE_CHECKING:
    import torch

Raw = Callable[[str], "torch.Tensor"]


def read_parts(parts: Iterable[Stored], raw: Raw) -> list[torch.Tensor]:
    """The tensors of a weight, each of the shape and element type that its part says.

    Raises:
        CheckpointError: one is otherwise.
    """
    return [_checked(raw(part.name), part) for part in parts]


def read_optional(part: Stored, raw: Raw) -> torch.Tensor | None:
    """The same of one that may be absent."""
    try:
        tensor = raw(part.name)
    except KeyError:
        return None
    except CheckpointError as error:
        if error.code == "missing-tensor":
            return None
        raise
    return _checked(tensor, part)


def refuse(name: str, what: str) -> CheckpointError:
    """The error for a tensor that says something no writer of its method stores."""
    return CheckpointError(
        f"{name} {what}", hint="`weightscope check --values` looks at every weight", code="quantization-mismatch"
    )


def check_length(name: str, length: int, most: int) -> None:
    """Raise a CheckpointError if a text beside a weight is longer than its method writes."""
    if length > most:
        raise refuse(name, f"has {length:,} bytes; such a text has at most {most:,}")


def _checked(tensor: torch.Tensor, part: Stored) -> torch.Tensor:
    dtype = TORCH_NAMES.get(str(tensor.dtype).removeprefix("torch."), str(tensor.dtype))
    if part.dtypes and dtype not in part.dtypes:
        wanted = " or ".join(sorted(part.dtypes))
        raise CheckpointError(f"{part.name} is stored in {dtype}, not in {wanted}", code="quantization-mismatch")
    if not part.opaque and tuple(tensor.shape) not in {part.shape, *part.also}:
        shapes = [list(map(int, shape)) for shape in (tensor.shape, part.shape)]
        raise CheckpointError(f"{part.name} has shape {shapes[0]}, not {shapes[1]}", code="shape-mismatch")
    return tensor
