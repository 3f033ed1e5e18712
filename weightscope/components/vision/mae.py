"""A masked autoencoder (He et al. 2021, arXiv 2111.06377): an encoder of some patches, a decoder that paints the rest.

Legend: N patches of an image, of which K are kept, D width of the encoder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.base import Component, Repeat
from weightscope.components.norm import Norm
from weightscope.components.projection import Projection
from weightscope.components.runnable import PIXELS, Inputs
from weightscope.components.running import At
from weightscope.components.vision.blocks import outputs_of
from weightscope.components.vision.encoder import VisionEncoder
from weightscope.components.vision.marked_patches import MarkedPatches
from weightscope.errors import UsageError
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch

# A number for each patch: the lowest are kept.
NOISE = "noise"


class KeptPatches(MarkedPatches, frozen=True, kw_only=True):
    """Patches with their positions, of which `kept` enter the layers, in the order of their noise."""

    kept: int

    def equation(self, x: str = "pixels") -> str:
        return f"{super().equation(x)}, of which {self.kept:,} patches are kept"

    def placed(self, x: torch.Tensor, at: At, places: torch.Tensor | None) -> torch.Tensor:
        """Pixels [1, channels, image, image] to [1 + K, D]."""
        import torch

        vectors = super().placed(x, at, places)
        chosen = order(at.run.inputs[NOISE])[: self.kept] + 1
        return vectors[torch.cat((chosen.new_zeros(1), chosen))]


class MaeDecoder(Component, frozen=True, kw_only=True):
    """Kept patches back in their places, the mask vector in all others, through layers of its own to pixels."""

    width: Size
    positions: Size
    embed: Projection
    blocks: tuple[Repeat, ...]
    norm: Norm
    predict: Projection
    section: Section | None = Section.VISION

    @property
    def stored(self) -> Iterable[StorageItem]:
        yield Plain("mask_token", Role.MASK_EMBEDDING, leaf="")
        yield Plain("decoder_pos_embed", Role.POSITION_EMBEDDING, leaf="")

    def sizes(self) -> Sizes:
        one = Size(1)
        return {
            Role.MASK_EMBEDDING: (one, one, self.width),
            Role.POSITION_EMBEDDING: (one, self.positions, self.width),
        }

    def equation(self, x: str = "x") -> str:
        return f"{self.embed.equation(x)} and mask vectors in place + position_embedding"

    def terms(self) -> Mapping[Role, str]:
        return {
            Role.MASK_EMBEDDING: "stands for patches that were not kept",
            Role.POSITION_EMBEDDING: "position_embedding[place] is added to each vector",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """The encoder's [1 + K, D] to the pixels of each patch [N, patch · patch · channels]."""
        import torch

        weights = at.weights(self)
        places = order(at.run.inputs[NOISE])[: len(x) - 1]
        known = at.call(self.embed, x)
        whole = weights[Role.MASK_EMBEDDING][0].expand(int(self.positions), -1).clone()
        whole[torch.cat((places.new_zeros(1), places + 1))] = known
        hidden = whole + weights[Role.POSITION_EMBEDDING][0]
        at.stage("patches in place", self.equation(), hidden)
        within = at.apart(segments={"image": [len(hidden)]})
        (hidden,) = outputs_of(self.blocks, hidden, within, (-1,), last_norm=self.norm)
        made = at.call(self.predict, hidden)[1:]
        at.stage("reconstruction", self.predict.equation(), made)
        return made


class MaeEncoder(VisionEncoder, frozen=True, kw_only=True):
    """Features of the patches that are kept; with a `decoder` the pixels of all."""

    decoder: MaeDecoder | None

    @property
    def processor(self) -> str:
        return "ViTImageProcessor"

    @property
    def takes(self) -> tuple[str, ...]:
        return PIXELS, NOISE

    def checked(self, inputs: Inputs, tokens: tuple[int, ...]) -> None:
        super().checked(inputs, tokens)
        patches = int(self.patches.side) ** 2
        if NOISE not in inputs:
            raise UsageError(
                f"{NOISE} is missing: it says which patches are masked",
                hint=f"give {NOISE} [1, {patches}] beside {PIXELS}; the patches with the lowest numbers are kept",
            )
        if inputs[NOISE].numel() != patches:
            raise UsageError(f"{NOISE} has shape {list(inputs[NOISE].shape)}: an image has {patches:,} patches")

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Of the pass's image, the features [1 + K, D], or the pixels of all patches."""
        (features,) = self.features(self.pixels(at.run.inputs), at, (-1,), normed=True)
        if self.decoder is None:
            return features
        return self.decoder.forward(features, at.below(self.decoder).labelled("pixel decoder"))


def order(noise: torch.Tensor) -> torch.Tensor:
    """The patches [N] by their noise, the lowest first."""
    return noise.flatten().argsort()
