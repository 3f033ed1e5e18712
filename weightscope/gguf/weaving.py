"""The tensor of the architecture from the matrices of its roles, which a GGUF file holds apart or in another order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    import torch


class Weave(Protocol):
    """How the architecture's tensor is put together."""

    def __call__(self, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        """From one tensor a role, or a piece, in order."""
        ...


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of all roles in one tensor, as `storage.linear` and `storage.stacked` describe it.

    `groups` interleaves them in so many groups, `alternating` row by row; of `stacked` ones the rows are the second
    dimension. A `transposed` tensor has them as columns.
    """

    groups: int = 1
    alternating: bool = False
    stacked: bool = False
    transposed: bool = False

    def __call__(self, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        """Each part is (rows, …), or (experts, rows, …)."""
        import torch

        rows = 1 if self.stacked else 0
        if self.groups > 1:
            apart = [part.reshape(self.groups, -1, *part.shape[1:]) for part in parts]
            whole = torch.cat(apart, dim=1).flatten(0, 1)
        elif self.alternating:
            whole = torch.stack(tuple(parts), dim=rows + 1).flatten(rows, rows + 1)
        else:
            whole = parts[0] if len(parts) == 1 else torch.cat(tuple(parts), dim=rows)
        return whole.transpose(-2, -1) if self.transposed else whole


class Chosen(msgspec.Struct, frozen=True):
    """One of several roles that lie in one tensor, and that the architecture has apart."""

    place: int

    def __call__(self, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        """That one."""
        return parts[self.place]


class HeadsTogether(msgspec.Struct, frozen=True):
    """DeepSeek's keys (heads, latent, key) and values (heads, value, latent) as one matrix, head by head."""

    def __call__(self, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        """(heads · (key + value), latent)."""
        import torch

        keys, values = parts
        return torch.cat((keys.transpose(1, 2), values), dim=1).flatten(0, 1)


class Frames(msgspec.Struct, frozen=True):
    """A kernel over several frames from one for each."""

    def __call__(self, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        """(out, channels, height, width) each to (out, channels, frames, height, width)."""
        import torch

        return torch.stack(tuple(parts), dim=2)
