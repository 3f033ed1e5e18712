"""A vision encoder under a head of its own: a vector to compare with texts, or classes (CLIP, SigLIP)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from weightscope.components.embedding import Classifier
from weightscope.components.projection import Projection
from weightscope.components.runnable import Inputs, Runnable
from weightscope.components.running import At
from weightscope.components.vision.encoder import VisionEncoder
from weightscope.components.vision.naflex import NaflexEncoder

if TYPE_CHECKING:
    import torch


class VisionHead(Runnable, frozen=True, kw_only=True):
    """A projection acts on what the tower pools, a classifier on the mean of the patches."""

    takes_tokens: ClassVar[bool] = False

    tower: VisionEncoder | NaflexEncoder
    head: Projection | Classifier

    @property
    def takes(self) -> tuple[str, ...]:
        return self.tower.takes

    @property
    def processor(self) -> str:
        return self.tower.processor

    @property
    def layers(self) -> int:
        return self.tower.layers

    def checked(self, inputs: Inputs, tokens: tuple[int, ...]) -> None:
        super().checked(inputs, tokens)
        self.tower.checked(inputs, tokens)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Of the pass's image, the vector [1, width] or the scores [1, labels]."""
        place = at.below(self.tower)
        if isinstance(self.head, Projection):
            made = at.call(self.head, self.tower.pool(at.run.inputs, place))
            at.stage("image vector", self.head.equation("pooled"), made)
            return made
        patches = self.tower.forward(x, place)
        if isinstance(self.tower, VisionEncoder):
            patches = self.tower.patches.without_class(patches[None])[0]
        scores = at.call(self.head, patches.mean(0, keepdim=True))
        at.stage("class scores", self.head.equation("mean(patches)"), scores)
        return scores
