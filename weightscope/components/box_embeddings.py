"""What enters an encoder that reads pages: tokens, and the boxes in which they stand (LayoutLM, arXiv 1912.13318)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

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

    `boxes` are four tables: of left and right, of top and bottom, of heights, of widths. Without boxes all are 0.
    """

    boxes: tuple[Embedding, ...]

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
        if not all(((rows >= 0) & (rows < int(table.rows))).all() for table, rows in self._rows(inputs[BOXES])):
            raise UsageError(
                f"{BOXES} are outside of 0 to {self.boxes[0].rows - 1:,}, or end before they begin",
                hint="give left, top, right, bottom of each token",
            )

    def more(self, total: torch.Tensor, at: At) -> torch.Tensor:
        """The sum [T, D] with the rows of the boxes."""
        import torch

        given = at.run.inputs.get(BOXES)
        boxes = torch.zeros(len(total), 4) if given is None else given
        for table, rows in self._rows(boxes.to(total.device)):
            total = total + at.call(table, rows)
        return total

    def _rows(self, given: torch.Tensor) -> Iterator[tuple[Embedding, torch.Tensor]]:
        """The tables, and which rows of them the tokens have."""
        left, top, right, bottom = given.reshape(-1, 4).long().unbind(1)
        across, down, heights, widths = self.boxes
        yield from ((across, left), (down, top), (across, right), (down, bottom))
        yield from ((heights, bottom - top), (widths, right - left))
