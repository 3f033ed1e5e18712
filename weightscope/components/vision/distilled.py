"""DeiT's distillation vector beside the class vector, and the two heads that are taught (arXiv 2012.12877)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.embedding import Classifier
from weightscope.components.encoder_heads import EncoderHead
from weightscope.components.running import At
from weightscope.components.vision.marked_patches import MarkedPatches
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class DistilledPatches(MarkedPatches, frozen=True, kw_only=True):
    """The class vector, the distillation vector, then the patches; all have positions."""

    @property
    def positions(self) -> Size:
        """Patches of the image, and the two vectors before them."""
        return self.side * self.side + 2

    @property
    def stored(self) -> Iterable[StorageItem]:
        yield from super().stored
        yield Plain("distillation_token", Role.DISTILLATION_EMBEDDING, leaf="")

    def sizes(self) -> Sizes:
        """The vector is stored with two dimensions of 1 first."""
        return {**super().sizes(), Role.DISTILLATION_EMBEDDING: (Size(1), Size(1), self.width)}

    def equation(self, x: str = "pixels") -> str:
        return super().equation(x).replace("[class_embedding |", "[class_embedding | distillation_embedding |")

    def terms(self) -> Mapping[Role, str]:
        return {**super().terms(), Role.DISTILLATION_EMBEDDING: "the second vector, of which the teacher's head is"}

    def without_class(self, x: torch.Tensor) -> torch.Tensor:
        """Vectors [images, positions, D] of the patches alone."""
        return x[:, 2:]

    def leading(self, weights: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Both vectors, [1, 2, width]."""
        import torch

        return torch.cat((weights[Role.CLASS_EMBEDDING], weights[Role.DISTILLATION_EMBEDDING]), dim=1)


class TaughtHead(EncoderHead, frozen=True, kw_only=True):
    """The mean of the scores that `out` gives of the class vector and `second` of the distillation vector."""

    out: Classifier
    second: Classifier

    def children(self) -> Iterable[Component]:
        return self.out, self.second

    def equation(self, x: str = "x") -> str:
        del x
        return "(cls_classifier·class vector + distillation_classifier·distillation vector) / 2"

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Both vectors [2, width] to [1, labels]."""
        return (at.call(self.out, x[:1]) + at.call(self.second, x[1:])) / 2
