"""Kimi Delta Attention (arXiv 2510.26692): a gated delta net in which every element of a key fades at its own rate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.base import Component
from weightscope.components.recurrent.convolution import convolve, kernel_shape
from weightscope.components.recurrent.gated_delta import unit
from weightscope.components.recurrent.gated_norm import GatedRMSNorm
from weightscope.components.recurrent.recurrence import delta_rule
from weightscope.components.running import At, linear
from weightscope.components.state import State, convolution, recurrence
from weightscope.components.work import Work
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem

if TYPE_CHECKING:
    import torch

QKV = (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ)


class KimiDelta(Component, frozen=True, kw_only=True):
    """`heads` memories; fading and the gate of the output come from two vectors as small as a head.

    `norm` acts on each head's output.
    """

    name: str
    items: tuple[StorageItem, ...]
    width: Size
    heads: Size
    head_dim: Size
    kernel: Size
    activation: str
    norm: GatedRMSNorm
    section: Section | None = Section.STATE_SPACE
    word: ClassVar[str] = "delta_attention"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return self.items

    def sizes(self) -> Sizes:
        inner, small = self.heads * self.head_dim, (self.head_dim, self.width)
        return {
            **dict.fromkeys(QKV, (inner, self.width)),
            Role.CONVOLUTION: kernel_shape(inner * 3, self.kernel),
            Role.F_A_PROJ: small,
            Role.F_B_PROJ: (inner, self.head_dim),
            Role.DT_BIAS: (inner,),
            Role.A_LOG: (Size(1), Size(1), self.heads, Size(1)),
            Role.B_PROJ: (self.heads, self.width),
            Role.G_A_PROJ: small,
            Role.G_B_PROJ: (inner, self.head_dim),
            Role.O_PROJ: (self.width, inner),
        }

    @property
    def glance(self) -> str:
        return f"delta net {self.heads:,} heads of {self.head_dim:,}"

    def mixes(self) -> tuple[Work, ...]:
        """The memory is asked what it recalls, corrected, and read."""
        return (Work(fixed=int(self.heads * self.head_dim * self.head_dim * 3)),)

    def keeps(self) -> tuple[State, ...]:
        """The last queries, keys and values of the convolution, and one memory a head."""
        return (
            convolution(self.heads * self.head_dim * 3, self.kernel),
            recurrence(self.heads, self.head_dim * self.head_dim),
        )

    def equation(self, x: str = "x") -> str:
        return f"o_proj·({self.norm.equation('q·S')})"

    def terms(self) -> Mapping[Role, str]:
        heads = f"{int(self.heads)} heads of {int(self.head_dim)}"
        return {
            **{role: f"{role[0]} = {role}·x   {heads}" for role in QKV},
            Role.CONVOLUTION: f"q, k, v = {self.activation}(conv(q, k, v)), each over {int(self.kernel)} tokens;"
            f" then q / (|q|·√{int(self.head_dim)}), k / |k|",
            Role.F_A_PROJ: "f = f_a_proj·x",
            Role.F_B_PROJ: "g = −exp(A_log)·softplus(f_b_proj·f + dt_bias)   the decay of each element",
            Role.DT_BIAS: "added to the decay before softplus",
            Role.A_LOG: "S = exp(g) ⊙ S,  S = S + k·(β·(v − k·S))ᵀ",
            Role.B_PROJ: "β = sigmoid(b_proj·x)   the strength of the update",
            Role.G_A_PROJ: "h = g_a_proj·x",
            Role.G_B_PROJ: "z = g_b_proj·h",
            Role.O_PROJ: "o_proj·[heads side by side]",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]; the memory is kept in float32 at least."""
        import torch

        weights = at.weights(self)
        wide = torch.promote_types(x.dtype, torch.float32)
        shape = (len(x), int(self.heads), int(self.head_dim))
        mixed = torch.cat([linear(x, weights, role) for role in QKV], dim=-1)
        q, k, v = (part.reshape(shape) for part in convolve(mixed, weights, self.activation).to(wide).chunk(3, dim=-1))
        step = linear(linear(x, weights, Role.F_A_PROJ), weights, Role.F_B_PROJ).to(wide)
        step = torch.nn.functional.softplus(step + weights[Role.DT_BIAS].to(wide)).reshape(shape)
        decay = -weights[Role.A_LOG].to(wide).exp().reshape(1, -1, 1) * step
        rate = linear(x, weights, Role.B_PROJ).to(wide).sigmoid()
        y = delta_rule(unit(q) * int(self.head_dim) ** -0.5, unit(k), v, decay, rate)
        z = linear(linear(x, weights, Role.G_A_PROJ), weights, Role.G_B_PROJ).reshape(shape)
        out = self.norm.gated(y, z, at.below(self.norm)).flatten(1)
        return linear(out.to(x.dtype), weights, Role.O_PROJ)
