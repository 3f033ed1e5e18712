"""Classes of a whole recording, by an encoder of speech (SUPERB, arXiv 2105.01051)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.audio.tower import SpeechTower
from weightscope.components.base import Component
from weightscope.components.encoder_heads import EncoderHead
from weightscope.components.runnable import Inputs, Runnable
from weightscope.components.running import At
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class LayerSum(Component, frozen=True, kw_only=True):
    """What enters the first layer and what each puts out, `count` in all, each by its share; shares add up to 1."""

    count: Size

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Plain("layer_weights", Role.LAYER_WEIGHT, leaf=""),)

    def sizes(self) -> Sizes:
        return {Role.LAYER_WEIGHT: (self.count,)}

    def equation(self, x: str = "x") -> str:
        return f"softmax(layer_weight)·[{x} of each layer]"

    def terms(self) -> Mapping[Role, str]:
        return {Role.LAYER_WEIGHT: self.equation()}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[layers, N, width] to [N, width]."""
        shares = at.weights(self)[Role.LAYER_WEIGHT].softmax(-1)
        return (x * shares[:, None, None]).sum(0)


class AudioClassifier(Runnable, frozen=True, kw_only=True):
    """The head's scores of the mean of all frames, of the last layer or of a `mix` of all."""

    tower: SpeechTower
    head: EncoderHead
    mix: LayerSum | None = None

    def children(self) -> Iterable[Component]:
        return self.tower, *((self.mix,) if self.mix else ()), self.head

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
