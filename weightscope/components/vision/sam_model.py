"""SAM whole (arXiv 2304.02643), and its image encoder alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.components.runnable import PIXELS, Inputs, Runnable
from weightscope.components.running import At
from weightscope.components.vision.blocks import depth_of
from weightscope.components.vision.mask_decoder import MaskDecoder
from weightscope.components.vision.mask_prompts import BOXES, LABELS, MASKS, POINTS, PlaceCode, PromptEncoder
from weightscope.components.vision.sam import SamEncoder
from weightscope.errors import UsageError
from weightscope.roles import Section

if TYPE_CHECKING:
    import torch


class SamAlone(Runnable, frozen=True, kw_only=True):
    """The image encoder: a map of features."""

    encoder: SamEncoder
    section: Section | None = Section.VISION

    @property
    def takes_tokens(self) -> bool:
        return False

    @property
    def takes(self) -> tuple[str, ...]:
        return (PIXELS,)

    @property
    def processor(self) -> str:
        return "SamImageProcessor"

    @property
    def layers(self) -> int:
        return depth_of(self.encoder.blocks)

    def checked(self, inputs: Inputs, tokens: tuple[int, ...]) -> None:
        super().checked(inputs, tokens)
        if PIXELS not in inputs:
            raise UsageError("a vision encoder needs an image")
        side, channels = int(self.encoder.image), int(self.encoder.patches.channels)
        shape = list(inputs[PIXELS].shape)
        if shape not in ([1, channels, side, side], [channels, side, side]):
            raise UsageError(f"{PIXELS} has shape {shape}, not [1, {channels}, {side}, {side}]")

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Of the pass's image, the features [side², channels of the neck]."""
        pixels = at.run.inputs[PIXELS]
        made = self.encoder.features(pixels.reshape(1, *pixels.shape[-3:]), at.below(self.encoder))
        return made[0].flatten(1).T


class Sam(SamAlone, frozen=True, kw_only=True):
    """Masks of an image for each prompt: points, a box, a rough mask, or nothing."""

    code: PlaceCode
    prompts: PromptEncoder
    decoder: MaskDecoder

    @property
    def takes(self) -> tuple[str, ...]:
        return PIXELS, POINTS, LABELS, BOXES, MASKS

    def checked(self, inputs: Inputs, tokens: tuple[int, ...]) -> None:
        super().checked(inputs, tokens)
        sets = {}
        for name, ends in ((POINTS, (2,)), (BOXES, (4,))):
            if name not in inputs:
                continue
            shape = tuple(inputs[name].shape)
            dimensions = 4 if name == POINTS else 3
            if len(shape) != dimensions or shape[0] != 1 or shape[-1:] != ends or 0 in shape:
                wanted = "[1, prompts, points, 2]" if name == POINTS else "[1, prompts, 4]"
                raise UsageError(f"{name} has shape {list(shape)}, not {wanted}")
            sets[name] = shape[1]
        if len(set(sets.values())) > 1:
            raise UsageError(f"{POINTS} has {sets[POINTS]:,} prompts, and {BOXES} {sets[BOXES]:,}")
        if LABELS in inputs:
            told = list(inputs[POINTS].shape[:3]) if POINTS in inputs else []
            if list(inputs[LABELS].shape) != told:
                raise UsageError(f"{LABELS} has shape {list(inputs[LABELS].shape)}, and {POINTS} tells {told}")
        side = 4 * self.decoder.side
        if MASKS in inputs and list(inputs[MASKS].shape) not in ([1, 1, side, side], [1, side, side]):
            raise UsageError(f"{MASKS} has shape {list(inputs[MASKS].shape)}, not [1, 1, {side}, {side}]")

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """The masks [prompts · M, pixels], row by row; their scores [prompts, M] are a stage."""
        import torch

        features = super().forward(x, at)
        places, prompts, decoder = at.below(self.code), at.below(self.prompts), at.below(self.decoder)
        image = features + self.prompts.dense(at.run.inputs, prompts)
        sparse: list[torch.Tensor | None] = [*self.prompts.sparse(at.run.inputs, self.code, places, prompts)]
        grid = self.code.grid(self.decoder.side, places)
        made = [self.decoder.masks(prompt, image, grid, decoder) for prompt in sparse or [None]]
        masks, scores = (torch.cat(parts) for parts in zip(*made, strict=True))
        at.stage("iou scores", self.decoder.score.equation("token"), scores)
        at.stage("masks", self.decoder.equation(), masks)
        return masks
