"""A vision tower for images of any size: each a grid of patches, all in one sequence (Qwen2-VL, arXiv 2409.12191)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from weightscope.brief import plural
from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import run_layers
from weightscope.components.norm import Norm
from weightscope.components.running import At
from weightscope.components.vision.blocks import depth_of
from weightscope.components.vision.grids import Grid, frames, places, windows
from weightscope.components.vision.patches import PatchProjection, StretchedPositions
from weightscope.roles import Section

if TYPE_CHECKING:
    import torch


class GridTower(Component, frozen=True, kw_only=True):
    """Patches through the blocks, then `merger`: one vector for each `merge` × `merge` patches.

    `pre_norm` acts on what the patches become, `post_norm` on what leaves the last block (GLM-4.1V).
    `window` is the width in merged patches of what a block sees that does not see its whole frame (Qwen2.5-VL).
    `deep` merges what leaves some layers, in the order of `taps`; the language model adds it after its first layers.
    """

    name: str
    patches: PatchProjection
    pre_norm: Norm | None = None
    positions: StretchedPositions | None = None
    blocks: tuple[Repeat, ...]
    post_norm: Norm | None = None
    merger: Component
    merge: int
    window: int | None = None
    taps: tuple[int, ...] = ()
    deep: Repeat | None = None
    section: Section | None = Section.VISION

    @property
    def glance(self) -> str:
        depth = depth_of(self.blocks)
        patches = f"patches of {self.patches.patch} px, {self.merge**2} merged"
        return f"vision {plural(depth, 'layer')} of {self.patches.width:,}, {patches}"

    def see(self, x: torch.Tensor, grids: Sequence[Grid], at: At) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Patches [N, pixels] to merged vectors [N / merge², D], and those that the language model adds after its first
        layers.
        """
        import torch

        at = at.labelled("vision")
        hidden = at.call(self.patches, x)
        at.stage("patch embedding", self.patches.equation(), hidden)
        if self.pre_norm:
            hidden = at.call(self.pre_norm, hidden)
            at.stage("embedding norm", self.pre_norm.equation(), hidden)
        if self.positions:
            hidden = hidden + self.positions.of(grids, self.merge, at.below(self.positions))
            at.stage("position embedding", self.positions.equation(), hidden)
        where, square = places(grids, self.merge).to(x.device), self.merge**2
        segments, order = {"frame": frames(grids)}, None
        if self.window:
            order, segments["window"] = windows(grids, self.merge, self.window)
            by_patch = (order[:, None] * square + torch.arange(square)).flatten().to(x.device)
            hidden, where = hidden[by_patch], where[:, by_patch]
        deep = []

        def tap(layer: int, out: torch.Tensor) -> None:
            if self.deep and layer in self.taps:
                number = self.taps.index(layer)
                deep.append(self.deep.child.forward(out, at.below(self.deep, number)))
                at.stage(f"deep merger {number}", self.deep.child.equation(f"layer {layer}"), deep[-1])

        hidden = run_layers(self.blocks, hidden, at.apart(positions=where, segments=segments), tap=tap)
        if self.post_norm:
            hidden = at.call(self.post_norm, hidden)
            at.stage("last norm", self.post_norm.equation(), hidden)
        merged = at.call(self.merger, hidden)
        if order is not None:
            merged = merged[torch.argsort(order).to(x.device)]
        at.stage("merger", self.merger.equation(), merged)
        return merged, deep
