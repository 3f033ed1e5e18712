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

    Those that are `direct` come from x itself, through one matrix each (Ling 3.0). Fading is at most softplus makes it,
    or with `lowest` between that, below 0, and 0. `norm` acts on each head's output.
    """

    name: str
    items: tuple[StorageItem, ...]
    width: Size
    heads: Size
    head_dim: Size
    kernel: Size
    activation: str
    norm: GatedRMSNorm
    direct: bool = False
    lowest: float | None = None
    section: Section | None = Section.STATE_SPACE
    word: ClassVar[str] = "delta_attention"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return self.items

    def sizes(self) -> Sizes:
        inner, small = self.heads * self.head_dim, (self.head_dim, self.width)
        seen = self.width if self.direct else self.head_dim
        return {
            **dict.fromkeys(QKV, (inner, self.width)),
            Role.CONVOLUTION: kernel_shape(inner * 3, self.kernel),
            Role.F_A_PROJ: small,
            Role.F_B_PROJ: (inner, seen),
            Role.DT_BIAS: (inner,),
            Role.A_LOG: (self.heads,) if self.direct else (Size(1), Size(1), self.heads, Size(1)),
            Role.B_PROJ: (self.heads, self.width),
            Role.G_A_PROJ: small,
            Role.G_B_PROJ: (inner, seen),
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
        f, h = ("x", "x") if self.direct else ("f", "h")
        step = f"f_b_proj·{f} + dt_bias"
        fading = (
            f"−exp(A_log)·softplus({step})" if self.lowest is None else f"{self.lowest:g}·sigmoid(exp(A_log)·({step}))"
        )
        return {
            **{role: f"{role[0]} = {role}·x   {heads}" for role in QKV},
            Role.CONVOLUTION: f"q, k, v = {self.activation}(conv(q, k, v)), each over {int(self.kernel)} tokens;"
            f" then q / (|q|·√{int(self.head_dim)}), k / |k|",
            Role.F_A_PROJ: "f = f_a_proj·x",
            Role.F_B_PROJ: f"g = {fading}   the decay of each element",
            Role.DT_BIAS: f"added to the decay before {'softplus' if self.lowest is None else 'the sigmoid'}",
            Role.A_LOG: "S = exp(g) ⊙ S,  S = S + k·(β·(v − k·S))ᵀ",
            Role.B_PROJ: "β = sigmoid(b_proj·x)   the strength of the update",
            Role.G_A_PROJ: "h = g_a_proj·x",
            Role.G_B_PROJ: f"z = g_b_proj·{h}",
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
        step = linear(self._small(x, weights, Role.F_A_PROJ), weights, Role.F_B_PROJ).to(wide)
        decay = self._decay((step + weights[Role.DT_BIAS].to(wide)).reshape(shape), weights[Role.A_LOG].to(wide).exp())
        rate = linear(x, weights, Role.B_PROJ).to(wide).sigmoid()
        y = delta_rule(unit(q) * int(self.head_dim) ** -0.5, unit(k), v, decay, rate)
        z = linear(self._small(x, weights, Role.G_A_PROJ), weights, Role.G_B_PROJ).reshape(shape)
        out = self.norm.gated(y, z, at.below(self.norm)).flatten(1)
        return linear(out.to(x.dtype), weights, Role.O_PROJ)

    def _small(self, x: torch.Tensor, weights: Mapping[str, torch.Tensor], role: Role) -> torch.Tensor:
        """What a gate is made of: the vector of a role [T, head_dim], or x itself."""
        return x if self.direct else linear(x, weights, role)

    def _decay(self, step: torch.Tensor, rate: torch.Tensor) -> torch.Tensor:
        """The logarithms [T, heads, head_dim] by which memories fade."""
        import torch

        rate = rate.reshape(1, -1, 1)
        if self.lowest is not None:
            return self.lowest * torch.sigmoid(rate * step)
        return -rate * torch.nn.functional.softplus(step)
