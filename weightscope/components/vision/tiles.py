"""Images and tiles padded to one size, with a mask of their pixels: positions by fractions of each side (NaViT).

Source: `Idefics2Model` and `Idefics3Model` of transformers; arXiv 2307.06304. Legend: n tiles, h and w patches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.running import At
from weightscope.components.vision.encoder import PatchEmbedding, VisionEncoder
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch

MASK = "pixel_attention_mask"
# Of one tile: more than any processor makes.
MOST_PATCHES = 1 << 16


class Tiles(msgspec.Struct, frozen=True):
    """`pixels` [n, channels, height, width], and which patches [n, h, w] an image covers."""

    pixels: torch.Tensor
    covered: torch.Tensor

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches, the same for all."""
        return int(self.covered.shape[1]), int(self.covered.shape[2])

    @property
    def unseen(self) -> torch.Tensor | None:
        """True [n · h · w] where a patch is padding; None where there is none."""
        return None if bool(self.covered.all()) else ~self.covered.flatten()

    def places(self, side: int) -> torch.Tensor:
        """The position [n, h · w] of each patch in a table of `side` × `side`, by how far along each side it lies."""
        import torch

        covered = self.covered
        edges = torch.arange(1 / side, 1.0, 1 / side)
        rows, columns = (
            _buckets(covered.shape[axis], count, edges)
            for axis, count in ((1, covered[:, :, 0].sum(1)), (2, covered[:, 0, :].sum(1)))
        )
        places = rows[:, :, None] * side + columns[:, None, :]
        return places.masked_fill(~covered.cpu(), 0).flatten(1).to(covered.device)

    def features(self, tower: VisionEncoder, at: At) -> torch.Tensor:
        """What leaves the last norm of a tower at that place, [n · h · w, width]."""
        (features,) = tower.features(
            self.pixels, at, (-1,), normed=True, places=self.places(int(tower.patches.side)), unseen=self.unseen
        )
        return features


def tiles(inputs: Inputs, patches: PatchEmbedding, *, partly: bool) -> Tiles:
    """The tiles among the inputs, less those that are all zeros, which only fill a batch.

    A patch counts as covered where the image covers all its pixels, or `partly` at least one.

    Raises:
        UsageError: an input has another shape, or an image covers no patch.
    """
    pixels, mask = _flat(inputs, patches, MASK)
    filled = pixels.flatten(1).any(dim=1)
    if not bool(filled.any()):
        raise UsageError(f"{PIXELS} contains nothing but zeros")
    return _covered(pixels[filled], None if mask is None else mask[filled], patches, MASK, partly=partly)


def crops(inputs: Inputs, patches: PatchEmbedding, name: str) -> Tiles:
    """All tiles among the inputs with the mask of that name, of which a patch is covered where any of its pixels is.

    Raises:
        UsageError: an input has another shape, or an image covers no patch.
    """
    return _covered(*_flat(inputs, patches, name), patches, name, partly=True)


def _flat(inputs: Inputs, patches: PatchEmbedding, name: str) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The pixels [n, channels, height, width], and the mask [n, height, width] if there is one."""
    if patches.image < patches.patch:
        raise UsageError(f"the encoder takes no image: {patches.image.text} is less than {patches.patch.text}")
    pixels, mask = inputs[PIXELS], inputs.get(name)
    shape, side, channels = list(pixels.shape), int(patches.patch), int(patches.channels)
    flat = pixels.flatten(0, 1) if pixels.ndim == 5 else pixels
    if flat.ndim != 4 or flat.shape[1] != channels or not len(flat) or min(flat.shape[2:]) < side:
        raise UsageError(
            f"{PIXELS} has shape {shape}, not [1, tiles, {channels}, height, width] with sides of {side:,} or more"
        )
    if flat.shape[2] * flat.shape[3] > MOST_PATCHES * side * side:
        raise UsageError(f"{PIXELS} has shape {shape}: a tile has at most {MOST_PATCHES:,} patches")
    wanted = [*shape[:-3], *shape[-2:]]
    if mask is None:
        return flat, None
    if list(mask.shape) != wanted:
        raise UsageError(f"{name} has shape {list(mask.shape)}, and {PIXELS} tells {wanted}")
    return flat, mask.flatten(0, 1) if pixels.ndim == 5 else mask


def _covered(
    pixels: torch.Tensor, mask: torch.Tensor | None, patches: PatchEmbedding, name: str, *, partly: bool
) -> Tiles:
    import torch

    side = int(patches.patch)
    seen = torch.ones_like(pixels[:, 0], dtype=torch.bool) if mask is None else mask != 0
    squares = seen.unfold(1, side, side).unfold(2, side, side).flatten(3)
    covered = squares.any(-1) if partly else squares.all(-1)
    if not bool(covered[:, 0, 0].all()):
        raise UsageError(f"{name} hides the first patch of an image")
    return Tiles(pixels, covered)


def _buckets(length: int, counts: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
    """For each tile [n], which of the spans between `edges` each of `length` patches lies in, [n, length]."""
    import torch

    steps = 1.0 / counts.cpu()
    fractions = (torch.arange(length, dtype=torch.float32)[None, :] * steps[:, None]).clamp(max=1.0 - 1e-6)
    return torch.bucketize(fractions, edges, right=True)
