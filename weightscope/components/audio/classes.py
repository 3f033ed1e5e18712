"""Classes of a whole recording, by an encoder of speech (SUPERB, arXiv 2105.01051)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.components.audio.layer_sum import LayerSum
from weightscope.components.audio.tower import SpeechTower
from weightscope.components.encoder_heads import EncoderHead
from weightscope.components.runnable import Inputs, Runnable
from weightscope.components.running import At

if TYPE_CHECKING:
    import torch


class AudioClassifier(Runnable, frozen=True, kw_only=True):
    """The head's scores of the mean of all frames, of the last layer or of a `mix` of all."""

    tower: SpeechTower
    mix: LayerSum | None = None
    head: EncoderHead

    @property
    def takes_tokens(self) -> bool:
        return False

    @property
    def takes(self) -> tuple[str, ...]:
        return self.tower.takes

    def checked(self, inputs: Inputs, tokens: tuple[int, ...]) -> None:
        super().checked(inputs, tokens)
        self.tower.checked(inputs)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """The scores [1, labels] of the pass's recording."""
        import torch

        layers = range(self.tower.depth + 1) if self.mix else (-1,)
        found = self.tower.features(self.tower.clips(at.run.inputs), at.below(self.tower), layers)
        heard = found[-1]
        if self.mix:
            heard = at.call(self.mix, torch.stack(found))
            at.stage("sum of layers", self.mix.equation(), heard)
        scores = at.call(self.head, heard.mean(0, keepdim=True))
        at.stage(self.head.word, self.head.equation("mean(x)"), scores)
        return scores
