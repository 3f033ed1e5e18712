"""An eye alone: the vectors that it makes of images for a language model that is elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from weightscope.components.runnable import Inputs, Runnable
from weightscope.components.running import At
from weightscope.components.vision.eye import Eye
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch


class LoneEye(Runnable, frozen=True, kw_only=True):
    """What comes out are the vectors that would stand among a language model's tokens."""

    takes_tokens: ClassVar[bool] = False

    eye: Eye

    @property
    def takes(self) -> tuple[str, ...]:
        return self.eye.takes

    @property
    def beside(self) -> tuple[str, ...]:
        return self.eye.beside

    @property
    def processor(self) -> str:
        return self.eye.processor

    def checked(self, inputs: Inputs, tokens: tuple[int, ...]) -> None:
        super().checked(inputs, tokens)
        if not self.eye.given(inputs):
            raise UsageError("a vision part alone needs an image")
        self.eye.complete(inputs)
        self.eye.counts(inputs)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Of the pass's images, vectors [N, width of the language model]."""
        del x
        return self.eye.see(at.run.inputs, at.below(self.eye)).vectors
