"""A table of tokens in two tensors: those of the base vocabulary, and those that were added (Molmo, Ai2 2024)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.components.embedding import Embedding
from weightscope.components.running import At
from weightscope.sizes import Size
from weightscope.storage.base import Sizes

if TYPE_CHECKING:
    import torch


class ExtendedEmbedding(Embedding, frozen=True, kw_only=True):
    """The first `base` of all `rows`, and in `added` the others."""

    base: Size
    added: Embedding

    def sizes(self) -> Sizes:
        return {self.role: (self.base, self.width)}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        later, first = x >= self.base, int(self.base)
        rows = at.gather(self, self.table, x.clamp(max=first - 1))
        if bool(later.any()):
            rows[later] = at.call(self.added, x[later] - first)
        return rows
