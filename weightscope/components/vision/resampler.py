"""A perceiver: learned vectors gather what an image shows, so that each has as many (Flamingo, arXiv 2204.14198)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from weightscope.components.attention.attend import attend
from weightscope.components.attention.heads import Heads
from weightscope.components.attention.sees import EVERYTHING
from weightscope.components.base import Component, Conflict
from weightscope.components.norm import Norm
from weightscope.components.running import At, linear
from weightscope.components.vision.latents import Latents
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem

if TYPE_CHECKING:
    import torch

    Vectors = Sequence[torch.Tensor]


class LatentsAttention(Component, frozen=True, kw_only=True):
    """Latents ask; what is asked are the features of their own image, and the latents themselves."""

    name: str
    projections: tuple[StorageItem, ...]
    width: Size
    heads: Heads

    @property
    def stored(self) -> Iterable[StorageItem]:
        return self.projections

    def sizes(self) -> Sizes:
        return self.heads.sizes(self.width)

    def conflicts(self) -> Iterable[Conflict]:
        return self.heads.conflicts()

    def equation(self, x: str = "x") -> str:
        return f"o_proj·softmax(q·kᵀ/√{int(self.heads.size)})·v,  q of {x}, k and v of [features | {x}]"

    def terms(self) -> Mapping[Role, str]:
        words = self.heads.words
        return {
            Role.Q_PROJ: f"q = q_proj·latents   in {words}",
            Role.K_PROJ: "k = k_proj·[features | latents]",
            Role.V_PROJ: "v = v_proj·[features | latents]",
            Role.O_PROJ: "o_proj·[heads side by side]",
        }

    def mix(self, latents: Vectors, features: Vectors, at: At) -> list[torch.Tensor]:
        """Of each image, latents [L, width] and features [P, width] to [L, width]."""
        import torch

        weights = at.weights(self)
        found = []
        for asking, asked in zip(latents, features, strict=True):
            both = torch.cat((asked, asking))
            q, k, v = (
                self.heads.split(linear(x, weights, role))
                for role, x in ((Role.Q_PROJ, asking), (Role.K_PROJ, both), (Role.V_PROJ, both))
            )
            mixed = attend(q, k, v, scale=self.heads.size**-0.5, sees=EVERYTHING)
            found.append(linear(mixed.transpose(0, 1).flatten(1), weights, Role.O_PROJ))
        return found


class ResamplerLayer(Component, frozen=True, kw_only=True):
    """Latents + attention(norm(latents), norm(features)), then latents + feed_forward(norm(latents))."""

    latents_norm: Norm
    features_norm: Norm
    attention: LatentsAttention
    feed_forward_norm: Norm
    feed_forward: Component

    def mix(self, latents: Vectors, features: Vectors, at: At) -> list[torch.Tensor]:
        """Of each image, latents [L, width] and features [P, width] to latents [L, width]."""
        import torch

        counts, lengths = [len(part) for part in latents], [len(part) for part in features]
        held = torch.cat(list(latents))
        asking = torch.split(at.call(self.latents_norm, held), counts)
        asked = torch.split(at.call(self.features_norm, torch.cat(list(features))), lengths)
        mixed = self.attention.mix(asking, asked, at.below(self.attention))
        held = held + torch.cat(mixed)
        held = held + at.call(self.feed_forward, at.call(self.feed_forward_norm, held))
        return list(torch.split(held, counts))


class Resampler(Latents, frozen=True, kw_only=True):
    """The latents, computed."""

    def gather(self, features: Vectors, at: At) -> torch.Tensor:
        """The features [P, width] of each image to the latents [images · count, width] of all."""
        import torch

        layer = self.layers.child
        assert isinstance(layer, ResamplerLayer)
        latents = [at.weights(self)[Role.PROBE]] * len(features)
        for number in self.layers.indices:
            latents = layer.mix(latents, features, at.below(self.layers, number))
        gathered = at.call(self.norm, torch.cat(latents))
        at.stage("resampler", self.equation(), gathered)
        return gathered
