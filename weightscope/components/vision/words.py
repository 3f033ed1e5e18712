"""Visual words: each vector of an image is a mixture of rows of a table (Ovis, arXiv 2405.20797)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.embedding import Embedding
from weightscope.components.norm import Norm
from weightscope.components.projection import Projection
from weightscope.components.running import At
from weightscope.components.vision.shuffle import squares
from weightscope.roles import Section

if TYPE_CHECKING:
    import torch


class VisualWords(Component, frozen=True, kw_only=True):
    """`scores` and `norm` on squares of `stride` × `stride` patches; their softmax mixes the first rows of `table`.

    Where `hard`, the best word takes all. A crop has `side` × `side` patches.
    """

    name: str
    side: int
    stride: int
    scores: Projection
    norm: Norm
    table: Embedding
    hard: bool
    section: Section | None = Section.PROJECTOR

    @property
    def each(self) -> int:
        """Vectors of a crop."""
        return int(self.side // self.stride) ** 2

    def equation(self, x: str = "x") -> str:
        together = f"[{self.stride**2} patches of {x}]" if self.stride > 1 else x
        chosen = "argmax" if self.hard else "softmax"
        return f"visual_embeddingᵀ·{chosen}(norm({self.scores.equation(together)}))"

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Patches [crops · side², width] to [crops · each, width of the language model]."""
        import torch

        grid = x.reshape(-1, self.side, self.side, x.shape[-1])
        logits = at.call(self.norm, at.call(self.scores, squares(grid, self.stride)))
        if self.hard:
            vectors = at.call(self.table, logits.argmax(-1))
        else:
            rows = torch.arange(logits.shape[-1], device=logits.device)
            vectors = torch.softmax(logits, dim=-1) @ at.call(self.table, rows)
        at.stage("projector", self.equation(), vectors)
        return vectors

    def of_marks(self, count: int, at: At) -> torch.Tensor:
        """The vectors [count, D] of the first marks, whose rows are the table's last."""
        import torch

        first = int(self.scores.outputs)
        return at.call(self.table, torch.arange(first, min(first + count, int(self.table.rows)), device=at.run.device))
