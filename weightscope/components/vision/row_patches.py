"""Patches that come as rows of pixels, and the encoder over them (Molmo, arXiv 2409.17146)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.running import At, linear
from weightscope.components.vision.encoder import PatchEmbedding, VisionEncoder
from weightscope.errors import UsageError
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class RowPatches(PatchEmbedding, frozen=True, kw_only=True):
    """A matrix on the pixels of each patch, and `count` learned positions."""

    count: Size

    @property
    def positions(self) -> Size:
        return self.count

    @property
    def pixels(self) -> Size:
        """Values of a patch."""
        return self.patch * self.patch * self.channels

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (
            Plain("positional_embedding", Role.POSITION_EMBEDDING, leaf=""),
            Linear("patch_embedding", Role.PATCH_EMBEDDING, bias=True),
        )

    def sizes(self) -> Sizes:
        return {
            Role.POSITION_EMBEDDING: (self.count, self.width),
            Role.PATCH_EMBEDDING: (self.width, self.pixels),
        }

    def equation(self, x: str = "pixels") -> str:
        return f"patch_embedding·{x} + bias + position_embedding"

    def terms(self) -> Mapping[Role, str]:
        return {
            **super().terms(),
            Role.PATCH_EMBEDDING: "patch_embedding·pixels + bias   a vector for each patch",
        }

    def placed(self, x: torch.Tensor, at: At, places: torch.Tensor | None) -> torch.Tensor:
        """Patches [crops, positions, pixels] to [crops · positions, width]."""
        assert places is None
        weights = at.weights(self)
        return (linear(x, weights, Role.PATCH_EMBEDDING) + weights[Role.POSITION_EMBEDDING]).flatten(0, 1)


class ClassedRows(RowPatches, frozen=True, kw_only=True):
    """A class vector stands before the patches, and the matrix has no bias (Molmo)."""

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (
            Plain("class_embedding", Role.CLASS_EMBEDDING, leaf=""),
            Plain("positional_embedding", Role.POSITION_EMBEDDING, leaf=""),
            Linear("patch_embedding", Role.PATCH_EMBEDDING),
        )

    def sizes(self) -> Sizes:
        return {**super().sizes(), Role.CLASS_EMBEDDING: (self.width,)}

    def equation(self, x: str = "pixels") -> str:
        return f"[class_embedding | patch_embedding·{x}] + position_embedding"


class RowEncoder(VisionEncoder, frozen=True, kw_only=True):
    """Crops come as the rows of their patches."""

    patches: RowPatches

    def pixels(self, inputs: Inputs) -> torch.Tensor:
        """The patches [crops, positions, pixels] among the inputs.

        Raises:
            UsageError: they have another shape.
        """
        pixels, wanted = inputs[PIXELS], (int(self.patches.count), int(self.patches.pixels))
        if pixels.ndim != 3 or tuple(pixels.shape[1:]) != wanted or not len(pixels):
            raise UsageError(f"{PIXELS} has shape {list(pixels.shape)}, not [crops, {wanted[0]}, {wanted[1]}]")
        return pixels
