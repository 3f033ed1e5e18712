"""BLIP's patches: CLIP's, with the class vector and the positions stored as parameters of three dimensions."""

from __future__ import annotations

from collections.abc import Iterable

from weightscope.components.vision.encoder import PatchEmbedding
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel
from weightscope.storage.plain import Plain


class BlipPatches(PatchEmbedding, frozen=True, kw_only=True):
    """Neither is in a module of its own."""

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (
            Plain("class_embedding", Role.CLASS_EMBEDDING, leaf=""),
            Kernel("patch_embedding", Role.PATCH_EMBEDDING, bias=self.bias),
            Plain("position_embedding", Role.POSITION_EMBEDDING, leaf=""),
        )

    def sizes(self) -> Sizes:
        """The class vector is (1, 1, width), the positions are (1, positions, width)."""
        return {
            **super().sizes(),
            Role.CLASS_EMBEDDING: (Size(1), Size(1), self.width),
            Role.POSITION_EMBEDDING: (Size(1), self.positions, self.width),
        }
