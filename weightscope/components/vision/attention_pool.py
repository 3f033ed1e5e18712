"""One vector of an image: what a learned query sees of its patches (SigLIP, arXiv 2303.15343; Lee et al. 2019)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.attention.attend import attend
from weightscope.components.attention.heads import Heads
from weightscope.components.attention.sees import EVERYTHING
from weightscope.components.base import Component
from weightscope.components.norm import Norm
from weightscope.components.running import At, linear
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import InProjection, Linear
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class AttentionPool(Component, frozen=True, kw_only=True):
    """`torch.nn.MultiheadAttention` of the probe over the patches, then x + feed_forward(norm(x))."""

    name: str
    width: Size
    heads: Heads
    norm: Norm
    feed_forward: Component

    @property
    def stored(self) -> Iterable[StorageItem]:
        """The probe is a parameter of its own; queries, keys and values are one matrix."""
        return (
            Plain("probe", Role.PROBE, leaf=""),
            InProjection("attention.in_proj", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=True),
            Linear("attention.out_proj", Role.O_PROJ, bias=True),
        )

    def sizes(self) -> Sizes:
        """The probe is (1, 1, width)."""
        square = (self.width, self.width)
        return {Role.PROBE: (Size(1), Size(1), self.width), Role.O_PROJ: square} | dict.fromkeys(
            (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ), square
        )

    def equation(self, x: str = "x") -> str:
        return f"p + {self.feed_forward.equation('norm(p)')},  p = o_proj·softmax(q·kᵀ/√d)·v of the probe over {x}"

    def terms(self) -> Mapping[Role, str]:
        return {
            Role.PROBE: "the vector that asks: q = q_proj·probe",
            Role.Q_PROJ: "q = q_proj·probe",
            Role.K_PROJ: "k = k_proj·x",
            Role.V_PROJ: "v = v_proj·x",
            Role.O_PROJ: "o_proj·[heads side by side]",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """The features [P, width] of one image to its vector [1, width]."""
        return self.of(x[None], at)

    def of(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """The features [images, P, width] to vectors [images, width]."""
        import torch

        weights = at.weights(self)
        asked = ((Role.Q_PROJ, weights[Role.PROBE][0]), (Role.K_PROJ, x), (Role.V_PROJ, x))
        q, k, v = (self.heads.split(linear(source, weights, role)) for role, source in asked)
        mixed = torch.cat(
            [
                attend(q, *image, scale=self.heads.size**-0.5, sees=EVERYTHING).transpose(0, 1)
                for image in zip(k, v, strict=True)
            ]
        )
        pooled = linear(mixed.flatten(1), weights, Role.O_PROJ)
        return pooled + at.call(self.feed_forward, at.call(self.norm, pooled))
