"""Learned queries that look at the patches of an image of any shape (MiniCPM-V 2.6, arXiv 2408.01800).

Source: `Resampler` of openbmb/MiniCPM-V-2_6. Legend: P patches, Q queries, D the language model's width.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.attention.attend import attend
from weightscope.components.attention.heads import Heads
from weightscope.components.attention.sees import EVERYTHING
from weightscope.components.base import Component
from weightscope.components.norm import Norm
from weightscope.components.projection import Projection
from weightscope.components.running import At, linear
from weightscope.components.sinusoids import plane_waves
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import InProjection, Linear
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class QueryBridge(Component, frozen=True, kw_only=True):
    """`projection` brings patches to the language model's `width`, `queries` vectors attend to them; last a matrix.

    Keys get the sines and cosines of a patch's column and row, values do not. `norms` are those of the queries, of the
    patches and of what leaves the attention.
    """

    width: Size
    queries: Size
    heads: Heads
    projection: Projection
    norms: tuple[Norm, Norm, Norm]
    section: Section | None = Section.PROJECTOR

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (
            Plain("query", Role.PROBE, leaf=""),
            InProjection("attn.in_proj", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=True),
            Linear("attn.out_proj", Role.O_PROJ, bias=True),
            Plain("proj", Role.PROJECTOR, leaf=""),
        )

    def sizes(self) -> Sizes:
        square = (self.width, self.width)
        matrices = (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, Role.O_PROJ, Role.PROJECTOR)
        return {Role.PROBE: (self.queries, self.width), **dict.fromkeys(matrices, square)}

    def equation(self, x: str = "x") -> str:
        seen = f"layer_norm({self.projection.equation(x)})"
        return f"layer_norm(o_proj·softmax(q·kᵀ/√d)·v)·projector,  q of layer_norm(queries), k and v of {seen}"

    def terms(self) -> Mapping[Role, str]:
        return {
            Role.PROBE: "the queries: what each vector of an image looks for",
            Role.Q_PROJ: f"q = q_proj·layer_norm(queries)   in {self.heads.words}",
            Role.K_PROJ: "k = k_proj·(patch + sines and cosines of its column and row)",
            Role.V_PROJ: "v = v_proj·patch",
            Role.O_PROJ: "o_proj·[heads side by side]",
            Role.PROJECTOR: "x·projector   stored (in, out)",
        }

    def gather(self, features: torch.Tensor, grids: Iterable[tuple[int, int]], at: At) -> torch.Tensor:
        """Features [all P, width] of images of so many rows and columns, row by row, to [images · Q, D]."""
        import torch

        weights, (of_queries, of_patches, last) = at.weights(self), self.norms
        sizes = list(grids)
        patches = at.call(of_patches, at.call(self.projection, features))
        waves = [plane_waves(rows, columns, int(self.width)) for rows, columns in sizes]
        placed = patches + torch.cat(waves).to(patches)
        q = self.heads.split(linear(at.call(of_queries, weights[Role.PROBE]), weights, Role.Q_PROJ))
        lengths = [rows * columns for rows, columns in sizes]
        keys = torch.split(linear(placed, weights, Role.K_PROJ), lengths)
        values = torch.split(linear(patches, weights, Role.V_PROJ), lengths)
        mixed = [
            attend(q, self.heads.split(k), self.heads.split(v), scale=self.heads.size**-0.5, sees=EVERYTHING)
            for k, v in zip(keys, values, strict=True)
        ]
        joined = torch.cat([image.transpose(0, 1).flatten(1) for image in mixed])
        out = at.call(last, linear(joined, weights, Role.O_PROJ)) @ weights[Role.PROJECTOR]
        at.stage("projector", self.equation(), out)
        return out
