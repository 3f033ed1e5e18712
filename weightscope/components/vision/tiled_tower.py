"""A vision tower in which all tiles of an image see each other (Llama 3.2 Vision, Meta 2024).

Shapes: M images of t tiles, P vectors a tile (one of them the class vector), D width.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import run_layers
from weightscope.components.norm import Norm
from weightscope.components.running import At
from weightscope.components.vision.tile_positions import GatedPositions, TilePositions
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch

# The class's own: a tile's vectors are filled up to a multiple of it, and what fills them is seen.
MULTIPLE = 8


class TiledImages(msgspec.Struct, frozen=True):
    """`pixels` [M, t, channels, side, side], `arrangements` [M] by number, `used` [M, t] True of tiles that are."""

    pixels: torch.Tensor
    arrangements: torch.Tensor
    used: torch.Tensor


class TiledTower(Component, frozen=True, kw_only=True):
    """`blocks`, then `global_blocks` with gates; what leaves the layers in `taps` stands beside the output."""

    name: str
    width: Size
    channels: Size
    image: Size
    patch: Size
    tiles: Size
    before: TilePositions
    positions: GatedPositions
    pre_norm: Norm
    blocks: Repeat
    post_norm: Norm
    after: TilePositions
    global_blocks: Repeat
    taps: tuple[int, ...]
    section: Section | None = Section.VISION

    @property
    def glance(self) -> str:
        depth = f"{len(self.blocks.indices)} + {len(self.global_blocks.indices)}"
        tiles = f"{self.tiles} tiles of {self.image:,} px in patches of {self.patch}"
        return f"vision {depth} layers of {self.width:,}, {tiles}"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return Kernel("patch_embedding", Role.PATCH_EMBEDDING), Plain("class_embedding", Role.CLASS_EMBEDDING, leaf="")

    def sizes(self) -> Sizes:
        return {
            Role.PATCH_EMBEDDING: (self.width, self.channels, self.patch, self.patch),
            Role.CLASS_EMBEDDING: (self.width,),
        }

    def terms(self) -> Mapping[Role, str]:
        patch = int(self.patch)
        return {
            Role.PATCH_EMBEDDING: f"patch_embedding ∗ pixels   a vector for each {patch} × {patch} pixels",
            Role.CLASS_EMBEDDING: "the first vector of each tile, before the patches",
        }

    def see(self, images: TiledImages, at: At) -> torch.Tensor:
        """[M · t · P, D · (1 + taps)]."""
        import torch

        at = at.labelled("vision")
        hidden = self._embedded(images, at)
        count, tiles, patches, _ = hidden.shape
        fill = -patches % MULTIPLE
        hidden = torch.nn.functional.pad(hidden, (0, 0, 0, fill)).flatten(0, 2)
        # What is no patch of the picture does not see its like, but is seen by all others, and sees them.
        blank = ~images.used[:, :, None].expand(-1, -1, patches + fill).clone()
        blank[:, :, patches:] = True
        within = at.apart(segments={"image": [tiles * (patches + fill)] * count}, blank=blank.flatten())
        found = {}

        def tap(layer: int, out: torch.Tensor) -> None:
            if layer in self.taps:
                found[layer] = self._cut(out, patches)

        hidden = at.call(self.post_norm, run_layers([self.blocks], hidden, within, tap=tap))
        at.stage("last norm", self.post_norm.equation(), hidden)
        hidden = self.after.placed(
            hidden.view(count, tiles, patches + fill, -1), images.arrangements, at.below(self.after)
        )
        at.stage("tile positions", self.after.equation(), hidden.flatten(0, 2))
        hidden = run_layers([self.global_blocks], hidden.flatten(0, 2), within.labelled("vision global"))
        sides = [found[layer] for layer in self.taps]
        # Of each element the layers lie side by side, behind all elements of the output.
        between = [torch.stack(sides, dim=-1).flatten(1)] if sides else []
        return torch.cat((self._cut(hidden, patches), *between), dim=-1)

    def _embedded(self, images: TiledImages, at: At) -> torch.Tensor:
        """What enters the first layer, [M, t, P, D]."""
        import torch

        weights = at.weights(self)
        pixels = images.pixels.flatten(0, 1)
        made = torch.nn.functional.conv2d(pixels, weights[Role.PATCH_EMBEDDING], stride=int(self.patch))
        hidden = made.flatten(2).transpose(1, 2).unflatten(0, images.used.shape)  # type: ignore[no-untyped-call]
        at.stage("patch embedding", "patch_embedding ∗ pixels", hidden.flatten(0, 2))
        hidden = self.before.placed(hidden, images.arrangements, at.below(self.before))
        at.stage("tile positions", self.before.equation(), hidden.flatten(0, 2))
        first = weights[Role.CLASS_EMBEDDING].expand(*hidden.shape[:2], 1, -1)
        hidden = torch.cat((first, hidden), dim=2)
        hidden = self.positions.placed(hidden, images.arrangements, at.below(self.positions))
        at.stage("position embedding", self.positions.equation("[class_embedding | x]"), hidden.flatten(0, 2))
        hidden = at.call(self.pre_norm, hidden)
        at.stage("embedding norm", self.pre_norm.equation(), hidden.flatten(0, 2))
        return hidden

    def _cut(self, x: torch.Tensor, patches: int) -> torch.Tensor:
        """Each tile's vectors without what fills them up, [M · t · P, D]."""
        whole = patches + -patches % MULTIPLE
        return x.view(-1, whole, x.shape[-1])[:, :patches].flatten(0, 1)
