"""Patches of a vision transformer under timm's names, and where they lie for layers that turn (Perception Encoder)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from weightscope.components.vision.encoder import PatchEmbedding, VisionEncoder
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class TimmPatches(PatchEmbedding, frozen=True, kw_only=True):
    """A convolution without bias; positions and a class vector are parameters of the model itself."""

    name: str = ""

    @property
    def stored(self) -> Iterable[StorageItem]:
        if self.class_token:
            yield Plain("cls_token", Role.CLASS_EMBEDDING, leaf="")
        yield Plain("pos_embed", Role.POSITION_EMBEDDING, leaf="")
        yield Kernel("patch_embed.proj", Role.PATCH_EMBEDDING, bias=self.bias)

    def sizes(self) -> Sizes:
        """The vectors are stored with a dimension of 1 first."""
        one = Size(1)
        return {
            **super().sizes(),
            Role.CLASS_EMBEDDING: (one, one, self.width),
            Role.POSITION_EMBEDDING: (one, self.positions, self.width),
        }


class GridEncoder(VisionEncoder, frozen=True, kw_only=True):
    """Patches turn by their column and row, which count from `first`; a class vector before them does not.

    They are `stretched` as if there were so many rows and columns, where that is said.
    """

    first: float = 0.0
    stretched: int | None = None

    def axes(self, images: int, device: torch.device) -> torch.Tensor | None:
        """Column and row of each vector of so many images, [2, images · positions]; 0 of a class vector."""
        import torch

        side = int(self.patches.side)
        places = torch.arange(side) + self.first
        places = places if self.stretched is None else places / side * self.stretched
        rows, columns = torch.meshgrid(places, places, indexing="ij")
        both = torch.stack((columns.flatten(), rows.flatten()))
        before = int(self.patches.class_token)
        return torch.nn.functional.pad(both, (before, 0)).repeat(1, images).to(device)
