"""A vision transformer for square pictures of several sizes: learned positions are stretched, heads turn besides.

Source: `Step3p7VisionModel` of transformers (Step 3.7, StepFun 2026).
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isqrt
from typing import TYPE_CHECKING

from msgspec.structs import replace

from weightscope.components.running import At
from weightscope.components.vision.encoder import PatchEmbedding
from weightscope.components.vision.timm_patches import GridEncoder
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class StretchedPatches(PatchEmbedding, frozen=True, kw_only=True):
    """A table of `learned` positions is stretched over the patches of an image; `kernel` and `table` are names on disk.

    The table is a parameter of a module, or as `leaf` says none.
    """

    learned: Size
    kernel: str
    table: str
    leaf: str

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (
            Kernel(self.kernel, Role.PATCH_EMBEDDING, bias=self.bias),
            Plain(self.table, Role.POSITION_EMBEDDING, leaf=self.leaf),
        )

    def sizes(self) -> Sizes:
        return {**super().sizes(), Role.POSITION_EMBEDDING: (self.learned, self.width)}

    def placed(self, x: torch.Tensor, at: At, places: torch.Tensor | None) -> torch.Tensor:
        """Pixels [images, channels, image, image] to [images · positions, width], image after image."""
        import torch

        assert places is None
        weights, patch, side = at.weights(self), int(self.patch), int(self.side)
        kernel, bias = weights[Role.PATCH_EMBEDDING], weights.get(f"{Role.PATCH_EMBEDDING}.bias")
        vectors = torch.nn.functional.conv2d(x, kernel, bias, stride=patch).flatten(2).transpose(1, 2)
        table, own = weights[Role.POSITION_EMBEDDING], isqrt(int(self.learned))
        if side != own:
            grid = table[: own * own].T.unflatten(1, (own, own))[None]  # type: ignore[no-untyped-call]
            table = torch.nn.functional.interpolate(grid, size=(side, side), mode="bilinear")[0].flatten(1).T
        return (vectors + table).flatten(0, 1)


class StretchedEncoder(GridEncoder, frozen=True, kw_only=True):
    """Its patches may be stretched to images of another size."""

    patches: StretchedPatches

    def sized(self, side: int) -> StretchedEncoder:
        """The same encoder for images of another size."""
        return replace(self, patches=replace(self.patches, image=Size(side)))
