"""Tiles of an image put together again, after them the whole image, with a learned vector behind each row (Phi-4).

Source: `Phi4MultimodalImageEmbedding` of transformers; arXiv 2503.01743. Legend: n tiles, s pooled patches of a side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from weightscope.components.base import Component
from weightscope.components.feed_forward.activations import activate
from weightscope.components.projection import Projection
from weightscope.components.runnable import Inputs
from weightscope.components.running import At
from weightscope.components.sense import Seen, whole_numbers
from weightscope.components.vision.encoder import VisionEncoder
from weightscope.components.vision.eye import Eye
from weightscope.components.vision.tiles import Tiles
from weightscope.errors import UsageError
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch

PIXELS, SIZES, MASK = "image_pixel_values", "image_sizes", "image_attention_mask"


class Framed(NamedTuple):
    """Tiles of an image in `rows` × `columns`, of which `height` × `width` pooled patches are no padding."""

    rows: int
    columns: int
    height: int
    width: int

    def count(self, side: int) -> int:
        """Vectors of the image: its rows and those of the whole, each with one behind it, and one between."""
        return self.height * (self.width + 1) + 1 + side * (side + 1)


class FramedBridge(Component, frozen=True, kw_only=True):
    """down·gelu(up·x) of pooled patches, of the vector `newline` behind each row, and of `between` tiles and whole."""

    name: str
    newline: str
    between: str
    up: Projection
    down: Projection
    section: Section | None = Section.PROJECTOR

    @property
    def stored(self) -> Iterable[StorageItem]:
        yield Plain(self.newline, Role.IMAGE_NEWLINE, leaf="")
        yield Plain(self.between, Role.VISUAL_EMBEDDING, leaf="")

    def sizes(self) -> Sizes:
        one, width = Size(1), self.up.inputs
        return {Role.IMAGE_NEWLINE: (one, one, one, width), Role.VISUAL_EMBEDDING: (one, one, width)}

    def equation(self, x: str = "x") -> str:
        return self.down.equation(f"gelu({self.up.equation(x)})")

    def terms(self) -> Mapping[Role, str]:
        return {
            Role.IMAGE_NEWLINE: "stands behind each row of patches",
            Role.VISUAL_EMBEDDING: "stands between the tiles and the whole image",
        }

    def of(self, whole: torch.Tensor, tiles: torch.Tensor, framed: Framed, at: At) -> torch.Tensor:
        """The whole image [s, s, width] and its tiles [n, s, s, width] to [count, width of the language model]."""
        import torch

        weights, side = at.weights(self), len(whole)
        newline, between = weights[Role.IMAGE_NEWLINE][0], weights[Role.VISUAL_EMBEDDING][0]
        grid = tiles.unflatten(0, (framed.rows, framed.columns)).transpose(1, 2)  # type: ignore[no-untyped-call]
        parts = grid.reshape(framed.rows * side, framed.columns * side, -1)[: framed.height, : framed.width]
        rows, last = (
            torch.cat((part, newline.expand(len(part), 1, -1)), dim=1).flatten(0, 1) for part in (parts, whole)
        )
        x = torch.cat((rows, between, last))
        return at.call(self.down, activate("gelu", at.call(self.up, x)))


class FramedEye(Eye, frozen=True, kw_only=True):
    """Each image as the whole and tiles of `crop` pixels; `image_attention_mask` says which patches are no padding.

    What layer `layer` of the tower puts out is averaged over squares of 2 × 2 patches, an odd side first reflected.
    """

    takes: ClassVar[tuple[str, ...]] = (PIXELS, SIZES, MASK)
    needs: ClassVar[tuple[str, ...]] = (PIXELS, SIZES, MASK)
    processor: ClassVar[str] = "Phi4MultimodalImageProcessor"

    tower: VisionEncoder
    bridge: FramedBridge
    layer: int
    crop: int

    @property
    def side(self) -> int:
        """Pooled patches along a side of a tile."""
        return (int(self.tower.patches.side) + 1) // 2

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        return tuple(framed.count(self.side) for framed in self._framed(inputs))

    def see(self, inputs: Inputs, at: At) -> Seen:
        import torch

        made = []
        for number, framed in enumerate(self._framed(inputs)):
            used = framed.rows * framed.columns + 1
            tiles = Tiles(inputs[self.takes[0]][number, :used], inputs[MASK][number, :used] != 0)
            pooled = self._pooled(tiles, at.below(self.tower))
            made.append(self.bridge.of(pooled[0], pooled[1:], framed, at.below(self.bridge)))
        vectors = torch.cat(made)
        at.stage("projector", self.bridge.equation(), vectors)
        return Seen(vectors)

    def _pooled(self, tiles: Tiles, at: At) -> torch.Tensor:
        """The features of tiles, [n, s, s, width]."""
        import torch

        side = int(self.tower.patches.side)
        (features,) = self.tower.features(
            tiles.pixels, at, (self.layer,), places=tiles.places(side), unseen=tiles.unseen
        )
        maps = features.reshape(len(tiles.pixels), side, side, -1).movedim(-1, 1)
        if side % 2:
            maps = torch.nn.functional.pad(maps, (0, 1, 0, 1), mode="reflect")
        return torch.nn.functional.avg_pool2d(maps, 2).movedim(1, -1)

    def _framed(self, inputs: Inputs) -> list[Framed]:
        """What the inputs say of each image, held against each other."""
        pixels, mask = inputs[self.takes[0]], inputs[MASK]
        image, channels, side = (
            int(self.tower.patches.image),
            int(self.tower.patches.channels),
            int(self.tower.patches.side),
        )
        if pixels.ndim != 5 or pixels.shape[2:] != (channels, image, image) or not pixels.shape[0]:
            raise UsageError(
                f"{self.takes[0]} has shape {list(pixels.shape)}, not [images, tiles, {channels}, {image}, {image}]"
            )
        wanted = [*pixels.shape[:2], side, side]
        if list(mask.shape) != wanted:
            raise UsageError(f"{MASK} has shape {list(mask.shape)}, and {self.takes[0]} tells {wanted}")
        if inputs[SIZES].numel() != 2 * len(pixels):
            raise UsageError(f"{SIZES} has shape {list(inputs[SIZES].shape)}, not [{len(pixels)}, 2]")
        sizes = whole_numbers(inputs, SIZES)
        return [
            self._one(height, width, some) for height, width, some in zip(sizes[::2], sizes[1::2], mask, strict=True)
        ]

    def _one(self, height: int, width: int, mask: torch.Tensor) -> Framed:
        rows, columns = height // self.crop, width // self.crop
        if not 0 < rows * columns < len(mask):
            raise UsageError(
                f"{SIZES} tells {rows:,} × {columns:,} tiles of {self.crop:,} pixels, and {MASK} has "
                f"{len(mask) - 1:,} beside the whole image"
            )
        halves = mask[1 : rows * columns + 1, ::2, ::2]
        grid = halves.reshape(rows, columns, self.side, self.side).transpose(1, 2)
        plane = grid.reshape(rows * self.side, columns * self.side) != 0
        if not bool(plane[0, 0]) or not bool((mask[: rows * columns + 1, 0, 0] != 0).all()):
            raise UsageError(f"{MASK} hides the first patch of a tile")
        return Framed(rows, columns, int(plane[:, 0].sum()), int(plane[0].sum()))


class PublishedFramedEye(FramedEye, frozen=True, kw_only=True):
    """The same under the names of Microsoft's own processor."""

    takes: ClassVar[tuple[str, ...]] = ("input_image_embeds", SIZES, MASK)
    needs: ClassVar[tuple[str, ...]] = ("input_image_embeds", SIZES, MASK)
    processor: ClassVar[str] = "Phi4MMImageProcessor"
