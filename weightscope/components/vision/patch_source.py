"""What an encoder-decoder reads of an image: flattened patches, each with its row and column (Pix2Struct).

Source: arXiv 2210.03347.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from weightscope.brief import plural
from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import run_layers
from weightscope.components.embedding import Embedding
from weightscope.components.halves import Source
from weightscope.components.norm import Norm
from weightscope.components.projection import Projection
from weightscope.components.runnable import Inputs
from weightscope.components.running import At
from weightscope.errors import UsageError
from weightscope.roles import Section

if TYPE_CHECKING:
    import torch

PATCHES, MASK = "flattened_patches", "attention_mask"


class PatchSource(Source, frozen=True, kw_only=True):
    """Patches through a matrix, with vectors of their row and column, then the layers.

    A mask says which patches are padding.
    """

    takes: ClassVar[tuple[str, ...]] = (PATCHES, MASK)
    takes_tokens: ClassVar[bool] = False
    processor: ClassVar[str] = "Pix2StructImageProcessor"

    projection: Projection
    rows: Embedding
    columns: Embedding
    blocks: tuple[Repeat, ...]
    final_norm: Norm
    section: Section | None = Section.VISION

    def children(self) -> Iterable[Component]:
        return self.projection, self.rows, self.columns, *self.blocks, self.final_norm

    @property
    def glance(self) -> str:
        layers = plural(self.depth, "layer")
        return f"vision {layers} of {self.projection.outputs:,}, patches of {self.projection.inputs:,} values"

    def checked(self, inputs: Inputs) -> None:
        for name in self.takes:
            if name not in inputs:
                raise UsageError(f"{name} is missing", hint=f"{' and '.join(self.takes)} go together")
        patches, mask, values = inputs[PATCHES], inputs[MASK], int(self.projection.inputs) + 2
        one = patches.ndim == 2 or (patches.ndim == 3 and len(patches) == 1)
        if not one or patches.shape[-1] != values or not patches.is_floating_point():
            raise UsageError(f"{PATCHES} has shape {list(patches.shape)}, not [1, patches, {values:,}] of one image")
        if mask.numel() != patches.shape[-2] or not mask.bool().any():
            raise UsageError(
                f"{MASK} has shape {list(mask.shape)} for {patches.shape[-2]:,} patches, or hides them all"
            )
        places, most = patches[..., :2], min(self.rows.rows, self.columns.rows)
        if not ((places >= 0) & (places < most)).all():
            raise UsageError(f"{PATCHES} has rows or columns outside the tables of {most:,}")

    def read(self, tokens: torch.Tensor, table: Embedding, at: At) -> torch.Tensor:
        """The vectors [P, D] of all patches that are no padding."""
        del tokens, table
        at, inputs = at.below(self).labelled("vision"), at.run.inputs
        patches = inputs[PATCHES].flatten(0, -2)[inputs[MASK].flatten().bool()]
        places = patches[:, :2].long()
        hidden = at.call(self.projection, patches[:, 2:])
        hidden = hidden + at.call(self.rows, places[:, 0]) + at.call(self.columns, places[:, 1])
        at.stage("patch embedding", f"{self.projection.equation('patch')} + bias + row + column", hidden)
        hidden = at.call(self.final_norm, run_layers(self.blocks, hidden, at))
        at.stage("last norm", self.final_norm.equation(), hidden)
        return hidden
