"""A component's weights in the compute type: each converted when it is asked for, or slab by slab as it multiplies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from weightscope.pool import converted, empty

if TYPE_CHECKING:
    import torch

# Elements converted at a time: as float32 they take 1 MB and stay in the cache of a core.
SLAB = 1 << 18
# From so many vectors on, a product takes longer than the conversion of its matrix, and large products are the best.
MANY = 16


class Weights(Mapping[str, "torch.Tensor"]):
    """Tensors by role as they were read; each is converted, and kept so, when it is first asked for."""

    def __init__(self, found: dict[str, torch.Tensor], dtype: torch.dtype) -> None:
        self._found = found
        self._dtype = dtype

    def __getitem__(self, role: str) -> torch.Tensor:
        tensor = self._found[role]
        if tensor.dtype is not self._dtype:
            tensor = self._found[role] = converted(tensor, self._dtype)
        return tensor

    def __contains__(self, role: object) -> bool:
        return role in self._found

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def product(self, x: torch.Tensor, role: str, bias: torch.Tensor | None) -> torch.Tensor:
        """X · Wᵀ + bias, [..., columns] to [..., rows]."""
        stored = self._found[role]
        return product(x, stored if _by_slabs(x, stored) else self[role], bias)


def product(x: torch.Tensor, matrix: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """X · matrixᵀ + bias in the type of x, [..., columns] to [..., rows], for a matrix of any type."""
    import torch

    linear = torch.nn.functional.linear
    if not _by_slabs(x, matrix):
        return linear(x, converted(matrix, x.dtype), bias)
    rows, columns = matrix.shape
    step = _slab_rows(columns)
    out = x.new_empty(*x.shape[:-1], rows)
    slab = empty((step, columns), x.dtype)
    for start in range(0, rows, step):
        part = slice(start, min(start + step, rows))
        wide = slab[: part.stop - start].copy_(matrix[part])
        out[..., part] = linear(x, wide, None if bias is None else bias[part])
    return out


def product_into(out: torch.Tensor, x: torch.Tensor, matrix: torch.Tensor) -> None:
    """The product [T, rows] without a bias, written to some columns of a larger tensor."""
    import torch

    if _by_slabs(x, matrix):
        out.copy_(product(x, matrix))
    else:
        torch.mm(x, converted(matrix, x.dtype).T, out=out)


def _by_slabs(x: torch.Tensor, matrix: torch.Tensor) -> bool:
    """Whether a few vectors meet a large matrix of another type, whose rows lie one after another in memory.

    Several threads would wait for each other at every slab: on a busy machine four times as long as they compute.
    """
    import torch

    if matrix.dtype is x.dtype or matrix.device.type != "cpu" or matrix.ndim != 2 or matrix.stride(1) != 1:
        return False
    rows, columns = matrix.shape
    return x.numel() < MANY * columns and rows > _slab_rows(columns) and torch.get_num_threads() == 1


def _slab_rows(columns: int) -> int:
    """A power of 2: kernels take rows in such numbers, so no sum is in another order than in one product of all."""
    most = max(SLAB // max(columns, 1), 1)
    return 1 << (most.bit_length() - 1)
