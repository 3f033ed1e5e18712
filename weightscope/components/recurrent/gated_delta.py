"""Gated DeltaNet (Yang et al. 2024, arXiv 2412.06464): a memory that fades, and is corrected rather than added to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.base import Component
from weightscope.components.recurrent.convolution import convolve, kernel_shape
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

# The classes have no setting for it.
UNIT_EPS = 1e-6


class GatedDeltaNet(Component, frozen=True, kw_only=True):
    """`key_heads` queries and keys, each for as many of the `value_heads` in a row; one memory a value head.

    `norm` acts on each head's output, gated by z. `strength` is the most that an update counts: beyond 1 it may
    turn what the memory holds into its opposite (OLMo Hybrid).
    """

    name: str
    items: tuple[StorageItem, ...]
    width: Size
    key_heads: Size
    value_heads: Size
    key_dim: Size
    value_dim: Size
    kernel: Size
    activation: str
    norm: GatedRMSNorm
    strength: float = 1.0
    section: Section | None = Section.STATE_SPACE
    word: ClassVar[str] = "delta_net"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return self.items

    def sizes(self) -> Sizes:
        """The convolution runs over queries, keys and values side by side."""
        keys, values = self.key_heads * self.key_dim, self.value_heads * self.value_dim
        return {
            Role.Q_PROJ: (keys, self.width),
            Role.K_PROJ: (keys, self.width),
            Role.V_PROJ: (values, self.width),
            Role.Z_PROJ: (values, self.width),
            Role.B_PROJ: (self.value_heads, self.width),
            Role.A_PROJ: (self.value_heads, self.width),
            Role.CONVOLUTION: kernel_shape(keys * 2 + values, self.kernel),
            Role.DT_BIAS: (self.value_heads,),
            Role.A_LOG: (self.value_heads,),
            Role.OUT_PROJ: (self.width, values),
        }

    @property
    def glance(self) -> str:
        return f"delta net {self.value_heads:,} heads of {self.value_dim:,}"

    def mixes(self) -> tuple[Work, ...]:
        """The memory is asked what it recalls, corrected, and read."""
        return (Work(fixed=int(self.value_heads * self.key_dim * self.value_dim * 3)),)

    def keeps(self) -> tuple[State, ...]:
        """The last queries, keys and values of the convolution, and one memory a value head."""
        return (
            convolution(self.key_heads * self.key_dim * 2 + self.value_heads * self.value_dim, self.kernel),
            recurrence(self.value_heads, self.key_dim * self.value_dim),
        )

    def equation(self, x: str = "x") -> str:
        return f"out_proj·({self.norm.equation('q·S')})"

    def terms(self) -> Mapping[Role, str]:
        keys = f"{int(self.key_heads)} heads of {int(self.key_dim)}"
        values = f"{int(self.value_heads)} heads of {int(self.value_dim)}"
        most = f"{self.strength:g}·" if self.strength != 1.0 else ""
        return {
            Role.Q_PROJ: f"q = q_proj·x   {keys}",
            Role.K_PROJ: f"k = k_proj·x   {keys}",
            Role.V_PROJ: f"v = v_proj·x   {values}",
            Role.CONVOLUTION: f"q, k, v = {self.activation}(conv(q, k, v)), each over {int(self.kernel)} tokens;"
            f" then q / (|q|·√{int(self.key_dim)}), k / |k|",
            Role.Z_PROJ: "z = z_proj·x",
            Role.B_PROJ: f"β = {most}sigmoid(b_proj·x)   the strength of the update",
            Role.A_PROJ: "g = −exp(A_log)·softplus(a_proj·x + dt_bias)   the decay of the state",
            Role.DT_BIAS: "added to the decay of each head before softplus",
            Role.A_LOG: "S = exp(g)·S,  S = S + k·(β·(v − k·S))ᵀ",
            Role.OUT_PROJ: "out_proj·[heads side by side]",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]; the memory is kept in float32 at least."""
        import torch

        weights = at.weights(self)
        wide = torch.promote_types(x.dtype, torch.float32)
        mixed = torch.cat([linear(x, weights, role) for role in (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ)], dim=-1)
        mixed = convolve(mixed, weights, self.activation).to(wide)
        keys = int(self.key_heads * self.key_dim)
        q, k, v = torch.split(mixed, [keys, keys, mixed.shape[-1] - 2 * keys], dim=-1)
        shared = self.value_heads // self.key_heads
        q, k = (
            unit(part.reshape(len(x), int(self.key_heads), -1)).repeat_interleave(int(shared), dim=1) for part in (q, k)
        )
        v = v.reshape(len(x), int(self.value_heads), -1)
        rate = linear(x, weights, Role.B_PROJ).to(wide).sigmoid() * self.strength
        step = torch.nn.functional.softplus(linear(x, weights, Role.A_PROJ).to(wide) + weights[Role.DT_BIAS].to(wide))
        decay = -weights[Role.A_LOG].to(wide).exp() * step
        y = delta_rule(q * int(self.key_dim) ** -0.5, k, v, decay[..., None], rate)
        z = linear(x, weights, Role.Z_PROJ).reshape(y.shape)
        out = self.norm.gated(y, z, at.below(self.norm)).flatten(1)
        return linear(out.to(x.dtype), weights, Role.OUT_PROJ)


def unit(x: torch.Tensor) -> torch.Tensor:
    """Vectors of length 1 along the last dimension."""
    import torch

    return x * torch.rsqrt(x.pow(2).sum(-1, keepdim=True) + UNIT_EPS)
