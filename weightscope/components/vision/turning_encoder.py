"""A vision transformer whose layers rotate by row and column, with the class vector after the patches (Llama 4)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from weightscope.components.running import At
from weightscope.components.vision.encoder import PatchEmbedding, VisionEncoder
from weightscope.roles import Role
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class PatchMatrix(PatchEmbedding, frozen=True, kw_only=True):
    """The convolution stored as a matrix over a patch's values; the class vector stands last."""

    name: str = ""

    @property
    def stored(self) -> Iterable[StorageItem]:
        yield Linear("patch_embedding.linear", Role.PATCH_EMBEDDING)
        yield Plain("class_embedding", Role.CLASS_EMBEDDING, leaf="")
        yield Plain("positional_embedding_vlm", Role.POSITION_EMBEDDING, leaf="")

    def sizes(self) -> Sizes:
        """The patch embedding is (width, channels · patch · patch)."""
        pixels = self.channels * self.patch * self.patch
        return {**super().sizes(), Role.PATCH_EMBEDDING: (self.width, pixels)}

    def equation(self, x: str = "pixels") -> str:
        return f"[patch_embedding ∗ {x} | class_embedding] + position_embedding"

    def without_class(self, x: torch.Tensor) -> torch.Tensor:
        """Vectors [images, positions, D] without the class vectors."""
        return x[:, :-1]

    def placed(self, x: torch.Tensor, at: At, places: torch.Tensor | None) -> torch.Tensor:
        """Pixels [images, channels, image, image] to [images · positions, width]; images have one size alone."""
        import torch

        weights, patch = at.weights(self), int(self.patch)
        kernel = weights[Role.PATCH_EMBEDDING].view(-1, int(self.channels), patch, patch)
        vectors = torch.nn.functional.conv2d(x, kernel, stride=patch).flatten(2).transpose(1, 2)
        last = weights[Role.CLASS_EMBEDDING].expand(len(x), 1, -1)
        return (torch.cat((vectors, last), dim=1) + weights[Role.POSITION_EMBEDDING]).flatten(0, 1)


class TurningEncoder(VisionEncoder, frozen=True, kw_only=True):
    """Patches turn by their column and row, which count from 1; the class vector does not turn."""

    def axes(self, images: int, device: torch.device) -> torch.Tensor | None:
        """Column and row of each vector of so many images, [2, images · positions]; 0 of a class vector."""
        import torch

        side = int(self.patches.side)
        rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
        both = torch.stack((columns.flatten(), rows.flatten())) + 1
        return torch.nn.functional.pad(both, (0, 1)).repeat(1, images).to(device)
