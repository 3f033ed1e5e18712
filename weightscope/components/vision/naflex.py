"""SigLIP 2's encoder for images of any shape: patches as rows, positions stretched over each (arXiv 2502.14786)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isqrt
from typing import TYPE_CHECKING, ClassVar

import msgspec

from weightscope.brief import plural
from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import run_layers
from weightscope.components.norm import Norm
from weightscope.components.runnable import PIXELS, Inputs, Runnable
from weightscope.components.running import At
from weightscope.components.sense import whole_numbers
from weightscope.components.vision.blocks import depth_of
from weightscope.errors import UsageError
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch

MASK = "pixel_attention_mask"
SHAPES = "spatial_shapes"
# Of one image: more than any processor makes.
MOST_PATCHES = 1 << 16


class Patched(msgspec.Struct, frozen=True):
    """`patches` [N, values] of all images, row by row and without padding; rows and columns of each image."""

    patches: torch.Tensor
    shapes: tuple[tuple[int, int], ...]

    @property
    def lengths(self) -> list[int]:
        """How many patches each image has."""
        return [rows * columns for rows, columns in self.shapes]


class FlatPatches(Component, frozen=True, kw_only=True):
    """A matrix on the pixels of each patch, and a square table of positions that is stretched over each image."""

    name: str
    width: Size
    values: Size
    positions: Size

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (
            Linear("patch_embedding", Role.PATCH_EMBEDDING, bias=True),
            Plain("position_embedding", Role.POSITION_EMBEDDING),
        )

    def sizes(self) -> Sizes:
        return {
            Role.PATCH_EMBEDDING: (self.width, self.values),
            Role.POSITION_EMBEDDING: (self.positions, self.width),
        }

    def equation(self, x: str = "pixels") -> str:
        return f"patch_embedding·{x} + bias + position_embedding"

    def terms(self) -> Mapping[Role, str]:
        return {
            Role.PATCH_EMBEDDING: "patch_embedding·pixels + bias   a vector for each patch",
            Role.POSITION_EMBEDDING: "position_embedding, resized to the image's rows and columns, is added",
        }

    def embedded(self, x: Patched, at: At) -> torch.Tensor:
        """The vectors [N, width] of all patches."""
        import torch

        weights, side = at.weights(self), isqrt(int(self.positions))
        if side * side != self.positions:
            raise UsageError(f"the encoder takes no image: {self.positions.text} {self.positions:,} is not a square")
        vectors = torch.nn.functional.linear(
            x.patches, weights[Role.PATCH_EMBEDDING], weights[f"{Role.PATCH_EMBEDDING}.bias"]
        )
        # torch resizes in float32 alone, and so does the model's own code.
        table = weights[Role.POSITION_EMBEDDING].reshape(1, side, side, -1).permute(0, 3, 1, 2)
        table = table.float() if table.dtype is not torch.float64 else table
        placed = [
            torch.nn.functional.interpolate(table, size=shape, mode="bilinear", align_corners=False, antialias=True)
            for shape in x.shapes
        ]
        return vectors + torch.cat([found[0].flatten(1).T for found in placed]).to(vectors.dtype)


class NaflexEncoder(Runnable, frozen=True, kw_only=True):
    """Patches to features. Alone, `pooler` makes one vector of an image."""

    takes_tokens: ClassVar[bool] = False

    name: str
    patches: FlatPatches
    blocks: tuple[Repeat, ...]
    post_norm: Norm
    pooler: Component | None = None
    section: Section | None = Section.VISION

    @property
    def takes(self) -> tuple[str, ...]:
        return (PIXELS, MASK, SHAPES)

    @property
    def processor(self) -> str:
        return "Siglip2ImageProcessor"

    @property
    def depth(self) -> int:
        """How many layers it has."""
        return depth_of(self.blocks)

    @property
    def glance(self) -> str:
        return f"vision {plural(self.depth, 'layer')} of {self.patches.width:,}, images of any shape"

    def checked(self, inputs: Inputs, tokens: tuple[int, ...]) -> None:
        super().checked(inputs, tokens)
        for name in (PIXELS, SHAPES):
            if name not in inputs:
                raise UsageError(f"a vision encoder needs an image: {name} is missing")
        if len(self.patched(inputs).shapes) > 1:
            raise UsageError("give one image only")

    def patched(self, inputs: Inputs) -> Patched:
        """The patches among the inputs, padding left out.

        Raises:
            UsageError: their shapes do not fit each other or the encoder.
        """
        import torch

        pixels, shapes, mask = inputs[PIXELS], inputs[SHAPES], inputs.get(MASK)
        values = int(self.patches.values)
        if pixels.ndim != 3 or pixels.shape[2] != values or not len(pixels):
            raise UsageError(f"{PIXELS} has shape {list(pixels.shape)}, not [images, patches, {values:,}]")
        if list(shapes.shape) != [len(pixels), 2]:
            raise UsageError(f"{SHAPES} has shape {list(shapes.shape)}, not [{len(pixels):,}, 2]")
        flat = whole_numbers(inputs, SHAPES)
        grids = tuple(zip(flat[::2], flat[1::2], strict=True))
        most = min(pixels.shape[1], MOST_PATCHES)
        for rows, columns in grids:
            if min(rows, columns) < 1 or rows * columns > most:
                raise UsageError(f"{SHAPES} has {[rows, columns]}: an image has 1 to {most:,} patches")
        if mask is not None:
            covered = (
                [int((row != 0).sum()) for row in mask.reshape(len(pixels), -1)] if len(mask) == len(pixels) else []
            )
            wanted = [rows * columns for rows, columns in grids]
            if list(mask.shape) != list(pixels.shape[:2]) or covered != wanted:
                raise UsageError(f"{MASK} does not cover the {wanted} patches that {SHAPES} tells")
        kept = [image[: rows * columns] for image, (rows, columns) in zip(pixels, grids, strict=True)]
        return Patched(torch.cat(kept), grids)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Of the pass's image, the features [patches, width] that leave the last norm; pooled besides."""
        features = self.features(self.patched(at.run.inputs), at)
        if self.pooler:
            place = at.labelled("vision")
            place.stage("pooled", self.pooler.equation(), place.call(self.pooler, features))
        return features

    def hold(self, inputs: Inputs) -> None:
        """Raise a UsageError where the inputs are no images that the encoder takes."""
        for name in (PIXELS, SHAPES):
            if name not in inputs:
                raise UsageError(f"{name} is missing")
        self.patched(inputs)

    def pool(self, inputs: Inputs, at: At) -> torch.Tensor:
        """One vector [images, width] of each image."""
        import torch

        assert self.pooler
        found = self.patched(inputs)
        features = torch.split(self.features(found, at), found.lengths)
        return torch.cat([at.call(self.pooler, part) for part in features])

    def features(self, x: Patched, at: At) -> torch.Tensor:
        """The features [N, width] of all patches that leave the last norm."""
        at = at.labelled("vision")
        hidden = self.patches.embedded(x, at.below(self.patches))
        at.stage("patch embedding", self.patches.equation(), hidden)
        hidden = run_layers(self.blocks, hidden, at.apart(segments={"image": x.lengths}))
        hidden = at.call(self.post_norm, hidden)
        at.stage("last norm", self.post_norm.equation(), hidden)
        return hidden
