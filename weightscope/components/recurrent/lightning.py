"""Lightning attention (Qin et al. 2024, arXiv 2401.04658), as MiniMax-Text-01 has it (arXiv 2501.08313)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.base import Component
from weightscope.components.feed_forward.activations import WORDS, activate
from weightscope.components.norm import RMSNorm
from weightscope.components.recurrent.recurrence import decayed_attention
from weightscope.components.running import At, linear
from weightscope.components.state import State, recurrence
from weightscope.components.work import Work
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Buffer

if TYPE_CHECKING:
    import torch


class LightningAttention(Component, frozen=True, kw_only=True):
    """Attention without softmax, whose past fades by a fixed rate for each head; normed, then gated.

    The rates lie on disk, and beside them tables for chunks of `chunk` tokens that follow from them and are not used.
    Where `chunk` is None nothing of it is stored: the rates are `fade` times 2^(−8·h/H) for each head h of H.
    """

    name: str
    width: Size
    heads: Size
    head_dim: Size
    activation: str
    norm: RMSNorm
    chunk: Size | None
    fade: float = 1.0
    section: Section | None = Section.STATE_SPACE
    word: ClassVar[str] = "lightning_attention"

    @property
    def stored(self) -> Iterable[StorageItem]:
        """Rows of `qkv_proj` are, head by head, its query, key and value."""
        yield Linear("qkv_proj", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, groups=self.heads)
        yield Linear("output_gate", Role.ATTENTION_GATE)
        yield Linear("out_proj", Role.OUT_PROJ)
        if self.chunk is None:
            return
        one, heads, chunk = Size(1), self.heads, self.chunk
        yield Buffer("slope_rate", Role.DECAY_RATE, (heads, one, one), optional=False)
        tables = {
            "query_decay": (heads, chunk, one),
            "key_decay": (heads, chunk, one),
            "diagonal_decay": (one, heads, chunk, chunk),
        }
        yield from (Buffer(name, Role.DECAY_TABLE, shape, optional=False) for name, shape in tables.items())

    def sizes(self) -> Sizes:
        inner = self.heads * self.head_dim
        roles = (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, Role.ATTENTION_GATE)
        return {**dict.fromkeys(roles, (inner, self.width)), Role.OUT_PROJ: (self.width, inner)}

    @property
    def glance(self) -> str:
        return f"linear attention {self.heads:,} heads of {self.head_dim:,}"

    def mixes(self) -> tuple[Work, ...]:
        """The memory is written and read."""
        return (Work(fixed=int(self.heads * self.head_dim * self.head_dim * 2)),)

    def keeps(self) -> tuple[State, ...]:
        """One memory a head, in the type of the computation."""
        return (recurrence(self.heads, self.head_dim * self.head_dim, dtype=""),)

    def equation(self, x: str = "x") -> str:
        return f"out_proj·(sigmoid(attention_gate·{x}) ⊙ {self.norm.word}(q·S)),  S = exp(−decay_rate)·S + k·vᵀ"

    def terms(self) -> Mapping[Role, str]:
        activation = WORDS.get(self.activation, self.activation)
        heads = f"{int(self.heads)} heads of {int(self.head_dim)}"
        made = {
            role: f"{role[0]} = {activation}({role}·x)   {heads}" for role in (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ)
        }
        return made | {
            Role.DECAY_RATE: "S = exp(−decay_rate)·S + k·vᵀ",
            Role.ATTENTION_GATE: "sigmoid(attention_gate·x) multiplies the heads",
            Role.OUT_PROJ: "out_proj·[heads side by side]",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]; the sum is kept in float32 at least."""
        import torch

        weights, heads = at.weights(self), int(self.heads)
        wide = torch.promote_types(x.dtype, torch.float32)
        q, k, v = (
            activate(self.activation, linear(x, weights, role)).reshape(len(x), heads, -1).transpose(0, 1).to(wide)
            for role in (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ)
        )
        rates = self._rates(x) if self.chunk is None else weights[Role.DECAY_RATE]
        decay = -rates.to(wide).reshape(heads, 1).expand(-1, len(x))
        y = decayed_attention(q, k, v, decay).transpose(0, 1).flatten(1).to(x.dtype)
        gate = linear(x, weights, Role.ATTENTION_GATE).sigmoid()
        return linear(gate * at.call(self.norm, y), weights, Role.OUT_PROJ)

    def _rates(self, like: torch.Tensor) -> torch.Tensor:
        """How fast each head forgets, [H]."""
        import torch

        heads = int(self.heads)
        exponents = torch.arange(1, heads + 1, dtype=torch.float32, device=like.device) * (-8 / heads)
        return self.fade * torch.exp2(exponents)
