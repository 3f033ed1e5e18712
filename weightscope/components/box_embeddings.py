"""What enters an encoder that reads pages: tokens, and the boxes in which they stand (LayoutLM, arXiv 1912.13318)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.embedding import Embedding
from weightscope.components.encoder import TokenEmbeddings
from weightscope.components.runnable import Inputs
from weightscope.components.running import At
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch

BOXES = "bbox"


class BoxEmbeddings(TokenEmbeddings, frozen=True, kw_only=True):
    """Besides BERT's tables, rows for left, top, right and bottom of each token's box, and for its height and width.

    Left and right are rows of `across`, top and bottom of `down`. Without boxes all are 0.
    """

    across: Embedding
    down: Embedding
    heights: Embedding
    widths: Embedding

    def children(self) -> Iterable[Component]:
        return (*super().children(), self.across, self.down, self.heights, self.widths)

    @property
    def takes(self) -> tuple[str, ...]:
        return (*super().takes, BOXES)

    def numbers(self, name: str) -> int:
        return 4 if name == BOXES else super().numbers(name)

    def equation(self, x: str = "") -> str:
        return f"{super().equation(x)} with rows for the token's box"

    def checked(self, inputs: Inputs) -> None:
        super().checked(inputs)
        if BOXES not in inputs:
            return
        left, top, right, bottom = inputs[BOXES].reshape(-1, 4).unbind(1)
        tables = (
            (left, self.across), (right, self.across), (top, self.down), (bottom, self.down),
            (bottom - top, self.heights), (right - left, self.widths),
        )  # fmt: skip
        if not all(((values >= 0) & (values < int(table.rows))).all() for values, table in tables):
            raise UsageError(
                f"{BOXES} are outside of 0 to {self.across.rows - 1:,}, or end before they begin",
                hint="give left, top, right, bottom of each token",
            )

    def more(self, total: torch.Tensor, at: At) -> torch.Tensor:
        """The sum [T, D] with the rows of the boxes."""
        import torch

        given = at.run.inputs.get(BOXES)
        boxes = torch.zeros(len(total), 4) if given is None else given
        left, top, right, bottom = boxes.to(total.device).reshape(-1, 4).long().unbind(1)
        for table, index in (
            (self.across, left), (self.down, top), (self.across, right), (self.down, bottom),
            (self.heights, bottom - top), (self.widths, right - left),
        ):  # fmt: skip
            total = total + at.call(table, index)
        return total
