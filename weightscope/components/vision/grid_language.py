"""A vision-language model whose images have any size: their tokens have positions in time, height and width."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from weightscope.components.base import Component, Group
from weightscope.components.decoder import CausalLM
from weightscope.components.running import At
from weightscope.components.vision.grid_tower import GridTower
from weightscope.components.vision.grids import Grid, token_positions
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch

PIXELS, GRIDS = "pixel_values", "image_grid_thw"
# Of one image: 16,384 merged patches are more than any processor makes.
MOST_PATCHES = 1 << 20


class GridVisionLanguage(Component, frozen=True, kw_only=True):
    """`tower` makes the vectors that stand where `image_token` is; `language` holds the language model.

    `around` are the tokens that stand before and after an image.
    """

    tower: GridTower
    language: Group
    image_token: int
    video_token: int | None = None
    around: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())

    def children(self) -> Iterable[Component]:
        return self.tower, self.language

    @property
    def model(self) -> CausalLM:
        """The language model."""
        (model,) = self.language.parts
        assert isinstance(model, CausalLM)
        return model

    def checked(self, inputs: Mapping[str, torch.Tensor], tokens: tuple[int, ...]) -> None:
        """Hold the inputs of a pass against each other.

        Raises:
            UsageError: one is missing, or their shapes or the number of image tokens do not fit.
        """
        if self.video_token in tokens:
            raise UsageError(f"token {self.video_token} stands for a video, which is not implemented")
        unknown = [name for name in inputs if name not in (PIXELS, GRIDS)]
        if unknown:
            raise UsageError(f"this model does not take {unknown[0]}", hint=f"it takes {PIXELS} and {GRIDS}")
        places = tokens.count(self.image_token)
        if not inputs:
            if places:
                raise UsageError(f"token {self.image_token} stands for an image, and no image was given")
            return
        for name in (PIXELS, GRIDS):
            if name not in inputs:
                raise UsageError(f"{name} is missing", hint=f"{PIXELS} and {GRIDS} go together")
        grids = _grids(inputs[GRIDS], self.tower.merge)
        patches = sum(count * height * width for count, height, width in grids)
        wanted = (patches, self.tower.patches.pixels)
        if tuple(inputs[PIXELS].shape) != wanted:
            raise UsageError(f"{PIXELS} has shape {list(inputs[PIXELS].shape)}, and {GRIDS} tells {list(wanted)}")
        if places != patches // self.tower.merge**2:
            raise UsageError(
                f"{places:,} image tokens (id {self.image_token}) for images that take "
                f"{patches // self.tower.merge**2:,}"
            )

    def positions_of(self, tokens: torch.Tensor, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """[T] without an image, else [3, T]."""
        import torch

        if GRIDS not in inputs:
            return torch.arange(len(tokens))
        return token_positions(tokens, self.image_token, _grids(inputs[GRIDS], self.tower.merge), self.tower.merge)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Ids [T] to logits [T, vocabulary]; the places of the image token hold the pass's images."""
        place = at.below(self.language).below(self.model)
        if PIXELS not in at.run.inputs:
            return self.model.forward(x, place)
        grids = _grids(at.run.inputs[GRIDS], self.tower.merge)
        seen, deep = self.tower.see(at.run.inputs[PIXELS], grids, at.below(self.tower))
        taken = x == self.image_token
        where = taken.nonzero()[:, 0]
        run = msgspec.structs.replace(at.run, added={layer: (where, vectors) for layer, vectors in enumerate(deep)})
        place = At(run=run, prefix=place.prefix, label=place.label)
        inner = place.below(self.model.decoder)
        hidden = self.model.decoder.embed(x.masked_fill(taken, 0), inner)
        hidden[taken] = seen
        at.stage("image in place", "x with the merger's vectors at the image tokens", hidden)
        return self.model.score(self.model.decoder.through(hidden, inner), place)


def _grids(grids: torch.Tensor, merge: int) -> list[Grid]:
    """The grids as numbers.

    Raises:
        UsageError: they are no grids, or an image is no multiple of what is merged.
    """
    if grids.ndim != 2 or grids.shape[1] != 3 or not len(grids):
        raise UsageError(f"{GRIDS} has shape {list(grids.shape)}, not [images, 3]")
    found: list[Grid] = [(int(t), int(h), int(w)) for t, h, w in grids.tolist()]
    for grid in found:
        count, height, width = grid
        if min(grid) < 1 or count * height * width > MOST_PATCHES:
            raise UsageError(f"{GRIDS} has {list(grid)}: an image has 1 to {MOST_PATCHES:,} patches")
        if height % merge or width % merge:
            raise UsageError(f"{GRIDS} has {list(grid)}: height and width are multiples of {merge}")
    return found
