"""Patches with vectors of their own before them: of the class, and registers (arXiv 2309.16588)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.running import At
from weightscope.components.vision.encoder import PatchEmbedding
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch

# True [1, patches] where a patch is masked.
MASKED = "bool_masked_pos"


class MarkedPatches(PatchEmbedding, frozen=True, kw_only=True):
    """The class vector, `registers` if there are any, then the patches; `learned` positions are not the registers'.

    `projection` is the convolution's name. What stands for masked patches is stored with so many dimensions of 1 before
    its own as `mask` says; None is none. Which patches are masked, the input `MASKED` says.
    """

    projection: str = "patch_embeddings.projection"
    registers: Size | None = None
    learned: bool = True
    mask: int | None = None
    bias: bool = True

    @property
    def stored(self) -> Iterable[StorageItem]:
        yield Plain("cls_token", Role.CLASS_EMBEDDING, leaf="")
        if self.registers is not None:
            yield Plain("register_tokens", Role.REGISTER_EMBEDDING, leaf="")
        if self.mask is not None:
            yield Plain("mask_token", Role.MASK_EMBEDDING, leaf="")
        yield Kernel(self.projection, Role.PATCH_EMBEDDING, bias=self.bias)
        if self.learned:
            yield Plain("position_embeddings", Role.POSITION_EMBEDDING, leaf="")

    def sizes(self) -> Sizes:
        """All but the convolution are stored with a dimension of 1 first."""
        one = Size(1)
        return {
            **super().sizes(),
            Role.CLASS_EMBEDDING: (one, one, self.width),
            Role.REGISTER_EMBEDDING: (one, self.registers or Size(0), self.width),
            Role.MASK_EMBEDDING: (*(one,) * (self.mask or 0), self.width),
            Role.POSITION_EMBEDDING: (one, self.positions, self.width),
        }

    def equation(self, x: str = "pixels") -> str:
        made = f"[class_embedding | patch_embedding ∗ {x} + bias]"
        made += " + position_embedding" if self.learned else ""
        return f"{made}, registers behind the first" if self.registers else made

    def terms(self) -> Mapping[Role, str]:
        return {
            **super().terms(),
            Role.REGISTER_EMBEDDING: "vectors behind the first, without positions",
            Role.MASK_EMBEDDING: "stands for masked patches",
        }

    def without_class(self, x: torch.Tensor) -> torch.Tensor:
        """Vectors [images, positions, D] of the patches alone."""
        return x[:, 1 + int(self.registers or 0) :]

    def leading(self, weights: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The vectors [1, vectors, width] before the patches that have positions."""
        return weights[Role.CLASS_EMBEDDING]

    def placed(self, x: torch.Tensor, at: At, places: torch.Tensor | None) -> torch.Tensor:
        """Pixels [images, channels, image, image] to [images · vectors, width]; images have one size alone."""
        import torch

        weights = at.weights(self)
        kernel, bias = weights[Role.PATCH_EMBEDDING], weights.get(f"{Role.PATCH_EMBEDDING}.bias")
        made = torch.nn.functional.conv2d(x, kernel, bias, stride=int(self.patch)).flatten(2).transpose(1, 2)
        masked = at.run.inputs.get(MASKED)
        if masked is not None:
            made = torch.where(masked.reshape(1, -1, 1).bool(), weights[Role.MASK_EMBEDDING], made)
        vectors = torch.cat((self.leading(weights).expand(len(x), -1, -1), made), dim=1)
        if self.learned:
            vectors = vectors + weights[Role.POSITION_EMBEDDING]
        if self.registers:
            registers = weights[Role.REGISTER_EMBEDDING].expand(len(x), -1, -1)
            vectors = torch.cat((vectors[:, :1], registers, vectors[:, 1:]), dim=1)
        return vectors.flatten(0, 1)
