"""A bridge in which learned queries look once at an image's features and at each other (Kosmos-2, arXiv 2306.14824).

Legend: N images, P features of an image, L queries, D the language model's width.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.projection import Projection
from weightscope.components.running import At
from weightscope.components.vision.resampler import LatentsAttention
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class GatheringBridge(Component, frozen=True, kw_only=True):
    """Features of length 1 through a matrix, then attention of `count` queries of `width` elements.

    An image has `each` features. As the language model multiplies its embeddings by `scale`, so are these vectors.
    """

    name: str
    count: Size
    width: Size
    dense: Projection
    attention: LatentsAttention
    each: int
    scale: float
    section: Section | None = Section.PROJECTOR

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Plain("latent_query", Role.PROBE, leaf=""),)

    def sizes(self) -> Sizes:
        return {Role.PROBE: (self.count, self.width)}

    @property
    def glance(self) -> str:
        return f"projector {self.count:,} queries"

    def equation(self, x: str = "x") -> str:
        scale = f"{self.scale:.5g}·" if self.scale != 1.0 else ""
        return f"{scale}{self.attention.equation('queries')},  features {self.dense.equation(f'({x} / |{x}|)')}"

    def terms(self) -> Mapping[Role, str]:
        return {Role.PROBE: "the queries: what each vector of an image looks for"}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Features [N · P, width of the tower] to [N · L, D]."""
        import torch

        made = at.call(self.dense, torch.nn.functional.normalize(x, dim=-1))
        images = torch.split(made, self.each)
        queries = [at.weights(self)[Role.PROBE]] * len(images)
        gathered = torch.cat(self.attention.mix(queries, images, at.below(self.attention))) * self.scale
        at.labelled("projector").stage("queries", self.equation(), gathered)
        return gathered
