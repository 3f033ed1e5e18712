"""A vision-language model: features of an image stand in the language model's sequence where its tokens are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from weightscope.components.base import Component, Group
from weightscope.components.decoder import CausalLM
from weightscope.components.running import At
from weightscope.components.vision.encoder import VisionEncoder
from weightscope.components.vision.projector import Projector

if TYPE_CHECKING:
    import torch


class VisionLanguage(Component, frozen=True, kw_only=True):
    """`encoder` and `projector` make a vector of each patch; `language` holds the language model under its prefix.

    `image_token` is the id whose places the vectors take, `feature_layer` the encoder's layer whose output is used;
    `whole` keeps the encoder's class vector as well.
    """

    encoder: VisionEncoder
    projector: Projector
    language: Group
    image_token: int
    feature_layer: int
    whole: bool = False

    def children(self) -> Iterable[Component]:
        return self.encoder, self.projector, self.language

    @property
    def model(self) -> CausalLM:
        """The language model."""
        (model,) = self.language.parts
        assert isinstance(model, CausalLM)
        return model

    @property
    def image_tokens(self) -> int:
        """How many tokens an image takes."""
        return int(self.encoder.patches.positions) - (0 if self.whole else 1)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Ids [T] to logits [T, vocabulary]; the places of the image token hold the pass's images."""
        import torch

        place = at.below(self.language).below(self.model)
        inner = place.below(self.model.decoder)
        images = at.run.images
        if images is None:
            return self.model.forward(x, place)
        features = [self._features(image, at) for image in images]
        taken = x == self.image_token
        hidden = self.model.decoder.embed(x.masked_fill(taken, 0), inner)
        hidden[taken] = torch.cat(features)
        at.stage("image in place", "x with the projector's vectors at the image tokens", hidden)
        return self.model.score(self.model.decoder.through(hidden, inner), place)

    def _features(self, image: torch.Tensor, at: At) -> torch.Tensor:
        features = self.encoder.features(image, at.below(self.encoder), self.feature_layer)
        return at.call(self.projector, features if self.whole else features[1:])
