"""A vision transformer (Dosovitskiy et al. 2020) as CLIP lays it out: patches, a class token, encoder blocks."""

from __future__ import annotations

from collections.abc import Iterable

from weightscope.components.base import Component, Repeat
from weightscope.components.norm import Norm
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Buffer, Plain


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
            Plain("patch_embedding", Role.PATCH_EMBEDDING),
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


class VisionEncoder(Component, frozen=True, kw_only=True):
    """Patches to features; `feature_layer` is the layer whose output is used, counted as transformers does."""

    name: str
    patches: PatchEmbedding
    pre_norm: Norm | None
    blocks: Repeat
    post_norm: Norm | None
    feature_layer: int
    section: Section | None = Section.VISION

    def children(self) -> Iterable[Component]:
        """In the order of the forward pass."""
        parts: tuple[Component | None, ...] = (self.patches, self.pre_norm, self.blocks, self.post_norm)
        return tuple(part for part in parts if part is not None)
