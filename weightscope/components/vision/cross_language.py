"""A language model with layers that look at images beside the text (Llama 3.2 Vision, Meta 2024).

Shapes: T tokens, M images of t tiles, P vectors a tile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from weightscope.components.base import Conflict
from weightscope.components.projection import Projection
from weightscope.components.runnable import PIXELS, Inputs, refuse
from weightscope.components.running import At, Crossed
from weightscope.components.sense import Seen
from weightscope.components.vision.eye import Eye
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.tiled_tower import TiledImages, TiledTower
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch

IDS, USED, SEES = "aspect_ratio_ids", "aspect_ratio_mask", "cross_attention_mask"


class TiledEye(Eye, frozen=True, kw_only=True):
    """The tower, and one matrix to the language model's width. Each image has one token."""

    takes: ClassVar[tuple[str, ...]] = (PIXELS, IDS, USED, SEES)
    needs: ClassVar[tuple[str, ...]] = (PIXELS, IDS, USED)
    processor: ClassVar[str] = "MllamaImageProcessor"

    tower: TiledTower
    bridge: Projection
    arrangements: int

    def conflicts(self) -> Iterable[Conflict]:
        """A bridge that does not take all that the tower puts out."""
        given, taken = self.tower.width * (1 + len(self.tower.taps)), self.bridge.inputs
        if given != taken:
            yield Conflict(
                f"the projector takes {taken:,} features ({taken.text}), but the vision tower puts out {given:,}",
                (*taken.keys, *given.keys),
            )

    def counts(self, inputs: Inputs) -> tuple[int, ...]:
        return (1,) * len(self.images(inputs).pixels)

    def see(self, inputs: Inputs, at: At) -> Seen:
        vectors = at.call(self.bridge, self.tower.see(self.images(inputs), at.below(self.tower)))
        at.stage("projector", self.bridge.equation(), vectors)
        return Seen(vectors)

    def images(self, inputs: Inputs) -> TiledImages:
        """The images among the inputs.

        Raises:
            UsageError: an input has another shape, or says what is not there.
        """
        tower = self.tower
        side, tiles = int(tower.image), int(tower.tiles)
        pixels = one(inputs[PIXELS], 5)
        if pixels.ndim != 5 or pixels.shape[1:] != (tiles, int(tower.channels), side, side) or not len(pixels):
            wanted = f"[images, {tiles}, {tower.channels}, {side}, {side}]"
            raise UsageError(f"{PIXELS} has shape {list(inputs[PIXELS].shape)}, and the encoder takes {wanted}")
        ids, used = one(inputs[IDS], 1), one(inputs[USED], 2)
        for name, found, shape in ((IDS, ids, (len(pixels),)), (USED, used, (len(pixels), tiles))):
            if tuple(found.shape) != shape:
                raise UsageError(f"{name} has shape {list(inputs[name].shape)}, and the images need {list(shape)}")
        if not bool(((ids >= 0) & (ids < self.arrangements)).all()):
            raise UsageError(f"{IDS} has {ids.tolist()!s:.60}: they are 0 to {self.arrangements - 1}")
        if not bool(used.bool().any(dim=1).all()):
            raise UsageError(f"{USED} has an image without a tile")
        return TiledImages(pixels, ids.long(), used.bool())

    def sees(self, tokens: torch.Tensor, mark: int, inputs: Inputs) -> torch.Tensor:
        """Which tiles each token looks at, [T, M, t]: as `cross_attention_mask` says, or as the processor would.

        A token looks at the last image before it, and at all that stand in one row with that.

        Raises:
            UsageError: the mask has another shape.
        """
        import torch

        used = self.images(inputs).used
        if SEES in inputs:
            given = one(inputs[SEES], 3)
            if tuple(given.shape) != (len(tokens), *used.shape):
                wanted = [len(tokens), *used.shape]
                raise UsageError(f"{SEES} has shape {list(inputs[SEES].shape)}, and the tokens need {wanted}")
            return given.bool()
        starts = (tokens == mark).nonzero()[:, 0].tolist()
        ends = [*starts[1:], len(tokens)]
        for number in range(len(starts) - 2, -1, -1):
            if ends[number] == starts[number] + 1:
                ends[number] = ends[number + 1]
        found = torch.zeros(len(tokens), *used.shape, dtype=torch.bool, device=used.device)
        for image, (start, end) in enumerate(zip(starts, ends, strict=True)):
            found[start:end, image] = used[image]
        return found


class CrossVisionLanguage(VisionLanguage, frozen=True, kw_only=True):
    """Images do not stand in the sequence: some layers look at them."""

    eye: TiledEye

    def completed(self, inputs: Mapping[str, Any], tokens: tuple[int, ...]) -> Mapping[str, Any]:
        """With the mask of the tiles that each token looks at, [1, T, M, t]."""
        import torch

        if PIXELS not in inputs or SEES in inputs:
            return inputs
        given = {name: torch.as_tensor(value) for name, value in inputs.items()}
        return {**inputs, SEES: self.eye.sees(torch.tensor(tokens), self.image_token, given)[None].long()}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Ids [T] to logits [T, vocabulary]; text alone passes the layers by that look at images.

        Raises:
            NotImplementedByWeightscope: the maths is `refused`.
        """
        refuse(self.refused)
        place = at.below(self.language).below(self.model)
        if PIXELS in at.run.inputs:
            vectors = self.eye.see(at.run.inputs, at.below(self.eye)).vectors
            tiles = self.eye.sees(x, self.image_token, at.run.inputs).flatten(1)
            sees = tiles.repeat_interleave(len(vectors) // tiles.shape[1], dim=1)
            seeing = sees.any(dim=1)
            # A token that sees nothing looks at all, as the class has it.
            sees[~seeing] = True
            crossed = Crossed(vectors=vectors, sees=sees, any=seeing.to(vectors.dtype))
            place = At(run=msgspec.structs.replace(at.run, crossed=crossed), prefix=place.prefix, label=place.label)
        return self.model.forward(x, place)


def one(x: torch.Tensor, ndim: int) -> torch.Tensor:
    """The only entry of a batch, or what is no batch as it is."""
    return x[0] if x.ndim == ndim + 1 and len(x) == 1 else x
