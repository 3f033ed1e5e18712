"""Vision encoders in stages: each has wider vectors than the one before it, and a quarter as many (Swin, ConvNeXt)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import run_layers
from weightscope.components.encoder_heads import EncoderHead
from weightscope.components.norm import Norm
from weightscope.components.runnable import PIXELS, Inputs, Runnable
from weightscope.components.running import At
from weightscope.components.vision.blocks import depth_of
from weightscope.components.vision.headed import headed
from weightscope.components.vision.marked_patches import MASKED
from weightscope.components.vision.plane_patches import PlanePatches
from weightscope.errors import UsageError
from weightscope.roles import Section

if TYPE_CHECKING:
    import torch


class Stage(Component, frozen=True, kw_only=True):
    """Layers of one width; `enter` acts before them (ConvNeXt), `leave` after them (Swin)."""

    enter: Component | None = None
    blocks: tuple[Repeat, ...]
    leave: Component | None = None

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Patches [N, width], or a map of them [images, rows, columns, width], to those that leave."""
        x = self._through(self.enter, x, at)
        return self._through(self.leave, run_layers(self.blocks, x, at), at)

    @staticmethod
    def _through(part: Component | None, x: torch.Tensor, at: At) -> torch.Tensor:
        if part is None:
            return x
        made = at.call(part, x)
        at.stage(part.word, part.equation(), made.flatten(0, -2))
        return made


def depths_of(stages: Iterable[Repeat]) -> str:
    """How many layers each stage has: `3+3+27+3`."""
    parts = (stage.child for stage in stages)
    return "+".join(str(depth_of(part.blocks)) for part in parts if isinstance(part, Stage))


def require_images(pixels: torch.Tensor, channels: int) -> None:
    """Raise a UsageError where these are no pixels [channels, height, width] of one image or [images, …] of several."""
    shape = list(pixels.shape)
    if pixels.ndim not in (3, 4) or shape[-3] != channels or 0 in shape:
        raise UsageError(f"an image of shape {shape} does not fit: the encoder takes [{channels}, height, width]")


class StagedEncoder(Runnable, frozen=True, kw_only=True):
    """Patches through all stages; `head` acts on what leaves `post_norm`. `prepared_by` is the usual processor.

    An image may have any size, unless patches have learned positions.
    """

    patches: PlanePatches
    stages: tuple[Repeat, ...]
    post_norm: Norm | None
    head: EncoderHead
    image: int
    prepared_by: str
    section: Section | None = Section.VISION

    @property
    def takes_tokens(self) -> bool:
        return False

    @property
    def takes(self) -> tuple[str, ...]:
        return (PIXELS, MASKED) if self.patches.masked else (PIXELS,)

    @property
    def processor(self) -> str:
        return self.prepared_by

    @property
    def layers(self) -> int:
        return len(self.stages)

    @property
    def glance(self) -> str:
        patches = self.patches
        layers = f"vision {depths_of(self.stages)} layers from {patches.width:,}"
        return f"{layers}, {self.image:,} px in patches of {patches.patch}"

    def checked(self, inputs: Inputs, tokens: tuple[int, ...]) -> None:
        super().checked(inputs, tokens)
        if PIXELS not in inputs:
            raise UsageError("a vision encoder needs an image")
        pixels = inputs[PIXELS]
        if pixels.ndim == 4 and len(pixels) > 1:
            raise UsageError("give one image only")
        require_images(pixels, int(self.patches.channels))
        self.patches.held(inputs, (pixels.shape[-2], pixels.shape[-1]))

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Of the pass's image, what the head gives, or the features [patches, width]."""
        pixels = at.run.inputs[PIXELS]
        at = at.apart(segments={}).labelled("vision")
        hidden = at.call(self.patches, pixels.reshape(1, *pixels.shape[-3:]))
        at.stage("patch embedding", self.patches.equation(), hidden)
        for number, stage in enumerate(self.stages):
            hidden = stage.child.forward(hidden, at.below(stage, stage.indices[0]).labelled(f"vision stage {number}"))
        if self.post_norm:
            hidden = at.call(self.post_norm, hidden)
            at.stage("last norm", self.post_norm.equation(), hidden)
        return headed(self.head, hidden, hidden, at)
