"""Vectors of an image that lie in rows and columns: how many of each, kept for the layers of a pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.components.running import At

if TYPE_CHECKING:
    import torch

Plane = tuple[int, int]
KEY = "rows and columns"


def plane_of(at: At) -> Plane:
    """Rows and columns of the vectors [rows · columns, width] that a layer gets."""
    plane: Plane = at.run.shared[KEY]
    return plane


def flattened(x: torch.Tensor, at: At) -> torch.Tensor:
    """Vectors [rows, columns, width] as [rows · columns, width], row by row; what follows knows how many."""
    at.run.shared[KEY] = x.shape[0], x.shape[1]
    return x.flatten(0, 1)


def raised(x: torch.Tensor, at: At) -> torch.Tensor:
    """The inverse: [rows · columns, width] as [rows, columns, width]."""
    return x.unflatten(0, plane_of(at))  # type: ignore[no-untyped-call,no-any-return]
