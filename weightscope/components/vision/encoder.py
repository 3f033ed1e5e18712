"""A vision transformer (Dosovitskiy et al. 2020) as CLIP lays it out: patches, a class token, encoder blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import run_layers
from weightscope.components.norm import Norm
from weightscope.components.running import At
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel
from weightscope.storage.plain import Buffer, Plain

if TYPE_CHECKING:
    import torch


class PatchEmbedding(Component, frozen=True, kw_only=True):
    """A convolution of stride `patch` over the image, a class vector before its output, and learned positions."""

    name: str
    width: Size
    channels: Size
    image: Size
    patch: Size

    @property
    def positions(self) -> Size:
        """Patches of the image, and one for the class vector."""
        side = self.image // self.patch
        return side * side + 1

    @property
    def stored(self) -> Iterable[StorageItem]:
        """The class vector is a parameter of its own, not of a module."""
        return (
            Plain("class_embedding", Role.CLASS_EMBEDDING, leaf=""),
            Kernel("patch_embedding", Role.PATCH_EMBEDDING),
            Plain("position_embedding", Role.POSITION_EMBEDDING),
            Buffer("position_ids", Role.POSITION_IDS, (Size(1), self.positions)),
        )

    def sizes(self) -> Sizes:
        """The patch embedding is (width, channels, patch, patch), as `torch.nn.Conv2d` has it."""
        return {
            Role.CLASS_EMBEDDING: (self.width,),
            Role.PATCH_EMBEDDING: (self.width, self.channels, self.patch, self.patch),
            Role.POSITION_EMBEDDING: (self.positions, self.width),
        }

    def equation(self, x: str = "pixels") -> str:
        return f"[class_embedding | patch_embedding ∗ {x}] + position_embedding"

    def terms(self) -> Mapping[Role, str]:
        patch = int(self.patch)
        return {
            Role.CLASS_EMBEDDING: "the first vector, before the patches",
            Role.PATCH_EMBEDDING: f"patch_embedding ∗ pixels   a vector for each {patch} × {patch} pixels",
            Role.POSITION_EMBEDDING: "position_embedding[place] is added to each vector",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Pixels [channels, image, image] to [1 + patches, width]."""
        import torch

        weights, patch = at.weights(self), int(self.patch)
        patches = torch.nn.functional.conv2d(x[None], weights[Role.PATCH_EMBEDDING], stride=patch)[0].flatten(1).T
        vectors = torch.cat((weights[Role.CLASS_EMBEDDING][None], patches))
        return vectors + weights[Role.POSITION_EMBEDDING]


class VisionEncoder(Component, frozen=True, kw_only=True):
    """Patches to features; `post_norm` acts on the class vector alone, where nothing else uses the features."""

    name: str
    patches: PatchEmbedding
    pre_norm: Norm | None
    blocks: Repeat
    post_norm: Norm | None
    section: Section | None = Section.VISION

    @property
    def glance(self) -> str:
        patches = self.patches
        layers = len(self.blocks.indices)
        return f"vision {layers} layers of {patches.width:,}, {patches.image:,} px in patches of {patches.patch}"

    def children(self) -> Iterable[Component]:
        parts: tuple[Component | None, ...] = (self.patches, self.pre_norm, self.blocks, self.post_norm)
        return tuple(part for part in parts if part is not None)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Pixels [channels, image, image] to the features [1 + patches, width] that leave the last layer."""
        return self.features(x, at, -1)

    def features(self, x: torch.Tensor, at: At, layer: int) -> torch.Tensor:
        """The features that `layer` puts out, counted as transformers does: 0 is what enters the first, -1 the last."""
        at = at.labelled("vision")
        hidden = at.call(self.patches, x)
        at.stage("patch embedding", self.patches.equation(), hidden)
        if self.pre_norm:
            hidden = at.call(self.pre_norm, hidden)
            at.stage("embedding norm", self.pre_norm.equation(), hidden)
        depth = len(self.blocks.indices)
        used = layer if layer >= 0 else layer + depth + 1
        return run_layers([replace(self.blocks, indices=range(used))], hidden, at)

    def pool(self, features: torch.Tensor, at: At) -> torch.Tensor:
        """The class vector of the last layer's features, [1, width], through the last norm."""
        pooled = features[:1]
        if self.post_norm:
            pooled = at.labelled("vision").call(self.post_norm, pooled)
            at.labelled("vision").stage("pooled", self.post_norm.equation(), pooled)
        return pooled
